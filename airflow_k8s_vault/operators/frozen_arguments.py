"""What must stay as it was once a task is made, because the final pod would not tell that it changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow_k8s_vault.errors import PolicyError
from airflow_k8s_vault.operators import plain
from airflow_k8s_vault.policy import traceless_arguments
from airflow_k8s_vault.teams import Team

# Ours, which decide whose pod it is.
_OWN = ("pod_template", "team")
# Where a run keeps its pod: set before it begins, they would bring a pod past template and checks.
_OF_A_RUN = ("pod", "pod_request_obj", "remote_pod")
# Made on first use: what is there before stands for the cluster's client, or for who watches the pod.
_MADE_ON_USE = ("hook", "client", "pod_manager")


def of(task: Any, team: Team) -> dict[str, object]:
    """Return, by attribute, what must not change of the task: what the team does not leave open, and ours."""
    return {name: plain.snapshot(getattr(task, name, None)) for name in (*attributes(task, team), *_OWN)}


def attributes(task: Any, team: Team) -> Iterator[str]:
    """Yield where KubernetesPodOperator keeps each argument that is closed and leaves no trace in the pod."""
    for name in traceless_arguments(team):
        yield name if name in vars(task) else f"_{name}"


def require_unchanged(task: Any, before: Mapping[str, object], team: Team) -> None:
    """Raise PolicyError where something of `before`, which `of` gave, is not what it was."""
    changed = [name for name, value in before.items() if not plain.same(value, getattr(task, name, None))]
    if changed:
        raise PolicyError(
            f"{', '.join(changed)} of task '{task.task_id}' changed after the task was made: what team "
            f"'{team.name}' does not leave open to DAGs stays as it was ({team.where('overridable')})."
        )


def require_unstarted(task: Any) -> None:
    """Raise PolicyError where a task that is about to begin has a pod, or a client of the cluster, already."""
    given = [name for name in _OF_A_RUN if getattr(task, name, None) is not None]
    given += [name for name in _MADE_ON_USE if name in vars(task)]
    if given:
        raise PolicyError(
            f"Task '{task.task_id}' has {', '.join(given)} before it has begun: its pod is made from its "
            "template, and nothing else."
        )
