"""How long a pod, and the credentials made for it, may live: as long as its task may run."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

# Of a pod's grace period, so that an agent that is told to end can still revoke its login.
LEAST_GRACE_SECONDS = 5


def bound_lifetime(manifest: dict[str, Any], execution_timeout: timedelta | None) -> None:
    """Let the kubelet end the pod when the task's time is over, should nobody else be left to do it.

    Sets spec.activeDeadlineSeconds, which counts from the pod's start: Airflow, which counts from the task's,
    comes first. A template's own limit stays where it is the shorter one.
    """
    if execution_timeout is not None:
        seconds = max(1, math.ceil(execution_timeout.total_seconds()))
        spec = manifest["spec"]
        spec["activeDeadlineSeconds"] = min(seconds, spec.get("activeDeadlineSeconds") or seconds)


def lifetime_seconds(pod: Any, execution_timeout: timedelta | None, start_seconds: int) -> int | None:
    """Return how long credentials that are made now may be needed; None where the task has no limit.

    pod: the V1Pod to be created. start_seconds: how long its start may take, which activeDeadlineSeconds does not
    count.
    """
    limits = []
    if execution_timeout is not None:
        limits.append(max(1, math.ceil(execution_timeout.total_seconds())))
    if pod is not None and pod.spec.active_deadline_seconds:
        limits.append(pod.spec.active_deadline_seconds + start_seconds)
    return min(limits, default=None)
