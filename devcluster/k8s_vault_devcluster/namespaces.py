"""Namespaces with what every one of them holds: the service account `default` and the CA of the API.

Needed by every team's pods: their default account and the API's certificate.
"""

from __future__ import annotations

from k8s_vault_devcluster.store import Object, Store

ROOT_CA = "kube-root-ca.crt"


def furnish(store: Store, name: str, ca: str) -> None:
    """Add what Kubernetes' controllers add to a new namespace; `ca` is PEM text."""
    store.create("serviceaccounts", _object("ServiceAccount", name, "default"))
    store.create("configmaps", {**_object("ConfigMap", name, ROOT_CA), "data": {"ca.crt": ca}})


def create(store: Store, name: str, ca: str) -> None:
    """Create a namespace that is active from the start, furnished."""
    meta = {"name": name, "labels": {"kubernetes.io/metadata.name": name}}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}
    store.create(
        "namespaces", {**namespace, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
    )
    furnish(store, name, ca)


def _object(kind: str, namespace: str, name: str) -> Object:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}}
