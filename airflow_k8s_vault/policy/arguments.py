"""Which KubernetesPodOperator arguments a DAG may set."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from airflow_k8s_vault.teams import POD_ARGUMENTS, POD_ARGUMENTS_BY_NAME, Team

# KubernetesPodOperator gives each pod a name and labels itself, so those fields are not as the template has them.
_ALSO_SET = ("name", "labels")


def check(team: Team, given: Iterable[str]) -> list[str]:
    """Return one sentence for each argument that the team does not leave open; empty where all are open.

    given: the names of KubernetesPodOperator's own arguments that a DAG sets (a dict of them will do), without
    those of BaseOperator. A name that this release does not know is refused.
    """
    return [f"{name} {_reason(team, name)}" for name in sorted(given) if not is_open(team, name)]


def argument_refusal(task_id: str, team: Team, given: Iterable[str]) -> str | None:
    """Return the whole message for a task that sets arguments it may not, or None where all are open."""
    closed = [name for name in sorted(given) if not is_open(team, name)]
    if not closed:
        return None
    named = closed[0] if len(closed) == 1 else f"{', '.join(closed[:-1])} and {closed[-1]}"
    reasons = "".join(f"\n  {sentence}" for sentence in check(team, closed))
    return (
        f"Task '{task_id}' sets {named}, which team '{team.name}' does not leave open to DAGs.\n"
        f"  Open: {', '.join(team.overridable) or 'none'} ({team.where('overridable')}).{reasons}"
    )


def traceless_arguments(team: Team) -> tuple[str, ...]:
    """Return the arguments that the team does not leave open and whose change the final pod would not show.

    Whether they are still as they were is looked at by themselves.
    """
    return _traceless(team.overridable)


@lru_cache(maxsize=256)
def _traceless(overridable: tuple[str, ...]) -> tuple[str, ...]:
    closed = (a for a in POD_ARGUMENTS if a.rule == "locked" or (a.rule == "team" and a.name not in overridable))
    return tuple(argument.name for argument in closed if not argument.fields or argument.name in _ALSO_SET)


def is_open(team: Team, name: str) -> bool:
    """Whether the team lets a DAG set the argument."""
    argument = POD_ARGUMENTS_BY_NAME.get(name)
    if argument is None or argument.rule == "locked":
        return False
    return argument.rule == "open" or name in team.overridable


def _reason(team: Team, name: str) -> str:
    argument = POD_ARGUMENTS_BY_NAME.get(name)
    if argument is None:
        return "is not known to this release of airflow-k8s-vault."
    if argument.rule == "locked":
        return f"is never open to DAGs: {argument.reason}."
    if name not in team.platform.overridable:
        return f"is closed to all teams by {team.platform_where('overridable')}."
    return f"can be opened by the team's file ({team.where('overridable')})."
