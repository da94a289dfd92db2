"""A pod as the text of a template: YAML with Jinja's expressions, where no text of the input is read as Jinja."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import yaml

from airflow_k8s_vault.templates import CLOSE_MARK, OPEN_MARK

_JINJA = re.compile(r"\{[{%#]")


@dataclass(frozen=True)
class Expression:
    """What stands between the braces of a Jinja expression."""

    code: str


class _Dumper(yaml.SafeDumper):
    """Lists are indented below their key, as the shipped templates have them, and scripts are blocks."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: _Dumper, value: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def template(pod: dict[str, Any], about: str) -> str:
    """Return the template of a pod that may hold Expressions. about: what the comment at its top says.

    >>> print(template({"spec": {"hostname": Expression("name"), "subdomain": "{{ ds }}"}}, "Example."))
    {# Example. #}
    spec:
      hostname: {{ name }}
      subdomain: {{ "{{ ds }}" }}
    <BLANKLINE>
    """
    expressions: list[str] = []
    plain = json.dumps(pod, default=lambda value: value.code)
    prefix = "expression"
    while prefix in plain:
        prefix += "x"
    text = yaml_text(_with_stand_ins(pod, expressions, prefix))
    filled = re.sub(f"{prefix}([0-9]+)", lambda match: f"{{{{ {expressions[int(match[1])]} }}}}", text)
    return f"{{# {about.replace('#}', '')} #}}\n{filled}"


def yaml_text(data: Any) -> str:
    """Return plain data as YAML, in its own order and without line breaks in texts."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100_000)


def _with_stand_ins(value: Any, expressions: list[str], prefix: str) -> Any:
    def stand_in(code: str) -> str:
        expressions.append(code)
        return f"{prefix}{len(expressions) - 1}"

    if isinstance(value, Expression):
        return stand_in(value.code)
    if isinstance(value, str):
        is_jinja = _JINJA.search(value) or OPEN_MARK in value or CLOSE_MARK in value
        return stand_in(_quoted(value)) if is_jinja else value
    if isinstance(value, dict):
        return {
            _with_stand_ins(key, expressions, prefix): _with_stand_ins(item, expressions, prefix)
            for key, item in value.items()
        }
    return [_with_stand_ins(item, expressions, prefix) for item in value] if isinstance(value, list) else value


def _quoted(text: str) -> str:
    """Return the text as a string of Jinja, which reads Python's escapes."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(f"\\u{ord(c):04x}" if c in (OPEN_MARK, CLOSE_MARK) else c for c in quoted)
