"""Events that devcluster's own parts write, as `kubectl describe` shows them.

Needed by `kubectl describe`, and by the messages of tasks whose pods do not start.
"""

from __future__ import annotations

import hashlib

from k8s_vault_devcluster.store import NotFound, Object, Store, now


def record(
    store: Store, pod: Object, kind: str, reason: str, message: str, component: str, field: str = ""
) -> None:
    """Write one event about a pod, or about a `field` of it; `kind` is Normal or Warning.

    The same again only counts up.
    """
    meta = pod["metadata"]
    same = (meta["uid"], kind, reason, message, component, field)
    digest = hashlib.sha256("\0".join(same).encode()).hexdigest()
    name = f"{meta['name'][:236]}.{digest[:16]}"
    try:
        store.update("events", meta["namespace"], name, _again)
        return
    except NotFound:
        pass
    store.create(
        "events",
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": meta["namespace"]},
            "involvedObject": _reference(meta) | ({"fieldPath": field} if field else {}),
            "reason": reason,
            "message": message,
            "type": kind,
            "count": 1,
            "firstTimestamp": now(),
            "lastTimestamp": now(),
            "source": {"component": component},
            "reportingComponent": component,
            "reportingInstance": "",
        },
    )


def _reference(meta: Object) -> Object:
    return {"apiVersion": "v1", "kind": "Pod", **{key: meta[key] for key in ("name", "namespace", "uid")}}


def _again(event: Object) -> None:
    event["count"] += 1
    event["lastTimestamp"] = now()
