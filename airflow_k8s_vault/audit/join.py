"""Which task instance a login was made for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from airflow_k8s_vault.audit.roles import Roles
from airflow_k8s_vault.audit.session import Session
from airflow_k8s_vault.audit.task_run import TaskRun

_BUCKET_SECONDS = 300
# A week: whoever runs for longer has logged in before.
_MOST_BUCKETS = 2016


@dataclass(frozen=True, slots=True)
class Match:
    """A login and the task runs that it may be of.

    how: "pod" (by the pod's name), "time" (the one task of the team that started then and declares these paths),
    "one of" (there are as many tasks as logins), "again" (from the address of a failed task's login: an agent that
    gives up is started again), or "none", which is an alarm.
    """

    session: Session
    tasks: tuple[TaskRun, ...]
    how: str


def join(sessions: Sequence[Session], tasks: Iterable[TaskRun], roles: Roles) -> list[Match]:
    """Return a match for each session, in their order.

    Vault's method jwt tells the pod of a login. The method kubernetes does not: there it is the time and the
    paths. Each task run is the answer for one login at most, so that one login more than tasks is nobody's.
    """
    listed = list(tasks)
    by_pod, by_time = {task.pod: task for task in listed if task.pod}, _Tasks(listed)
    matches = dict[int, Match]()
    left = dict[int, list[TaskRun]]()
    for number, session in enumerate(sessions):
        if session.stranger or (session.pod and session.pod not in by_pod):
            matches[number] = Match(session, (), "none")
        elif session.pod:
            matches[number] = Match(session, (by_pod[session.pod],), "pod")
        else:
            left[number] = by_time.candidates(session, roles)
    for group in _groups(left):
        matches |= group.matches(sessions)
    return [matches[number] for number in range(len(sessions))]


class _Group:
    """Logins and task runs that can only be each other's."""

    def __init__(self) -> None:
        self.candidates: dict[int, list[TaskRun]] = {}

    def matches(self, sessions: Sequence[Session]) -> dict[int, Match]:
        taken = self._taken()
        all_tasks = {id(task): task for tasks in self.candidates.values() for task in tasks}
        is_clear = len(all_tasks) == 1 == len(self.candidates)
        result = {}
        for number, tasks in self.candidates.items():
            if number not in taken.values():
                result[number] = self._one_too_many(number, sessions, taken)
            elif is_clear or len(tasks) == 1:
                result[number] = Match(sessions[number], tuple(tasks), "time")
            else:
                result[number] = Match(sessions[number], tuple(tasks), "one of")
        return result

    def _one_too_many(self, number: int, sessions: Sequence[Session], taken: dict[int, int]) -> Match:
        session = sessions[number]
        again = tuple(
            task
            for task in self.candidates[number]
            if task.failed and sessions[taken[id(task)]].address == session.address != ""
        )
        return Match(session, again, "again" if again else "none")

    def _taken(self) -> dict[int, int]:
        """Return the login of each task (by id), as many as can be, by augmenting paths."""
        taken: dict[int, int] = {}
        for number in sorted(self.candidates, key=lambda number: len(self.candidates[number])):
            self._place(number, taken)
        return taken

    def _place(self, number: int, taken: dict[int, int]) -> None:
        # Breadth first, without recursion: a thousand tasks may start at once.
        came_from: dict[int, tuple[int, int | None]] = {}
        queue: list[tuple[int, int | None]] = [(number, None)]
        for login, via in queue:
            for task in self.candidates[login]:
                if id(task) in came_from:
                    continue
                came_from[id(task)] = (login, via)
                if id(task) not in taken:
                    at: int | None = id(task)
                    while at is not None:
                        login_of, before = came_from[at]
                        taken[at] = login_of
                        at = before
                    return
                queue.append((taken[id(task)], id(task)))


class _Tasks:
    """Task runs by team and time: there may be a hundred thousand, and as many logins."""

    def __init__(self, tasks: Iterable[TaskRun]) -> None:
        self._by_time = defaultdict[tuple[str, int], list[TaskRun]](list)
        for task in tasks:
            first, last = (int(time // _BUCKET_SECONDS) for time in task.logins)
            for bucket in range(first, min(last, first + _MOST_BUCKETS) + 1):
                self._by_time[task.team, bucket].append(task)

    def candidates(self, session: Session, roles: Roles) -> list[TaskRun]:
        paths = {read.path for read in session.reads}
        bucket = int(session.begin // _BUCKET_SECONDS)
        return [
            task
            for task in self._by_time.get((session.team, bucket), ())
            if task.logins[0] <= session.begin <= task.logins[1]
            and task.may_read(paths)
            and roles.may_be(session.team, session.account, task.dag_id)
        ]


def _groups(candidates: dict[int, list[TaskRun]]) -> Iterable[_Group]:
    """Split the logins into groups that share no task run."""
    groups: dict[int, _Group] = {}
    of_task: dict[int, _Group] = {}
    for number, tasks in candidates.items():
        group = groups[number] = _Group()
        group.candidates[number] = tasks
        for task in tasks:
            other = of_task.get(id(task), group)
            if other is not group:
                small, group = sorted((group, other), key=lambda one: len(one.candidates))
                group.candidates.update(small.candidates)
                for moved, its_tasks in small.candidates.items():
                    groups[moved] = group
                    of_task.update((id(its), group) for its in its_tasks)
            of_task[id(task)] = group
    return {id(group): group for group in groups.values()}.values()
