"""Lines of a DAG file as they may be shown: without the credentials that stand in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airflow_k8s_vault.policy import kind_of_variable, kind_of_words

_NOT_SHOWN = "# (a line with what looks like a credential is not shown)"
# A shorter text stands in lines for other reasons.
_SHORTEST = 4


def credentials(arguments: Mapping[str, Any]) -> Iterator[str]:
    """Yield the values among a task's arguments that look like credentials; for comparison, never to be shown."""
    env_vars = arguments.get("env_vars")
    for name, value in env_vars.items() if isinstance(env_vars, Mapping) else ():
        if kind_of_variable(str(name), str(value)):
            yield str(value)
    for name in ("cmds", "arguments"):
        words = arguments.get(name)
        if isinstance(words, list | tuple) and kind_of_words([str(word) for word in words]):
            yield from map(str, words)


def masked(lines: Iterable[str], values: Iterable[str]) -> Iterator[str]:
    """Yield the lines of a diff, without the text of those that hold a value or look like one."""
    known = [value for value in values if len(value) >= _SHORTEST]
    for line in lines:
        sign, text = line[:1], line[1:]
        is_code = sign in (" ", "+", "-") and not line.startswith(("---", "+++"))
        if is_code and (any(value in text for value in known) or kind_of_words([text.strip()])):
            yield f"{sign}{text[: len(text) - len(text.lstrip())]}{_NOT_SHOWN}\n"
        else:
            yield line
