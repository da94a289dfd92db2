"""A tree beside two columns about each of its lines, as wide as a terminal; what is wrapped keeps its branch."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest

from rich.cells import cell_len

_GAP = "  "
# What is wrapped stands further in than the branch's own children.
_HANGING = 4
# Narrower a sentence is hard to read.
_SENTENCE_WIDTH = 24


def lines(rows: Sequence[Mapping[str, str]], room: int) -> Iterator[str]:
    """Yield the lines of a table of three columns, its titles first; the first column is indented as the tree is.

    room: cells of the terminal. Words are cut only where they are wider than the whole of it.
    """
    titles = list(rows[0]) if rows else []
    table = [titles, *(list(row.values()) for row in rows)]
    natural = [max((cell_len(cell) for cell in column), default=0) for column in zip(*table, strict=True)]
    if sum(natural) + 2 * len(_GAP) <= room:
        widths = natural
    else:
        about = min(natural[1], room // 3)
        sentence = min(natural[2], _SENTENCE_WIDTH)
        widths = [max(room - about - sentence - 2 * len(_GAP), 1), about, sentence]
    for branch, *about_it in table:
        yield from _row(branch, about_it, widths, room)


def _row(branch: str, about_it: Sequence[str], widths: Sequence[int], room: int) -> Iterator[str]:
    left = _wrapped(branch, widths[0], room) if any(about_it) else _wrapped(branch, room, room)
    right = [textwrap.wrap(text, width) for text, width in zip(about_it, widths[1:], strict=True)]
    beside = list(zip_longest(*right, fillvalue=""))
    while left or beside:
        line = left.pop(0) if left else ""
        # A line that leaves no room for them stands alone.
        cells = beside.pop(0) if beside and cell_len(line) <= widths[0] else ()
        shown = [_padded(cell, width) for cell, width in zip((line, *cells), widths, strict=False)]
        yield _GAP.join(shown).rstrip()


def _wrapped(branch: str, width: int, room: int) -> list[str]:
    """Break between words, at `width` where that can be, and inside of one only at the end of the room."""
    indent = " " * (len(branch) - len(branch.lstrip(" ")))
    further = indent + " " * _HANGING
    result = textwrap.wrap(
        branch.strip(" "),
        max(width, len(further) + 1),
        initial_indent=indent,
        subsequent_indent=further,
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
        drop_whitespace=True,
    )
    pieces: list[str] = []
    for line in result or [""]:
        while cell_len(line) > room > len(further) + 1:
            pieces.append(line[:room])
            line = further + line[room:]
        pieces.append(line)
    return pieces


def _padded(text: str, width: int) -> str:
    return text + " " * max(0, width - cell_len(text))
