"""Which pods are a task's own: what was found, and not made this moment, may be anybody's.

Labels tell nothing: whoever may make pods in the namespace sets them. Nor does Airflow's task state store, which
users of its API may write to. A pod is the task's where Kubernetes gave it the UID that the task was told when it
made the pod, or where it bears this task's annotation and is, field by field, what the task would send now.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from airflow_k8s_vault import policy
from airflow_k8s_vault.delivery import OWNER_ANNOTATION, REQUEST_ANNOTATION, TEMPLATE_ANNOTATION
from airflow_k8s_vault.errors import ForeignPod
from airflow_k8s_vault.templates import PodTemplate

_REQUEST = re.compile(r"[0-9a-f]{10}")
# Of the differences, in a message: one is enough to know that it is another pod.
_MOST_SHOWN = 3


def owner(running: Mapping[str, Any]) -> str:
    """Return a fingerprint of what Airflow's server calls the running task (see task_pod.running_task).

    Whole names: labels are cut and changed to what Kubernetes allows there.
    """
    names = [running[name] for name in ("dag_id", "task_id", "run_id", "map_index")]
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()[:32]


class OwnPods:
    """The pods that a task made, or found and took for its own, by their UIDs."""

    def __init__(self) -> None:
        self._uids = set[str]()

    def add(self, pod: Any) -> None:
        self._uids.add(pod.metadata.uid)

    def __contains__(self, pod: Any) -> bool:
        return pod.metadata.uid in self._uids

    def require(self, pod: Any) -> None:
        """Raise ForeignPod unless the pod, as it was just read, is one of them."""
        if pod not in self:
            raise ForeignPod(
                f"Pod {named(pod)} is not the one that this task made: another one took its name. "
                "It is left alone."
            )


def strange(pod: Any, template: PodTemplate, running: Mapping[str, Any]) -> list[str]:
    """Return the fields of a V1Pod that say that it is not the running task's; none where nothing does.

    This is all that can be said of a pod after its task was deferred: template and DAG may have changed since.
    """
    annotations = pod.metadata.annotations or {}
    team = template.team
    requested = (
        ("metadata.namespace", pod.metadata.namespace, team.namespace),
        ("spec.serviceAccountName", pod.spec.service_account_name, team.service_account),
        (TEMPLATE_ANNOTATION, annotations.get(TEMPLATE_ANNOTATION), template.name),
        (OWNER_ANNOTATION, annotations.get(OWNER_ANNOTATION), owner(running)),
    )
    return [field for field, value, expected in requested if value != expected]


def different(live: Mapping[str, Any], sent: Mapping[str, Any]) -> list[str]:
    """Return the fields in which a pod that was found, by its manifest, is not what this try of the task sends."""
    theirs = (live["metadata"].get("annotations") or {}).get(REQUEST_ANNOTATION, "")
    ours = sent["metadata"]["annotations"][REQUEST_ANNOTATION]
    if not _REQUEST.fullmatch(theirs):
        return [REQUEST_ANNOTATION]
    # The pod's Secrets are named after its request, which is another one in each try.
    return policy.differences(live, json.loads(json.dumps(sent).replace(ours, theirs)))


def left_alone(pod: Any, how_known: str, fields: list[str]) -> str:
    """Return what to say of a pod that was found and is not the task's: by these fields."""
    more = len(fields) - _MOST_SHOWN
    shown = ", ".join(fields[:_MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")
    return f"Pod {named(pod)}, which {how_known}, is not this task's (by its {shown}). It is left alone."


def named(pod: Any) -> str:
    return f"{pod.metadata.namespace}/{pod.metadata.name}"
