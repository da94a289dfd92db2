"""The tables that `kubectl get` prints: meta.k8s.io/v1 Table, with a row per object.

Source: kubernetes, pkg/printers/internalversion/printers.go.

Needed by `kubectl get`, which prints names and ages alone without it.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from k8s_vault_devcluster.store import Object

Cell = Callable[[Object], Any]


def table(resource: str, objects: list[Object], resource_version: str) -> Object:
    """Return the Table of these objects; `resource` is their plural."""
    columns = _COLUMNS.get(resource, _GENERIC)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": resource_version},
        "columnDefinitions": [_definition(name, wide) for name, wide, _ in columns],
        "rows": [
            {
                "cells": [cell(obj) for _, _, cell in columns],
                "object": {
                    "kind": "PartialObjectMetadata",
                    "apiVersion": "meta.k8s.io/v1",
                    "metadata": obj["metadata"],
                },
            }
            for obj in objects
        ],
    }


def _definition(name: str, wide: bool) -> Object:
    return {
        "name": name,
        "type": "integer" if name == "Data" else "string",
        "format": "name" if name == "Name" else "",
        "description": name,
        "priority": 1 if wide else 0,
    }


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
    if seconds < 120:
        return f"{seconds}s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    return f"{hours}h" if hours < 48 else f"{days}d"


def _statuses(pod: Object, which: str) -> list[Object]:
    return list(pod.get("status", {}).get(which, []))


def _is_sidecar(pod: Object, name: str) -> bool:
    containers = pod["spec"].get("initContainers", [])
    return any(each["name"] == name and each.get("restartPolicy") == "Always" for each in containers)


def _sidecar_statuses(pod: Object) -> list[Object]:
    return [each for each in _statuses(pod, "initContainerStatuses") if _is_sidecar(pod, each["name"])]


def _ready(pod: Object) -> str:
    running = _statuses(pod, "containerStatuses") + _sidecar_statuses(pod)
    sidecars = sum(each.get("restartPolicy") == "Always" for each in pod["spec"].get("initContainers", []))
    total = len(pod["spec"]["containers"]) + sidecars
    return f"{sum(bool(each.get('ready')) for each in running)}/{total}"


def _restarts(pod: Object) -> str:
    running = _statuses(pod, "containerStatuses") + _sidecar_statuses(pod)
    return str(sum(each.get("restartCount", 0) for each in running))


def pod_status(pod: Object) -> str:
    """Return what the STATUS column says: the phase, or the reason nearest to it."""
    status = pod.get("status", {})
    reason = status.get("reason") or status.get("phase", "Unknown")
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition.get("reason") == "SchedulingGated":
            reason = "SchedulingGated"
    reason = _init_reason(pod) or _container_reason(pod) or reason
    if pod["metadata"].get("deletionTimestamp") and status.get("phase") not in ("Succeeded", "Failed"):
        return "Terminating"
    return str(reason)


def _init_reason(pod: Object) -> str | None:
    total = len(pod["spec"].get("initContainers", []))
    for index, each in enumerate(_statuses(pod, "initContainerStatuses")):
        state = each.get("state", {})
        ended = state.get("terminated")
        if (ended and ended["exitCode"] == 0) or (_is_sidecar(pod, each["name"]) and each.get("started")):
            continue
        if ended:
            return f"Init:{ended.get('reason') or 'ExitCode:' + str(ended['exitCode'])}"
        waiting = state.get("waiting", {}).get("reason", "")
        return f"Init:{waiting}" if waiting not in ("", "PodInitializing") else f"Init:{index}/{total}"
    return None


def _container_reason(pod: Object) -> str | None:
    reason = None
    for each in reversed(_statuses(pod, "containerStatuses")):
        state = each.get("state", {})
        ended = state.get("terminated")
        if state.get("waiting", {}).get("reason"):
            reason = state["waiting"]["reason"]
        elif ended:
            reason = ended.get("reason") or f"ExitCode:{ended['exitCode']}"
        elif each.get("ready") and state.get("running") and reason == "Completed":
            reason = "Running"
    return reason


def _event_object(event: Object) -> str:
    target = event.get("involvedObject", {})
    return f"{target.get('kind', '').lower()}/{target.get('name', '')}"


def _columns(*names: tuple[str, Cell], wide: tuple[tuple[str, Cell], ...] = ()) -> list[tuple[str, bool, Cell]]:
    return [(name, False, cell) for name, cell in names] + [(name, True, cell) for name, cell in wide]


_GENERIC = _columns(("Name", _name), ("Age", _age))
_COLUMNS = {
    "pods": _columns(
        ("Name", _name),
        ("Ready", _ready),
        ("Status", pod_status),
        ("Restarts", _restarts),
        ("Age", _age),
        wide=(
            ("IP", lambda pod: pod.get("status", {}).get("podIP") or "<none>"),
            ("Node", lambda pod: pod["spec"].get("nodeName") or "<none>"),
        ),
    ),
    "events": _columns(
        ("Last Seen", lambda event: since(event.get("lastTimestamp") or event.get("eventTime"))),
        ("Type", lambda event: event.get("type", "")),
        ("Reason", lambda event: event.get("reason", "")),
        ("Object", _event_object),
        ("Message", lambda event: event.get("message", "").strip()),
        wide=(("Name", _name),),
    ),
    "namespaces": _columns(("Name", _name), ("Status", lambda obj: obj["status"]["phase"]), ("Age", _age)),
    "nodes": _columns(
        ("Name", _name),
        ("Status", lambda node: "Ready"),
        ("Roles", lambda node: "<none>"),
        ("Age", _age),
        ("Version", lambda node: node["status"]["nodeInfo"]["kubeletVersion"]),
    ),
    "secrets": _columns(
        ("Name", _name),
        ("Type", lambda obj: obj["type"]),
        ("Data", lambda obj: len(obj.get("data", {}))),
        ("Age", _age),
    ),
    "configmaps": _columns(
        ("Name", _name),
        ("Data", lambda obj: len(obj.get("data", {})) + len(obj.get("binaryData", {}))),
        ("Age", _age),
    ),
}
