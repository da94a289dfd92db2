"""Policies of Vault as text, read into rules: HCL and JSON, as far as what they allow goes.

https://developer.hashicorp.com/vault/docs/concepts/policies
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from airflow_k8s_vault import json_text

# What the older key `policy` of a path stands for.
_OLD = {
    "deny": ("deny",),
    "read": ("list", "read"),
    "write": ("create", "delete", "list", "read", "update"),
    "sudo": ("create", "delete", "list", "read", "sudo", "update"),
}
_TOKEN = re.compile(
    r"""\s*(?:(\#|//)[^\n]*|/\*.*?\*/|("(?:[^"\\]|\\.)*")|([A-Za-z_][A-Za-z0-9_-]*)|(-?[0-9]+)|([{}\[\]=,:]))""",
    re.DOTALL,
)


class Unreadable(ValueError):
    """The text is no policy that can be read here."""


def rules(text: str) -> dict[str, frozenset[str]]:
    """Return path to capabilities. Raises Unreadable.

    >>> rules('path "secret/*" { capabilities = ["read", "list"] }')["secret/*"] == {"read", "list"}
    True
    """
    result: dict[str, frozenset[str]] = {}
    for path, body in _paths(text):
        capabilities = set(body.get("capabilities") or ()) | set(_OLD.get(str(body.get("policy")), ()))
        result[path] = result.get(path, frozenset()) | capabilities
    return result


def _paths(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if text.lstrip().startswith("{"):
        try:
            document = json_text.read(text)
        except ValueError as error:
            raise Unreadable(str(error)) from None
        blocks = document.get("path") or {}
        for block in blocks if isinstance(blocks, list) else [blocks]:
            yield from block.items()
        return
    reader = _Reader(text)
    while reader.more():
        name = reader.take("name")
        if name == "path":
            path = reader.take("text")
            yield path, reader.mapping()
        else:
            reader.value()


class _Reader:
    """The tokens of the text, one after the other."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0

    def more(self) -> bool:
        return self._at < len(self._tokens)

    def take(self, kind: str, value: str | None = None) -> str:
        if not self.more():
            raise Unreadable("ends too early")
        token_kind, result = self._tokens[self._at]
        if token_kind != kind or value not in (None, result):
            raise Unreadable(f"has {result!r} where {value or kind} is expected")
        self._at += 1
        return result

    def _is(self, value: str) -> bool:
        return self.more() and self._tokens[self._at] == ("mark", value)

    def value(self) -> Any:
        """Return what follows a name: `= …` or a block."""
        if self._is("=") or self._is(":"):
            self._at += 1
        if self._is("{"):
            return self.mapping()
        if self._is("["):
            return self._list()
        if not self.more():
            raise Unreadable("ends too early")
        self._at += 1
        return self._tokens[self._at - 1][1]

    def mapping(self) -> dict[str, Any]:
        self.take("mark", "{")
        result: dict[str, Any] = {}
        while not self._is("}"):
            kind, name = self._tokens[self._at] if self.more() else ("", "")
            if kind not in ("name", "text"):
                raise Unreadable(f"has {name!r} where a name is expected")
            self._at += 1
            result[name] = self.value()
            if self._is(","):
                self._at += 1
        self.take("mark", "}")
        return result

    def _list(self) -> list[Any]:
        self.take("mark", "[")
        matches = []
        while not self._is("]"):
            matches.append(self.value())
            if self._is(","):
                self._at += 1
        self.take("mark", "]")
        return matches


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    position, end = 0, len(text.rstrip())
    while position < end:
        result = _TOKEN.match(text, position)
        if result is None:
            raise Unreadable(f"cannot be read from {text[position : position + 20]!r} on")
        position = result.end()
        if result[2]:
            yield "text", json.loads(result[2])
        elif result[3]:
            yield "name", result[3]
        elif result[4]:
            yield "number", result[4]
        elif result[5]:
            yield "mark", result[5]
