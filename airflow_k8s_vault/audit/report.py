"""One team's page for an auditor: what it could read, what it did, and what it never used."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from airflow_k8s_vault.audit import findings
from airflow_k8s_vault.audit.join import Match
from airflow_k8s_vault.teams import Team


def of_team(
    team: Team, matches: Sequence[Match], declared: Iterable[tuple[str, str]], until: float
) -> dict[str, Any]:
    """Return what is to be said of a team. matches: of its logins. declared: task and path, of its DAGs."""
    times, policies, refused = Counter[str](), Counter[str](), Counter[str]()
    readers = defaultdict[str, set[str]](set)
    for match in matches:
        for read in match.session.reads:
            if read.error:
                refused[read.path] += 1
                continue
            times[read.path] += 1
            policies.update(read.policies)
            readers[read.path].update(task.name for task in match.tasks)
    return {
        "team": team.name,
        "could read": list(team.secrets),
        "said in": team.where("secrets"),
        "logins": len(matches),
        "policies that allowed a read": dict(sorted(policies.items())),
        "read": [
            {"path": path, "times": number, "tasks": sorted(readers[path])}
            for path, number in sorted(times.items())
        ],
        "refused": [{"path": path, "times": number} for path, number in sorted(refused.items())],
        "logins of no task": list(findings.alarms(matches)),
        "outlived its task": list(findings.outlived(matches, until)),
        "declared and never read": list(findings.never_read({team.name: declared}, matches)),
        "ceiling never used": [ceiling for ceiling in team.secrets if not _covers_any(team, ceiling, times)],
    }


def _covers_any(team: Team, ceiling: str, paths: Iterable[str]) -> bool:
    alone = replace(team, secrets=(ceiling,))
    return any(alone.allows_path(path) for path in paths)
