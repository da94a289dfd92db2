"""Output of the commands: a table for people, JSON and YAML for programs; colours only on a terminal."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import yaml
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from airflow_k8s_vault.errors import K8sVaultError

_Item = TypeVar("_Item")
# Wide enough that piped tables never wrap.
_PIPE_WIDTH = 500
_STYLES = {"error": "red", "warning": "yellow", "yes": "green"}

# Exit statuses, as diff and grep have them.
FOUND_PROBLEMS = 1
TROUBLE = 2


def show(rows: Sequence[dict[str, Any]], output: str) -> None:
    """Print the rows, which have the same keys, as a table, a JSON list or a YAML list."""
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


def _table(rows: Sequence[dict[str, Any]]) -> None:
    console = _console()
    if not rows:
        console.print("Nothing.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in rows[0]:
        table.add_column(column, overflow="fold")
    for row in rows:
        # As Text: what a template holds is never read as rich's own markup.
        table.add_row(*(Text(_cell(value), style=_STYLES.get(_cell(value), "")) for value in row.values()))
    console.print(table)


def _cell(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _console() -> Console:
    return Console() if sys.stdout.isatty() else Console(width=_PIPE_WIDTH)


def with_progress(items: Sequence[_Item], what: str) -> Iterator[_Item]:
    """Yield the items with a progress bar on standard error, where that is a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield from items
        return
    with Progress(console=console, transient=True) as bar:
        yield from bar.track(items, description=what)


def reports_errors(command: Callable[[Any], int | None]) -> Callable[[Any], None]:
    """Give the command an exit status: what it returns, or 2 with the message for an error of this package."""

    @functools.wraps(command)
    def run(arguments: Any) -> None:
        try:
            status = command(arguments)
        except K8sVaultError as error:
            print(error, file=sys.stderr)
            raise SystemExit(TROUBLE) from None
        except BrokenPipeError:
            # The reader (`| head`) has seen enough.
            sys.stderr.close()
            status = 0
        if status:
            raise SystemExit(status)

    return run


def coloured_diff(lines: Iterable[str]) -> None:
    """Print the lines of a unified diff."""
    console = _console()
    for line in lines:
        style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
        console.print(Text(line.rstrip("\n"), style=style), soft_wrap=True)
