"""One try of a task instance, as far as it says which login could have been its pod's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TaskRun:
    """Times are seconds since the epoch; end=None: it still runs. failed: it has ended, and not well.

    pod: the pod's name, "" where it is not known. logins: from when to when its pod may have logged in. paths:
    what it declared, None where that is not known (a connection, which may be at one of several paths).
    """

    dag_id: str
    task_id: str
    run_id: str
    try_number: int
    map_index: int
    team: str
    pod: str
    begin: float
    end: float | None
    logins: tuple[float, float]
    paths: frozenset[str] | None
    failed: bool = False

    @property
    def name(self) -> str:
        """The task instance, as people write it.

        >>> TaskRun("load", "each", "manual__1", 1, 3, "payments", "", 0, None, (0, 1), None).name
        'load.each[3]'
        """
        return f"{self.dag_id}.{self.task_id}" + (f"[{self.map_index}]" if self.map_index >= 0 else "")

    def may_read(self, paths: set[str]) -> bool:
        return self.paths is None or paths <= self.paths
