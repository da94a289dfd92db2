"""What became of one case, as one line of the table."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Row:
    """`ended`: how the task ended, in the words of its error; `left`: what was still there at the end.

    gone_seconds: from the end of the task until nothing of it was left. wrong: what is not as it should be.
    """

    case: str
    delivery: str
    mode: str
    ended: str
    pods: int
    logins: int
    leases: int
    left: str
    gone_seconds: float
    errors: list[str] = field(default_factory=list)

    @property
    def cells(self) -> list[str]:
        verdict = "ok" if not self.errors else "; ".join(self.errors)
        counts = [str(self.pods), str(self.logins), str(self.leases)]
        ended = self.ended.replace("|", "/")
        return [
            self.case,
            self.delivery,
            self.mode,
            ended,
            *counts,
            self.left,
            f"{self.gone_seconds:.1f}",
            verdict,
        ]


HEAD = ["case", "delivery", "mode", "the task", "pods", "logins", "leases", "left", "gone after s", ""]


def table(rows: list[Row]) -> str:
    """Return the rows as a Markdown table, which is what docs/faults.md holds."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    return "\n".join([*lines, *("| " + " | ".join(row.cells) + " |" for row in rows)])
