"""How objects go: at once, or, for pods and namespaces, gracefully.

Source: kubernetes, apiserver pkg/registry/rest/delete.go and pkg/registry/core/pod/strategy.go.

Needed by the fault tests: a killed task's pod has its grace period, in which its login ends.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from k8s_vault_devcluster import claims
from k8s_vault_devcluster.store import Object, Store


@dataclass(frozen=True)
class Deleted:
    """The object's last state, and whether it is gone already."""

    obj: Object
    gone: bool


def delete(store: Store, resource: str, obj: Object, grace_seconds: int | None = None) -> Deleted:
    """Delete one object; `grace_seconds` None leaves it to the pod's own terminationGracePeriodSeconds.

    A pod that runs only gets its deletion time here: the kubelet stops it and takes it out.
    """
    meta = obj["metadata"]
    key = (resource, meta.get("namespace", ""), meta["name"])
    if resource == "namespaces":
        return Deleted(store.update(*key, _terminating), gone=False)
    if resource == claims.PLURAL and claims.is_used(store, obj):
        return Deleted(store.update(*key, lambda kept: _mark(kept, 0)), gone=False)
    current = meta.get("deletionGracePeriodSeconds")
    if current is not None and (grace_seconds is None or grace_seconds >= current):
        # It is being deleted already, and that can only be hastened.
        return Deleted(obj, gone=False)
    grace = _pod_grace(obj, grace_seconds) if resource == "pods" else 0
    if grace == 0:
        return Deleted(store.remove(*key), gone=True)
    return Deleted(store.update(*key, lambda pod: _mark(pod, grace)), gone=False)


def _pod_grace(pod: Object, requested: int | None) -> int:
    if not pod["spec"].get("nodeName") or pod.get("status", {}).get("phase") in ("Failed", "Succeeded"):
        return 0
    grace = requested if requested is not None else int(pod["spec"]["terminationGracePeriodSeconds"])
    return grace if grace >= 0 else 1


def _mark(obj: Object, grace: int) -> None:
    meta = obj["metadata"]
    start = datetime.datetime.now(datetime.UTC)
    if "deletionTimestamp" in meta:
        # A second, shorter deletion counts from the first.
        requested = datetime.datetime.fromisoformat(meta["deletionTimestamp"].replace("Z", "+00:00"))
        start = requested - datetime.timedelta(seconds=meta.get("deletionGracePeriodSeconds", 0))
    elif "generation" in meta:
        meta["generation"] += 1
    meta["deletionTimestamp"] = (start + datetime.timedelta(seconds=grace)).strftime("%Y-%m-%dT%H:%M:%SZ")
    meta["deletionGracePeriodSeconds"] = grace


def _terminating(namespace: Object) -> None:
    if "deletionTimestamp" not in namespace["metadata"]:
        _mark(namespace, 0)
        del namespace["metadata"]["deletionGracePeriodSeconds"]
    namespace["status"]["phase"] = "Terminating"
