"""What happened to a pod and when: the steps of a delivery, read off its status.

Pure functions on a Pod as Kubernetes' API gives it (JSON), so that the worker, which records them, and the page,
which shows a running pod, say the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from airflow_k8s_vault.delivery.agent import CONTAINER

# The start of a container that never started, as the runtime gives it.
_NEVER = "1970-01-01"


class Step(NamedTuple):
    """One step; `at` is an RFC 3339 time, empty for what Kubernetes gives no time of."""

    name: str
    at: str


def steps_of(pod: Mapping[str, Any], base_container: str = "base") -> list[Step]:
    """Return the steps that the pod has taken, in their order.

    Kubernetes' times are whole seconds. "Credentials ready" has the time at which the base container started: its
    start waits for them, and the kubelet records no time of its own.

    >>> base = {"name": "base", "state": {"running": {"startedAt": "2026-01-31T10:00:02Z"}}}
    >>> steps_of({"metadata": {}, "status": {"containerStatuses": [base]}})
    [Step(name='main process started', at='2026-01-31T10:00:02Z')]
    """
    return [Step(name, at) for name, at in _steps(pod, base_container) if at]


def _steps(pod: Mapping[str, Any], base_container: str) -> Iterator[tuple[str, str]]:
    status = pod.get("status") or {}
    containers = {
        container["name"]: container
        for section in ("initContainerStatuses", "containerStatuses")
        for container in status.get(section) or ()
    }
    agent, base = containers.get(CONTAINER), containers.get(base_container)
    yield "created", str((pod.get("metadata") or {}).get("creationTimestamp") or "")
    yield "scheduled", _condition(status, "PodScheduled")
    if agent is not None:
        yield "agent started", _time(agent, "startedAt")
        if base is not None and _time(base, "startedAt"):
            yield "credentials ready", _time(base, "startedAt")
    if base is not None:
        yield "main process started", (started := _time(base, "startedAt"))
        yield "main process ended" if started else "main process could not start", _time(base, "finishedAt")
    if agent is not None:
        yield "agent ended, its login revoked", _time(agent, "finishedAt")


def _condition(status: Mapping[str, Any], kind: str) -> str:
    for condition in status.get("conditions") or ():
        if condition.get("type") == kind and condition.get("status") == "True":
            return str(condition.get("lastTransitionTime") or "")
    return ""


def _time(container: Mapping[str, Any], key: str) -> str:
    state = container.get("state") or {}
    for name in ("running", "terminated"):
        if (result := (state.get(name) or {}).get(key)) is not None:
            return "" if str(result).startswith(_NEVER) else str(result)
    return ""
