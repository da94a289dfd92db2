"""How long a template may compute, and how large a value it may make: any mistake in one ends soon, in a sentence.

Time is the thread's own CPU time: on a busy machine a sound template must not fail. It is looked at between the
steps of a template, so no single step may be long: what a step makes is bounded before it is made.
"""

from __future__ import annotations

import re
import string
import time
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn

from jinja2 import TemplateRuntimeError

# A template of forty fields takes 0.003 s.
SECONDS = 0.3
# Of one value, and of all that a rendering makes: characters, and ten for each entry of a list or mapping. A pod
# that Kubernetes takes has at most 1.5 million characters.
VALUE, TOTAL = 1_000_000, 10_000_000
WIDTH = 10_000
# Of a number, 617 digits: a process may forbid to write out those of more than 640.
BITS = 2_048
_ENTRY = 10
_COLLECTIONS = (Mapping, KeysView, ItemsView, ValuesView, list, tuple, set, frozenset)
_PRINTF = re.compile(r"[#0 +-]*(\*|[0-9]*)(?:\.(\*|[0-9]*))?[hlL]?")


class Budget:
    """What one rendering may still use."""

    def __init__(self) -> None:
        self._left = TOTAL
        self._ends = time.thread_time() + SECONDS

    def spend(self, size: int = 1) -> None:
        """Take a step that made that much. Raises TemplateRuntimeError where nothing is left."""
        self._left -= size
        if self._left < 0:
            raise TemplateRuntimeError(f"makes values of more than {TOTAL:,} characters in all")
        if time.thread_time() > self._ends:
            raise TemplateRuntimeError(
                f"is still computing after {SECONDS} s: it loops too often, or over too much"
            )


_BUDGET: ContextVar[Budget | None] = ContextVar("k8s_vault_budget", default=None)


@contextmanager
def budget() -> Iterator[None]:
    """Bound what is rendered within `with`."""
    token = _BUDGET.set(Budget())
    try:
        yield
    finally:
        _BUDGET.reset(token)


def step(value: Any = None) -> Any:
    """Return the value after one more step of the rendering."""
    if result := _BUDGET.get():
        result.spend()
    return value


def sized(value: Any) -> Any:
    """Return the value that a step made. Raises TemplateRuntimeError where it is too large."""
    size = size_of(value)
    if result := _BUDGET.get():
        result.spend(size)
    return value


def sized_output(pieces: int, characters: int) -> None:
    """Take account of what a block, a macro or a template put out. Raises TemplateRuntimeError as `sized`."""
    size = _ENTRY * pieces + characters
    require(size)
    if result := _BUDGET.get():
        result.spend(size)


def each(items: Any) -> Iterator[Any]:
    """Yield the items of a loop, one step each."""
    for item in items:
        yield step(item)


def size_of(*values: Any) -> int:
    """Return how large the values are together. Raises TemplateRuntimeError where that is too much."""
    size, waiting = 0, list(values)
    while waiting:
        value = waiting.pop()
        size += _ENTRY
        # By its type: what else an object says of itself is looked at by nobody here.
        kind = type(value)
        if issubclass(kind, str):
            size += str.__len__(value)
        elif issubclass(kind, int):
            _require_short(value)
        elif issubclass(kind, _COLLECTIONS):
            require(size + _ENTRY * len(value))
            waiting += value
            waiting += value.values() if issubclass(kind, Mapping) else ()
        require(size)
    return size


def require(size: int) -> None:
    """Raise TemplateRuntimeError where a value of that size is too large."""
    if size > VALUE:
        raise TemplateRuntimeError(f"makes a value of more than {VALUE:,} characters")


def _require_short(number: int) -> None:
    if int.bit_length(number) > BITS:
        # Dividing such numbers takes seconds, and Python refuses to write them.
        raise TemplateRuntimeError(f"makes a number of more than {BITS:,} bits")


def require_width(*widths: Any) -> None:
    """Raise TemplateRuntimeError where a number of columns, or of parts, is too large."""
    if any(isinstance(width, int) and abs(width) > WIDTH for width in widths):
        raise TemplateRuntimeError(f"asks for a width of more than {WIDTH:,}")


def operated(operator: str, left: Any, right: Any) -> None:
    """Raise TemplateRuntimeError where the operator would make something too large of the two."""
    if operator == "*":
        for one, other in ((left, right), (right, left)):
            if isinstance(one, int) and isinstance(other, str | list | tuple):
                require(size_of(other) * max(one, 0))
        if isinstance(left, int) and isinstance(right, int):
            require((left.bit_length() + right.bit_length()) * 100)
    elif operator == "**" and isinstance(left, int) and isinstance(right, int):
        require(left.bit_length() * abs(right) * 100)
    elif operator == "%" and isinstance(left, str):
        _require_printf(left, right)


def _require_printf(text: str, given: Any) -> None:
    widths = list(_printf_widths(text))
    size = len(text) + len(widths) * size_of(given)
    for width in widths:
        size += _columns(width)
        require(size)


def _printf_widths(text: str) -> Iterator[str]:
    """Yield width and precision of each place for a value, "" where there is none."""
    at = text.find("%") + 1
    while at:
        at = _after_key(text, at)
        # It matches everywhere, if only nothing.
        if match := _PRINTF.match(text, at):
            yield from (match[1], match[2] or "")
            at = match.end()
        # What follows is the kind of the value, "%" among them.
        at = text.find("%", at + 1) + 1


def _after_key(text: str, at: int) -> int:
    """Return where the name in parentheses ends, which may hold such itself; `at` where there is none."""
    depth, end = 0, at
    while end < len(text):
        depth += {"(": 1, ")": -1}.get(text[end], 0)
        if depth == 0:
            return end + (end > at)
        end += 1
    # Never closed: Python refuses it.
    return len(text)


def formatted(text: str, given: Any) -> None:
    """Raise TemplateRuntimeError where str.format would make something too large."""
    size, each_size = 0, size_of(given)
    for literal, field, spec, _ in string.Formatter().parse(text):
        if "{" in (spec or ""):
            _refuse_width()
        size += len(literal) + (each_size if field is not None else 0)
        size += sum(map(_columns, _numbers(spec or "")))
        require(size)


def _numbers(text: str) -> list[str]:
    # Of all scripts, as Python reads them there.
    return "".join(character if character.isdecimal() else " " for character in text).split()


def _columns(width: str) -> int:
    if len(width) > 4 or width == "*":
        _refuse_width()
    return int(width or 0)


def _refuse_width() -> NoReturn:
    raise TemplateRuntimeError(f"asks for a width of {WIDTH:,} or more, or for one that is computed")


def joined(separator: Any, items: Iterable[Any]) -> list[Any]:
    """Return the items as a list. Raises TemplateRuntimeError where they are too much with that between them."""
    matches = list(each(items))
    require(size_of(matches) + len(matches) * size_of(separator))
    return matches


def replaced(text: Any, old: Any, new: Any) -> None:
    """Raise TemplateRuntimeError where the text would be too long with `new` in the place of each `old`."""
    times = str(text).count(str(old)) if str(old) else len(str(text)) + 1
    require(size_of(text) + times * len(str(new)))


def indented(text: Any, width: Any) -> None:
    """Raise TemplateRuntimeError where the text would be too long with that before each line."""
    require_width(width)
    if isinstance(text, str):
        require(len(text) + (text.count("\n") + 1) * (width if isinstance(width, int) else len(str(width))))
