"""Groups of a task's log, which Airflow's page folds: what stands in one that was not closed is not seen."""

from __future__ import annotations

from typing import Any

_BEGIN, _END = "::group::", "::endgroup::"


class LogGroups:
    """Counts the groups that are open: KubernetesPodOperator's, and those that the task's own process printed."""

    def __init__(self) -> None:
        self._open = 0

    def see(self, line: str) -> None:
        """Take down a line of the log. The page looks for the marks anywhere in it."""
        if _BEGIN in line:
            self._open += 1
        elif _END in line:
            self._open = max(0, self._open - 1)

    def close(self, log: Any) -> None:
        """Close all, and one more, which the triggerer may have left; a mark that closes none is not shown."""
        for _ in range(self._open + 1):
            log.info(_END)
        self._open = 0
