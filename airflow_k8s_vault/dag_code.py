"""Values and calls as the code of a DAG file has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# What formatters leave as it is, with the indentation that a call in a DAG has.
_WIDTH = 72


def literal(value: Any) -> str:
    """Return a value as Python's code, with double quotes where they mean the same.

    >>> print(literal({"memory": "2Gi", "words": ['a"b', 1]}))
    {"memory": "2Gi", "words": ['a"b', 1]}
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{literal(key)}: {literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(literal, value)) + "]"
    text = repr(value)
    return f'"{text[1:-1]}"' if isinstance(value, str) and text[0] == "'" and '"' not in text else text


def call(name: str, positional: Sequence[Any], named: Mapping[str, Any], width: int = _WIDTH) -> list[str]:
    """Return the lines of a call: one where it fits in so many characters, or else one for each argument.

    >>> call("VaultSecret", ["secret/a/b"], {"env": {"PGPASSWORD": "password"}})
    ['VaultSecret("secret/a/b", env={"PGPASSWORD": "password"})']
    """
    words = [*map(literal, positional), *(f"{key}={literal(value)}" for key, value in named.items())]
    line = f"{name}({', '.join(words)})"
    if len(line) <= width:
        return [line]
    values = [*(("", value) for value in positional), *((f"{key}=", value) for key, value in named.items())]
    return [f"{name}(", *(f"    {text}" for key, value in values for text in _lines(key, value, width)), ")"]


def _lines(start: str, value: Any, width: int) -> list[str]:
    """Return an argument of a call: on one line where it fits, or else an entry of a mapping on each."""
    line = f"{start}{literal(value)},"
    if len(line) <= width or not isinstance(value, Mapping):
        return [line]
    return [f"{start}{{", *(f"    {literal(key)}: {literal(item)}," for key, item in value.items()), "},"]
