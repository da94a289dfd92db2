"""One line of the benchmark table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """What was measured for the peer and for us, in `unit`, and whether that is what was wanted.

    peer: None where there is none. note: how a figure came about, where it was not simply measured.
    """

    work: str
    peer: float | None
    ours: float
    unit: str
    target: str
    met: bool
    note: str = ""

    @property
    def ratio(self) -> float | None:
        return None if self.peer is None or not self.ours else self.peer / self.ours


def figure(value: float | None, unit: str) -> str:
    """
    >>> figure(0.0000013, "s"), figure(0.25, "s"), figure(7, "logins"), figure(1200, "s")
    ('1.3 µs', '250 ms', '7 logins', '1200 s')
    """
    if value is None:
        return ""
    if unit != "s":
        return f"{value:g} {unit if value != 1 else unit.removesuffix('s')}"
    for limit, factor, name in ((1e-3, 1e6, "µs"), (1, 1e3, "ms")):
        if value < limit:
            return f"{value * factor:.3g} {name}"
    return f"{value:.3g} s" if value < 100 else f"{value:.0f} s"


def table(rows: list[Row]) -> str:
    """Return the rows as a Markdown table, which is what the README holds."""
    lines = ["| work | peer | ours | ratio | wanted | |", "|---|---|---|---|---|---|"]
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.3g} ×"
        verdict = "ok" if row.met else "MISSED"
        cells = (row.work, figure(row.peer, row.unit), figure(row.ours, row.unit), ratio, row.target, verdict)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *(f"{row.work}: {row.note}" for row in rows if row.note)])
