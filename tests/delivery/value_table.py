"""What becomes of each kind of value: one piece of data, from which the docs' table and the test are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# How a value arrives: as it is in Vault, as JSON, or not at all, with the words of the error.
AS_IT_IS, AS_JSON = "as it is", "as JSON"


@dataclass(frozen=True)
class Refused:
    """What the task's error says, and what the docs' table shows for it."""

    words: str
    way: str


NULL = Refused("is null", "refused: it is no value")
NO_VALUE = Refused("has no key 'value'", "refused: it is no value")
EMPTY = Refused("is empty, which no variable is given", "refused: take it as a file")
NUL = Refused("holds a NUL", "refused: take it as a file")


def too_long(limit: int) -> Refused:
    return Refused(f"{limit}", f"refused ({limit:,} bytes at most): take it as a file")


def other_delivery(words: str) -> Refused:
    return Refused(words, "refused: take it as a file, or by `secret`")


@dataclass(frozen=True)
class Row:
    """One kind of value. variable: by `agent`, by `secret`. file: by both. backend: what Airflow is given."""

    name: str
    value: Any
    variable: tuple[str | Refused, str | Refused] = (AS_IT_IS, AS_IT_IS)
    file: str | Refused = AS_IT_IS
    backend: str | Refused = AS_IT_IS


ROWS = (
    Row("text", 'pa$$w0rd "{{ x }}" \\ é 😀\nsecond line\t# end '),
    Row("null", None, (NULL, NULL), NULL, NO_VALUE),
    Row("empty text", "", (EMPTY, EMPTY)),
    Row("a number", 5432, (AS_JSON, AS_JSON), AS_JSON, AS_JSON),
    Row("a number with a fraction", 2.5, (AS_JSON, AS_JSON), AS_JSON, AS_JSON),
    Row("true or false", True, (AS_JSON, AS_JSON), AS_JSON, AS_JSON),
    Row("a list", [1, "b", None], (AS_JSON, AS_JSON), AS_JSON, AS_JSON),
    Row("an object", {"b": 1, "a": "<é>"}, (AS_JSON, AS_JSON), AS_JSON, AS_JSON),
    Row("text of 32 KiB", "x" * 32 * 1024),
    Row("text of 100 kB", "x" * 100_000, (too_long(32768), AS_IT_IS)),
    Row("text of 1 MB", "x" * 1_000_000, (too_long(32768), too_long(131072))),
    Row("a NUL", "a\0b", (NUL, NUL)),
    Row("CR LF", "a\r\nb", (other_delivery("holds a carriage return before a newline"), AS_IT_IS)),
    Row("a single quote", "it's", (other_delivery("holds a single quote"), AS_IT_IS)),
    Row("U+2028", "a\u2028b\u0085c"),
    Row("bytes in base64", "gP8AwyhFQQ=="),
)


def shown(outcome: str | Refused) -> str:
    return outcome if isinstance(outcome, str) else outcome.way


def table() -> str:
    """Return the table as Markdown."""
    heads = ("in Vault", "variable, `agent`", "variable, `secret`", "file", "Airflow's look-up")
    rows = [
        (row.name, shown(row.variable[0]), shown(row.variable[1]), shown(row.file), shown(row.backend))
        for row in ROWS
    ]
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
