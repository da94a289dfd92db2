"""PersistentVolumeClaims: one storage class, whose volumes are folders of the one node.

As a cluster whose default class has volumeBindingMode WaitForFirstConsumer and reclaimPolicy Delete: a claim is
bound when its first pod is scheduled, lives as long as a pod needs it, and takes its volume with it. What is not
here: the PersistentVolume as an object, and the finalizer kubernetes.io/pvc-protection by its name.

Needed by templates of DAG authors on a laptop: six of eight real ones have a claim or host aliases.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from airflow_k8s_vault.quantity import parse
from k8s_vault_devcluster.api.status import Cause, forbidden_value, invalid_value, not_supported, required
from k8s_vault_devcluster.store import NotFound, Object, Store

PLURAL = "persistentvolumeclaims"
_DEFAULTS = {"storageClassName": "standard", "volumeMode": "Filesystem"}
_MODES = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany")


def prepare(claim: Object) -> None:
    """Fill in what admission and the API server do."""
    claim["spec"] = _DEFAULTS | claim.get("spec", {})
    claim["status"] = {"phase": "Pending"}


def check(claim: Object) -> list[Cause]:
    """Source: pkg/apis/core/validation (ValidatePersistentVolumeClaimSpec)."""
    return list(_check(claim["spec"]))


def _check(spec: Object) -> Iterator[Cause]:
    if not spec.get("accessModes"):
        yield required("spec.accessModes", "at least 1 access mode is required")
    for mode in spec.get("accessModes", []):
        if mode not in _MODES:
            yield not_supported("spec.accessModes", mode, list(_MODES))
    size = spec.get("resources", {}).get("requests", {}).get("storage")
    if size is None:
        yield required("spec.resources[storage]")
    elif (parse(size) or 0) <= 0:
        yield invalid_value("spec.resources[storage]", size, "must be greater than zero")
    for name in sorted(set(spec) - {"accessModes", "resources"}):
        if spec[name] != _DEFAULTS.get(name):
            yield forbidden_value(f"spec.{name}", "devcluster has folders of its own making alone: leave it out")


def check_update(new: Object, old: Object) -> list[Cause]:
    if new["spec"] == old["spec"]:
        return []
    why = (
        "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
    )
    return [forbidden_value("spec", why)]


def names(pod: Object) -> list[str]:
    """Return the claims that a pod names."""
    volumes = pod["spec"].get("volumes") or ()
    return [
        volume["persistentVolumeClaim"]["claimName"] for volume in volumes if volume.get("persistentVolumeClaim")
    ]


def missing(store: Store, pod: Object) -> str | None:
    """Return why a pod has to wait for one of its claims, in the scheduler's words; None where it has not."""
    for name in names(pod):
        try:
            claim = store.get(PLURAL, pod["metadata"]["namespace"], name)
        except NotFound:
            return f'persistentvolumeclaim "{name}" not found'
        if "deletionTimestamp" in claim["metadata"]:
            return f'persistentvolumeclaim "{name}" is being deleted'
    return None


def bind(store: Store, pod: Object) -> None:
    """Give each claim of a pod that is about to be scheduled its volume."""

    def bound(claim: Object) -> None:
        spec = claim["spec"]
        spec["volumeName"] = f"pvc-{claim['metadata']['uid']}"
        capacity = {"storage": spec["resources"]["requests"]["storage"]}
        claim["status"] = {"phase": "Bound", "accessModes": spec["accessModes"], "capacity": capacity}

    for name in names(pod):
        store.update(PLURAL, pod["metadata"]["namespace"], name, bound)


def folder(store: Store, root: Path, namespace: str, name: str) -> Path:
    """Return where the volume of a claim is; raise NotFound."""
    return root / "claims" / str(store.get(PLURAL, namespace, name)["metadata"]["uid"])


def is_used(store: Store, claim: Object) -> bool:
    """Whether a pod needs it that has a node and has not ended."""
    meta = claim["metadata"]
    return any(
        meta["name"] in names(pod) and pod["spec"].get("nodeName")
        for pod in store.list("pods", meta["namespace"])
        if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")
    )


def finish(store: Store, namespace: str) -> None:
    """Take away the claims of a namespace that were deleted while a pod used them and that none uses now."""
    for claim in store.list(PLURAL, namespace):
        if "deletionTimestamp" in claim["metadata"] and not is_used(store, claim):
            store.remove(PLURAL, namespace, claim["metadata"]["name"])
