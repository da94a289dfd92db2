"""A report as people read it: a line a check, and below what is not well what to do (as `linkerd check`)."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from airflow_k8s_vault.doctor.check import Done

MARKS = {"success": "√", "warning": "‼", "error": "×", "unknown": "?", "skipped": "-"}
STYLES = {"success": "green", "warning": "yellow", "error": "red", "unknown": "cyan", "skipped": "dim"}
_INDENT = "    "


def lines(done: Done, width: int) -> Iterator[tuple[str, str]]:
    """Yield each line with its style, none wider than `width` columns but for words that are."""
    result = done.outcome.result
    yield from _wrapped(f"{MARKS[result]} {done.description}", "  ", width, STYLES[result])
    if result == "success":
        return
    for text in done.outcome.message.splitlines():
        yield from _wrapped(text, _INDENT, width, "")
    if done.hint:
        yield from _wrapped(f"→ {done.hint}", _INDENT, width, "bold")
        yield f"{_INDENT}see {done.check.cause.anchor}", "dim"


def _wrapped(text: str, indent: str, width: int, style: str) -> Iterator[tuple[str, str]]:
    wrapped = textwrap.wrap(
        text.strip(), max(width - len(indent), 20), break_long_words=False, break_on_hyphens=False
    )
    for number, line in enumerate(wrapped):
        yield f"{indent}{'  ' if number else ''}{line}", style
