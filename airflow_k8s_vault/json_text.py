"""JSON as Vault's agent reads and writes it, so that a value is the same text however it was delivered."""

from __future__ import annotations

import contextlib
import json
from typing import Any


class Number(float):
    """A number that remembers how it was written: 5.10 and 1e3 are floats of other spellings."""

    text: str

    def __new__(cls, text: str) -> Number:
        made = super().__new__(cls, text)
        made.text = text
        return made


def read(text: bytes | str, **options: Any) -> Any:
    """Return what json.loads does of a text from elsewhere. Raises ValueError, also for what is nested too deeply.

    >>> read("[" * 100_000)
    Traceback (most recent call last):
    ValueError: nested too deeply
    """
    with contextlib.suppress(RecursionError):
        return json.loads(text, **options)
    # Not chained to the parser's, whose frames hold the text.
    raise ValueError("nested too deeply")


def loads(text: bytes | str) -> Any:
    """Return what `read` does, with each number that is not whole as a Number. Raises ValueError."""
    return read(text, parse_float=Number, parse_int=_whole)


def dumps(value: Any) -> str:
    r"""Return the JSON that Go writes of a value: keys sorted, no blanks, and no escapes but the needed ones.

    >>> print(dumps(loads('{"b": [5.10, 1e3, -0], "a": "<é>\\u2028"}')))
    {"a":"<é>\u2028","b":[5.10,1e3,-0]}
    """
    try:
        return _dumped(value)
    except RecursionError:
        pass
    raise ValueError("nested too deeply")


def _dumped(value: Any) -> str:
    if isinstance(value, dict):
        items = (f"{_string(str(key))}:{_dumped(item)}" for key, item in sorted(value.items()))
        return "{" + ",".join(items) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_dumped, value)) + "]"
    if isinstance(value, Number):
        return value.text
    return _string(value) if isinstance(value, str) else json.dumps(value)


def _string(text: str) -> str:
    # Go escapes these two for the sake of JavaScript.
    return json.dumps(text, ensure_ascii=False).replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _whole(text: str) -> int | Number:
    return Number(text) if text == "-0" else int(text)
