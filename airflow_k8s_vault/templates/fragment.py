"""What a template renders to: pieces of the template's own text, and values that stand between them.

A value never becomes part of the text that the YAML parser reads. A stand-in takes its place there, and the
value itself is put into the parsed document. So nothing that a value holds can change the document's shape,
and types survive.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from jinja2 import TemplateRuntimeError, Undefined

from airflow_k8s_vault.teams import FillError, plain_value
from airflow_k8s_vault.templates import limits

# Private-use characters that YAML takes anywhere in text; the loader refuses templates that hold them.
OPEN_MARK, CLOSE_MARK = "\ue000", "\ue001"
_STAND_IN = re.compile(f"{OPEN_MARK}([0-9]+){CLOSE_MARK}")


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of a template's own text, which starts in that line (from 1) of that template."""

    text: str
    template: str
    line: int


@dataclass(frozen=True, slots=True)
class Value:
    """What an expression came to, where the expression stands, and the names that it used."""

    value: Any
    template: str
    line: int
    names: tuple[str, ...]


class Fragment:
    """Rendered pieces, in order. Blocks, macros, `caller()` and `{% set %}…{% endset %}` give one.

    In a template it can be emitted and indented, and nothing else: it is not text, so that no filter can
    turn values and text into one string that would then be read as YAML.
    """

    __slots__ = ("_starts", "pieces")

    def __init__(self, pieces: Iterable[Any]) -> None:
        self.pieces: list[Text | Value] = []
        self._starts: list[int] | None = None
        for piece in pieces:
            if isinstance(piece, Fragment):
                self.pieces += piece.pieces
            elif isinstance(piece, Text | Value):
                self.pieces.append(piece)
            else:
                # Call and filter blocks hand over what they return without passing through `emit`.
                self.pieces.append(Value(plain(piece), "", 0, ()))
        limits.sized_output(len(self.pieces), sum(len(p.text) for p in self.pieces if isinstance(p, Text)))

    def _refuse(self, *_: Any) -> NoReturn:
        raise TemplateRuntimeError(
            "the output of a block or macro can only be put in its place or indented; "
            "to compute a value, use {% set name = … %}"
        )

    __str__ = __eq__ = __bool__ = __len__ = __iter__ = __add__ = __radd__ = __mul__ = __mod__ = _refuse
    __contains__ = __getitem__ = __lt__ = __gt__ = __le__ = __ge__ = __html__ = _refuse
    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Fragment of {len(self.pieces)} pieces>"

    def indent(self, width: int, first: bool) -> Fragment:
        """Return the same with `width` spaces after each line break (and at the start, where `first`)."""
        for piece in self.pieces:
            limits.indented(piece.text if isinstance(piece, Text) else "", width)
        pieces: list[Any] = [
            Text(piece.text.replace("\n", "\n" + " " * width), piece.template, piece.line)
            if isinstance(piece, Text)
            else piece
            for piece in self.pieces
        ]
        return Fragment([Text(" " * width, "", 0), *pieces] if first else pieces)

    def text(self) -> str:
        """Return the text for the YAML parser, with a stand-in for each value."""
        return "".join(
            piece.text if isinstance(piece, Text) else f"{OPEN_MARK}{index}{CLOSE_MARK}"
            for index, piece in enumerate(self.pieces)
        )

    def fill(self, text: str, is_plain: bool) -> Any:
        """Return what a scalar of the parsed text means, with the values in the place of their stand-ins.

        A value that is the whole of an unquoted scalar keeps its type. Within quotes or other text it is
        written out, which lists, mappings and null cannot be: FillError.
        """
        if OPEN_MARK not in text:
            return plain_value(text) if is_plain else text
        whole = _STAND_IN.fullmatch(text)
        if whole and is_plain:
            return self._value(whole)
        return _STAND_IN.sub(lambda match: _written(self._value(match)), text)

    def values_in(self, text: str) -> list[Value]:
        """Return the values whose stand-ins a piece of the rendered text holds."""
        matches = [self.pieces[int(number)] for number in _STAND_IN.findall(text)]
        return [piece for piece in matches if isinstance(piece, Value)]

    def _value(self, match: re.Match[str]) -> Any:
        index = int(match[1])
        piece = self.pieces[index] if index < len(self.pieces) else None
        if not isinstance(piece, Value):
            raise FillError("holds a private-use character, which stands for values here.")
        return piece.value

    def origin(self, offset: int) -> tuple[str, int]:
        """Return the template and the line in it (from 1) that an offset of the rendered text came from."""
        if self._starts is None:
            self._starts, position = [], 0
            for index, piece in enumerate(self.pieces):
                self._starts.append(position)
                position += len(piece.text) if isinstance(piece, Text) else len(f"{OPEN_MARK}{index}{CLOSE_MARK}")
        index = max(bisect_right(self._starts, offset) - 1, 0)
        if not self.pieces:
            return "", 0
        piece = self.pieces[index]
        within = piece.text[: offset - self._starts[index]].count("\n") if isinstance(piece, Text) else 0
        return piece.template, piece.line + within


def plain(value: Any) -> Any:
    """Return the value as JSON has it. Raises TemplateRuntimeError for what JSON cannot hold."""
    if isinstance(value, Undefined):
        str(value)  # a strict undefined raises here, with its own words
    # By its type, which an object cannot lie about, and by the type's own methods: a subclass could give something
    # else each time that it is asked.
    kind = type(value)
    if value is None or kind is bool:
        return value
    if issubclass(kind, int):
        return int.__index__(value)
    if issubclass(kind, str):
        return str.__str__(value)
    if issubclass(kind, float) and math.isfinite(float.__float__(value)):
        return float.__float__(value)
    if issubclass(kind, list | tuple):
        return [plain(item) for item in value]
    items = list(value.items()) if issubclass(kind, Mapping) else [(None, None)]
    if all(issubclass(type(key), str) for key, _ in items):
        return {str.__str__(key): plain(item) for key, item in items}
    raise TemplateRuntimeError(f"an expression gave {_kind(value)}, which cannot be put into YAML")


def _kind(value: Any) -> str:
    if callable(value):
        return "a function or macro (call it with parentheses)"
    return "infinity or NaN" if isinstance(value, float) else f"an object of type {type(value).__name__}"


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    kind = "null" if value is None else "a mapping" if isinstance(value, dict) else "a list"
    raise FillError(f"an expression within other text or quotes gave {kind}; let it stand alone, unquoted.")
