"""Search, filter, sort and page of "who gets what"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_k8s_vault.page.usage import Row

ROWS_A_PAGE = 100
COLUMNS = {
    "path": "Vault path",
    "dag_id": "DAG",
    "task_id": "Task",
    "container": "Container",
    "target": "As",
    "key": "Key",
    "delivery": "Delivery",
    "team": "Team",
}


@dataclass(frozen=True)
class Listing:
    """The rows that match, all of them and those of this page; `teams` and `paths` are what one can filter by."""

    all: list[Row]
    rows: list[Row]
    teams: list[str]
    search: str
    team: str
    path: str
    sort: str
    page: int
    pages: int
    columns: Mapping[str, str] = field(default_factory=lambda: COLUMNS)

    def link(self, **changes: Any) -> dict[str, Any]:
        """Return the parameters of this listing with some of them changed, for a link."""
        given = {"q": self.search, "team": self.team, "path": self.path, "sort": self.sort, "page": self.page}
        return {name: value for name, value in (given | changes).items() if value not in ("", None)}

    def sorted_by(self, column: str) -> str:
        """Return the `sort` that a click on the column's head asks for."""
        return f"-{column}" if self.sort == column else column

    def direction(self, column: str) -> str:
        """Return what `aria-sort` says of the column."""
        return {column: "ascending", f"-{column}": "descending"}.get(self.sort, "none")


def of(rows: Iterable[Row], parameters: Mapping[str, str]) -> Listing:
    """Return the listing that the parameters q, team, path, sort and page ask for; what is odd is left out."""
    everything = list(rows)
    search, team, path = (parameters.get(name, "")[:200] for name in ("q", "team", "path"))
    sort = parameters.get("sort", "path")
    if sort.removeprefix("-") not in COLUMNS:
        sort = "path"
    words = search.lower().split()
    matching = [
        row
        for row in everything
        if team in ("", row.team)
        and path in ("", row.path)
        and all(any(word in cell.lower() for cell in row) for word in words)
    ]
    matching.sort()
    matching.sort(key=lambda row: str(getattr(row, sort.removeprefix("-"))), reverse=sort.startswith("-"))
    pages = max(1, -(-len(matching) // ROWS_A_PAGE))
    text = parameters.get("page", "1")
    page = min(max(1, int(text) if text.isascii() and text.isdigit() and len(text) < 8 else 1), pages)
    shown = matching[(page - 1) * ROWS_A_PAGE : page * ROWS_A_PAGE]
    return Listing(
        matching, shown, sorted({row.team for row in everything}), search, team, path, sort, page, pages
    )
