"""Garbage collection: what goes when its owners or its namespace are gone.

https://kubernetes.io/docs/concepts/architecture/garbage-collection/

Needed by delivery `secret`, whose Secrets go with their pod, and by the tests' namespaces.
"""

from __future__ import annotations

from k8s_vault_devcluster import claims, deletion
from k8s_vault_devcluster.store import Change, NotFound, Object, Store


async def run(store: Store) -> None:
    """Collect garbage until cancelled."""
    async for change in store.watch(None):
        if change.kind == "DELETED":
            _collect(store, [owned for owned in store.everything() if _is_owned(owned[1], change.obj)])
        elif change.kind == "ADDED":
            _collect(store, [(change.resource, change.obj)])
        if change.resource == "pods":
            claims.finish(store, change.obj["metadata"]["namespace"])
        _finish_namespace(store, change)


def _is_owned(obj: Object, owner: Object) -> bool:
    owners = obj["metadata"].get("ownerReferences", [])
    return any(reference["uid"] == owner["metadata"]["uid"] for reference in owners)


def _collect(store: Store, objects: list[tuple[str, Object]]) -> None:
    """Delete those whose owners are gone, or were never there."""
    for resource, obj in objects:
        owners = obj["metadata"].get("ownerReferences", [])
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
