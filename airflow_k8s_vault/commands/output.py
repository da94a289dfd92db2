"""Output of the commands: a table for people, JSON and YAML for programs; colours only on a terminal."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import yaml
from rich.cells import cell_len
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

from airflow_k8s_vault.commands import tree
from airflow_k8s_vault.errors import K8sVaultError
from airflow_k8s_vault.traceback_guard import traceback_guard

_Item = TypeVar("_Item")
# Around every command: some hold a token of Vault, or what they read there, while Ctrl-C may end them at any line.
_guarded = traceback_guard(unexpected=RuntimeError, passes=(Exception,))
# Wide enough that piped tables never wrap: one line is one row, for grep and awk.
_PIPE_WIDTH = 500
# A count is shown anew after so many.
_COUNTED = 10_000
# Between two columns.
_GAP = 2
# Narrower a sentence is hard to read.
_SENTENCE_WIDTH = 24
_STYLES = {"error": "red", "over": "red", "warning": "yellow", "yes": "green"}

# Exit statuses, as diff and grep have them.
HAS_ERRORS = 1
TROUBLE = 2


def show(rows: Sequence[dict[str, Any]], output: str) -> None:
    """Print the rows, which have the same keys, as a table, a JSON list or a YAML list.

    A table whose words do not fit the terminal becomes a block of lines for each row.
    """
    if output == "table":
        _table(rows)
    else:
        document(list(rows), output)


def document(data: Any, output: str) -> None:
    """Print one value as JSON or, for any other output, as YAML."""
    if output == "json":
        print(json.dumps(data, indent=2, ensure_ascii=False))
    else:
        print(yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=1000), end="")


def stream(parts: Mapping[str, Any], output: str) -> None:
    """Print one mapping as `document` does; of its values those that are iterators one item after the other."""
    for number, (name, value) in enumerate(parts.items()):
        is_stream = isinstance(value, Iterator)
        if output != "json":
            document({name: value}, output) if not is_stream else print(f"{name}:")
            for item in value if is_stream else ():
                document([item], output)
            continue
        print("," if number else "{")
        if not is_stream:
            print(f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}", end="")
            continue
        print(f"{json.dumps(name)}: [", end="")
        for index, item in enumerate(value):
            print(f"{',' if index else ''}\n  {json.dumps(item, ensure_ascii=False)}", end="")
        print("\n]", end="")
    if output == "json":
        print("\n}")


def show_tree(rows: Sequence[dict[str, str]]) -> None:
    """Print rows of three columns, of which the first is a tree."""
    console = terminal()
    for number, line in enumerate(tree.lines(rows, console.width)):
        console.print(Text(line, style="" if number else "bold"), soft_wrap=True)


def _table(rows: Sequence[dict[str, Any]]) -> None:
    console = terminal()
    if not rows:
        console.print("Nothing.")
        return
    # As Text: what a template holds is never read as rich's own markup.
    cells = [[Text(text, style=_STYLES.get(text, "")) for text in map(cell, row.values())] for row in rows]
    columns = list(rows[0])
    widths = _widths(columns, cells, console.width - _GAP * (len(columns) - 1))
    if widths is None:
        _records(console, columns, cells)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, overflow="fold", width=widths[number])
    for row in cells:
        table.add_row(*row)
    console.print(table)


def _widths(columns: list[str], cells: list[list[Text]], room: int) -> list[int] | None:
    """Return the columns' widths, None where words would have to be cut.

    rich shortens all columns alike. Here the last ones wrap first, which hold the sentences; names and paths stay.
    """
    natural, least = [], []
    for title, column in zip(columns, zip(*cells, strict=True), strict=True):
        texts = [title, *(cell.plain for cell in column)]
        natural.append(max(cell_len(line) for text in texts for line in text.splitlines() or [""]))
        least.append(max(cell_len(word) for text in texts for word in text.split() or [""]))
    widths = list(natural)
    for floors in ([min(width // 2, _SENTENCE_WIDTH) for width in natural], least):
        for at in reversed(range(len(widths))):
            over = sum(widths) - room
            widths[at] = max(widths[at] - max(over, 0), least[at], floors[at])
    return widths if sum(widths) <= room else None


def _records(console: Console, columns: list[str], cells: list[list[Text]]) -> None:
    """Print each row as a block of lines, as psql does: in a table this wide words would be cut in the middle."""
    for number, row in enumerate(cells):
        block = Table.grid(padding=(0, 2))
        block.add_column(style="bold", no_wrap=True)
        block.add_column(overflow="fold")
        for column, cell in zip(columns, row, strict=True):
            block.add_row(column, cell)
        if number:
            console.print()
        console.print(block)


def cell(value: Any) -> str:
    """Return a value as a table shows it."""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{key}: {item}" for key, item in value.items())
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Let `reports_errors` see to it, as to a plain print: rich would end with status 1."""
        raise BrokenPipeError


def terminal() -> Console:
    """Return where people read: the terminal, or a pipe that wraps nothing."""
    return _Console() if sys.stdout.isatty() else _Console(width=_PIPE_WIDTH)


def with_count(items: Iterable[_Item], what: str) -> Iterator[_Item]:
    """Yield the items and count them on standard error, where that is a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield from items
        return
    with Progress(
        SpinnerColumn(), TextColumn("{task.completed:,} " + what), console=console, transient=True
    ) as bar:
        task = bar.add_task(what, total=None)
        for number, item in enumerate(items):
            if number % _COUNTED == 0:
                bar.update(task, completed=number)
            yield item


def with_progress(items: Sequence[_Item], what: str) -> Iterator[_Item]:
    """Yield the items with a progress bar on standard error, where that is a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield from items
        return
    with Progress(console=console, transient=True) as bar:
        yield from bar.track(items, description=what)


def reports_errors(command: Callable[[Any], int | None]) -> Callable[[Any], None]:
    """Give the command an exit status: what it returns, or 2 with the message for an error of this package.

    An error may have an exit_status of its own.
    """

    guarded = _guarded(command)

    @functools.wraps(command)
    def run(arguments: Any) -> None:
        try:
            status = guarded(arguments)
        except K8sVaultError as error:
            print(error, file=sys.stderr)
            raise SystemExit(getattr(error, "exit_status", TROUBLE)) from None
        except BrokenPipeError:
            # The reader (`| head`) has seen enough.
            sys.stderr.close()
            status = 0
        if status:
            raise SystemExit(status)

    return run


def coloured_diff(lines: Iterable[str]) -> None:
    """Print the lines of a unified diff."""
    console = terminal()
    for line in lines:
        if not console.is_terminal:
            # For `patch`: with its tabs, and the ends of lines that the file has.
            print(line.removesuffix("\n"))
            continue
        style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
        console.print(Text(line.rstrip("\n"), style=style), soft_wrap=True)
