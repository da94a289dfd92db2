"""The tables that `kubectl get` prints: meta.k8s.io/v1 Table, with a row per object.

Source: kubernetes, pkg/printers/internalversion/printers.go. Of other kinds than two names and ages are shown.

Needed by `kubectl get pods` and `kubectl events`, which tell why a task does not start.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from typing import Any

from k8s_vault_devcluster.store import Object, Objects

_META = {"apiVersion": "meta.k8s.io/v1"}


def table(resource: str, objects: Objects, version: str) -> Object:
    """Return the Table of these objects; `resource` is their plural."""
    columns = _COLUMNS.get(resource, {"Name": _name, "Age": _age})
    definitions = [
        {"name": name, "type": "string", "format": name.lower() if name == "Name" else "", "description": name}
        for name in columns
    ]
    rows = [
        {
            "cells": [cell(obj) for cell in columns.values()],
            "object": {"kind": "PartialObjectMetadata", **_META, "metadata": obj["metadata"]},
        }
        for obj in objects
    ]
    head = {"kind": "Table", **_META, "metadata": {"resourceVersion": version}}
    return {**head, "columnDefinitions": [{**each, "priority": 0} for each in definitions], "rows": rows}


def _name(obj: Object) -> str:
    return str(obj["metadata"]["name"])


def _age(obj: Object) -> str:
    return since(obj["metadata"].get("creationTimestamp"))


def since(timestamp: str | None) -> str:
    """Return how long ago that was, as kubectl writes it: 5s, 3m12s, 2h, 4d."""
    if not timestamp:
        return "<unknown>"
    then = datetime.datetime.fromisoformat(timestamp.replace("Z", "+00:00"))
    seconds = max(0, int((datetime.datetime.now(datetime.UTC) - then).total_seconds()))
    minutes, hours = seconds // 60, seconds // 3600
    for below, text in (
        (2 * 60, f"{seconds}s"),
        (10 * 60, f"{minutes}m{seconds % 60}s"),
        (3 * 3600, f"{minutes}m"),
        (8 * 3600, f"{hours}h{minutes % 60}m"),
        (48 * 3600, f"{hours}h"),
    ):
        if seconds < below:
            return re.sub(r"(?<=\D)0\D$", "", text)
    return f"{hours // 24}d"


def _statuses(pod: Object, which: str) -> list[Object]:
    return list(pod.get("status", {}).get(which, []))


def _sidecars(pod: Object) -> set[str]:
    containers = pod["spec"].get("initContainers", [])
    return {each["name"] for each in containers if each.get("restartPolicy") == "Always"}


def _running(pod: Object) -> list[Object]:
    sidecars = [each for each in _statuses(pod, "initContainerStatuses") if each["name"] in _sidecars(pod)]
    return _statuses(pod, "containerStatuses") + sidecars


def _ready(pod: Object) -> str:
    total = len(pod["spec"]["containers"]) + len(_sidecars(pod))
    return f"{sum(bool(each.get('ready')) for each in _running(pod))}/{total}"


def _pod_status(pod: Object) -> str:
    """The phase, or the reason nearest to it."""
    status = pod.get("status", {})
    reason = status.get("reason") or status.get("phase", "Unknown")
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition.get("reason") == "SchedulingGated":
            reason = "SchedulingGated"
    if pod["metadata"].get("deletionTimestamp") and status.get("phase") not in ("Succeeded", "Failed"):
        return "Terminating"
    return str(_init_reason(pod) or _container_reason(pod) or reason)


def _init_reason(pod: Object) -> str | None:
    total = len(pod["spec"].get("initContainers", []))
    for index, each in enumerate(_statuses(pod, "initContainerStatuses")):
        ended = each.get("state", {}).get("terminated")
        if (ended and ended["exitCode"] == 0) or (each["name"] in _sidecars(pod) and each.get("started")):
            continue
        if ended:
            return f"Init:{_end(ended)}"
        waiting = each.get("state", {}).get("waiting", {}).get("reason", "")
        return f"Init:{waiting}" if waiting not in ("", "PodInitializing") else f"Init:{index}/{total}"
    return None


def _end(ended: Object) -> str:
    return ended.get("reason") or f"ExitCode:{ended['exitCode']}"


def _container_reason(pod: Object) -> str | None:
    reason = None
    for each in reversed(_statuses(pod, "containerStatuses")):
        state = each.get("state", {})
        if state.get("waiting", {}).get("reason"):
            reason = state["waiting"]["reason"]
        elif state.get("terminated"):
            reason = _end(state["terminated"])
        elif each.get("ready") and state.get("running") and reason == "Completed":
            reason = "Running"
    return reason


def _event_object(event: Object) -> str:
    target = event.get("involvedObject", {})
    return f"{target.get('kind', '').lower()}/{target.get('name', '')}"


_COLUMNS: Mapping[str, Mapping[str, Callable[[Object], Any]]] = {
    "pods": {
        "Name": _name,
        "Ready": _ready,
        "Status": _pod_status,
        "Restarts": lambda pod: str(sum(each.get("restartCount", 0) for each in _running(pod))),
        "Age": _age,
    },
    "events": {
        "Last Seen": lambda event: since(event.get("lastTimestamp") or event.get("eventTime")),
        "Type": lambda event: event.get("type", ""),
        "Reason": lambda event: event.get("reason", ""),
        "Object": _event_object,
        "Message": lambda event: event.get("message", "").strip(),
    },
}
