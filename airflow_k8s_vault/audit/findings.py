"""What an audit has to say: who read what, what is nobody's, what was never read, and what outlived its pod."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from airflow_k8s_vault.audit.join import Match
from airflow_k8s_vault.audit.session import Session
from airflow_k8s_vault.audit.task_run import TaskRun

# An agent, a worker or a triggerer revokes within seconds of the end; this long nobody has to wonder.
OUTLIVED_SECONDS = 60.0


def reads(matches: Iterable[Match]) -> Iterator[dict[str, Any]]:
    """Yield a row for each read of a secret, in the order of the logins."""
    for match in matches:
        for read in match.session.reads:
            yield {
                "time": shown(read.time),
                "path": read.path,
                "team": match.session.team,
                **_task(match),
                "lease": read.lease,
                "revoked": shown(match.session.revoked),
                "policies": list(read.policies),
                "matched by": match.how,
                **({"refused": _first_line(read.error)} if read.error else {"refused": ""}),
            }


def alarms(matches: Iterable[Match]) -> Iterator[dict[str, Any]]:
    """Yield a row for each login with a team's role that is of no task."""
    for match in matches:
        if match.how == "none":
            session = match.session
            yield {
                "time": shown(session.begin),
                "team": session.team,
                "role": session.role,
                "account": session.account,
                "pod": session.pod,
                "from": session.address,
                "paths": sorted({read.path for read in session.reads}),
                "why": _why(session),
                "revoked": shown(session.revoked),
            }


def _why(session: Session) -> str:
    if session.stranger:
        return "The team's role was used by an account that is none of the team's."
    if session.pod:
        return "No task has made the pod that logged in."
    return "No task of the team that declares these paths was starting then, or there was a login more than tasks."


def never_read(
    declared: Mapping[str, Iterable[tuple[str, str]]], matches: Iterable[Match]
) -> Iterator[dict[str, Any]]:
    """Yield a row for each path that tasks declare and no login of their team has read.

    declared: of each team its tasks and the paths that they declare.
    """
    read = {(match.session.team, one.path) for match in matches for one in match.session.reads if not one.error}
    for team, pairs in sorted(declared.items()):
        for path in sorted({path for _, path in pairs}):
            if (team, path) not in read:
                tasks = sorted({task for task, declares in pairs if declares == path})
                yield {"team": team, "path": path, "declared by": tasks}


def outlived(matches: Iterable[Match], until: float) -> Iterator[dict[str, Any]]:
    """Yield a row for each login that was good for longer than a minute after its task's end.

    until: of when the files are, in seconds since the epoch. What expires is not logged: its time is what Vault
    gave.
    """
    for match in matches:
        ends = [task.end for task in match.tasks]
        if match.how == "none" or not ends or None in ends:
            continue
        end = max(end for end in ends if end is not None)
        ended = match.session.ended
        if end > until - OUTLIVED_SECONDS or (ended is not None and ended <= end + OUTLIVED_SECONDS):
            continue
        yield {
            "team": match.session.team,
            **_task(match),
            "task ended": shown(end),
            "credentials ended": shown(ended),
            "how": "revoked" if match.session.revoked else "by its TTL" if ended else "not known",
            "paths": sorted({read.path for read in match.session.reads}),
            "leases": [read.lease for read in match.session.reads if read.lease],
        }


def _task(match: Match) -> dict[str, Any]:
    tasks: Sequence[TaskRun] = match.tasks
    if len(tasks) != 1:
        names = sorted({task.name for task in tasks})
        return {"task": " or ".join(names), "run": "", "try": None, "pod": match.session.pod}
    (task,) = tasks
    return {"task": task.name, "run": task.run_id, "try": task.try_number, "pod": match.session.pod or task.pod}


def shown(time: float | None) -> str:
    """Return a time as Vault writes it, "" where there is none.

    >>> shown(1.5)
    '1970-01-01T00:00:01.500Z'
    """
    if time is None:
        return ""
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _first_line(error: str) -> str:
    lines = [line.strip(" *\t") for line in error.splitlines() if line.strip(" *\t")]
    return lines[-1] if lines else ""
