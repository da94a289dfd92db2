"""Garbage collection: what goes when its owners, its namespace or its time are gone.

https://kubernetes.io/docs/concepts/architecture/garbage-collection/

Needed by delivery `secret`, whose Secrets go with their pod, and by the tests' namespaces.
"""

from __future__ import annotations

import asyncio
import datetime

from k8s_vault_devcluster import claims, deletion
from k8s_vault_devcluster.store import Change, NotFound, Object, Store

# kube-apiserver's --event-ttl.
EVENT_SECONDS = 3600
_SWEEP_SECONDS = 60


async def run(store: Store) -> None:
    """Collect garbage until cancelled."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_follow(store))
        tasks.create_task(_expire_events(store))


async def _follow(store: Store) -> None:
    async for change in store.watch(None):
        if change.kind == "DELETED":
            collect(store, change.obj["metadata"]["uid"])
        elif change.obj["metadata"].get("ownerReferences") and change.kind == "ADDED":
            _collect_if_orphan(store, change.resource, change.obj)
        if change.resource == "pods":
            claims.finish(store, change.obj["metadata"]["namespace"])
        _finish_namespace(store, change)


def collect(store: Store, owner_uid: str) -> None:
    """Delete the dependents of an owner that is gone, or about to go."""
    for resource, obj in store.everything():
        owners = obj["metadata"].get("ownerReferences", [])
        if any(owner["uid"] == owner_uid for owner in owners):
            left = [owner for owner in owners if owner["uid"] != owner_uid and _exists(store, obj, owner["uid"])]
            _release(store, resource, obj, left)


def _collect_if_orphan(store: Store, resource: str, obj: Object) -> None:
    owners = obj["metadata"]["ownerReferences"]
    left = [owner for owner in owners if _exists(store, obj, owner["uid"])]
    if len(left) < len(owners):
        _release(store, resource, obj, left)


def _release(store: Store, resource: str, obj: Object, owners: list[Object]) -> None:
    """Delete it, or where other owners are left take the gone ones off."""
    meta = obj["metadata"]
    try:
        if owners:
            key = (resource, meta.get("namespace", ""), meta["name"])
            store.update(*key, lambda kept: kept["metadata"].update(ownerReferences=owners))
        else:
            deletion.delete(store, resource, obj)
    except NotFound:
        return  # went in the meantime


def _exists(store: Store, dependent: Object, uid: str) -> bool:
    """Owners live in the dependent's namespace, or in none: others count as gone, as in Kubernetes."""
    space = dependent["metadata"].get("namespace", "")
    return any(
        obj["metadata"]["uid"] == uid and obj["metadata"].get("namespace", "") in ("", space)
        for _, obj in store.everything()
    )


def _finish_namespace(store: Store, change: Change) -> None:
    """Empty a namespace that is being deleted: its pods first, then the rest, then itself."""
    meta = change.obj["metadata"]
    name = meta["name"] if change.resource == "namespaces" else meta.get("namespace")
    try:
        namespace = store.get("namespaces", "", name or "")
    except NotFound:
        return
    if "deletionTimestamp" not in namespace["metadata"]:
        return
    pods = store.list("pods", name)
    for pod in pods:
        deletion.delete(store, "pods", pod)
    if store.list("pods", name):
        return
    for resource, obj in store.everything():
        if obj["metadata"].get("namespace") == name:
            deletion.delete(store, resource, obj)
    store.remove("namespaces", "", name or "")


async def _expire_events(store: Store) -> None:
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        oldest = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=EVENT_SECONDS)
        for event in store.list("events"):
            meta = event["metadata"]
            seen = event.get("lastTimestamp") or meta["creationTimestamp"]
            if datetime.datetime.fromisoformat(seen.replace("Z", "+00:00")) < oldest:
                store.remove("events", meta["namespace"], meta["name"])
