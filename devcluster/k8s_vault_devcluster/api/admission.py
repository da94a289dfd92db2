"""What Kubernetes' admission plugins add and refuse once a request may be made at all.

NamespaceLifecycle, ServiceAccount, Priority and PodSecurity; and, only here, what devcluster cannot run.
Source: kubernetes, plugin/pkg/admission.

Needed by every pod (its account and token), and by doctor, which tells of Pod Security's refusals.
"""

from __future__ import annotations

import random

from airflow_k8s_vault.policy import pod_security_violations
from k8s_vault_devcluster.api import pod_resources
from k8s_vault_devcluster.api.defaults import containers, qos_class
from k8s_vault_devcluster.api.rules import one_of
from k8s_vault_devcluster.api.status import forbidden, forbidden_value, invalid, not_found
from k8s_vault_devcluster.kubelet.support import unsupported
from k8s_vault_devcluster.namespaces import ROOT_CA
from k8s_vault_devcluster.store import NotFound, Object, Store

_TOKEN_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - where Kubernetes mounts it
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_LEVEL = "pod-security.kubernetes.io/enforce"


def generated(prefix: str) -> str:
    """Return `prefix` with the five letters that Kubernetes appends to a generateName."""
    return prefix[:58] + "".join(random.choices(_LETTERS, k=5))  # noqa: S311 - a name, no secret


def check_namespace(store: Store, resource: str, group: str, obj: Object) -> None:
    """Refuse new objects in a namespace that is not there, or is going away."""
    name = obj["metadata"]["namespace"]
    try:
        namespace = store.get("namespaces", "", name)
    except NotFound:
        raise not_found("namespaces", "", name) from None
    if namespace["metadata"].get("deletionTimestamp"):
        why = f"unable to create new content in namespace {name} because it is being terminated"
        cause = {"reason": "NamespaceTerminating", "message": f"namespace {name} is being terminated"}
        causes = [{**cause, "field": "metadata.namespace"}]
        raise forbidden(resource, group, obj["metadata"].get("name", ""), why, causes)


def mutate_pod(store: Store, pod: Object) -> None:
    """Give the pod its service account and the token volume, in place. devcluster has no priority classes."""
    spec, namespace = pod["spec"], pod["metadata"]["namespace"]
    if priority := spec.get("priorityClassName"):
        why = f"no PriorityClass with name {priority} was found"
        raise forbidden("pods", "", pod["metadata"].get("name", ""), why)
    name = spec.get("serviceAccountName") or spec.get("serviceAccount") or "default"
    spec["serviceAccountName"] = spec["serviceAccount"] = name
    try:
        account = store.get("serviceaccounts", namespace, name)
    except NotFound:
        why = f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found'
        raise forbidden("pods", "", pod["metadata"].get("name", ""), why) from None
    if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
        spec["imagePullSecrets"] = account["imagePullSecrets"]
    pod_resources.fill_in(store, pod)
    pod["status"]["qosClass"] = qos_class(spec)
    expected = spec.get("automountServiceAccountToken", account.get("automountServiceAccountToken", True))
    if expected:
        _mount_token(spec)


def _mount_token(spec: Object) -> None:
    bare = [
        container
        for container in containers(spec)
        if all(mount.get("mountPath") != _TOKEN_FOLDER for mount in container.get("volumeMounts", []))
    ]
    if not bare:
        return
    name = generated("kube-api-access-")
    for container in bare:
        mount = {"name": name, "mountPath": _TOKEN_FOLDER, "readOnly": True}
        container["volumeMounts"] = [*container.get("volumeMounts", []), mount]
    namespace_file = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    sources = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": ROOT_CA, "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [namespace_file]}},
    ]
    volume = {"name": name, "projected": {"defaultMode": 0o644, "sources": sources}}
    spec["volumes"] = [*spec.get("volumes", []), volume]


def check_pod(store: Store, pod: Object) -> None:
    """Refuse what the namespace's Pod Security level forbids, then what devcluster cannot run."""
    _check_pod_security(store, pod)
    _check_supported(pod)
    pod_resources.admit(store, pod)


def _check_pod_security(store: Store, pod: Object) -> None:
    meta = pod["metadata"]
    labels = store.get("namespaces", "", meta["namespace"])["metadata"].get("labels", {})
    level = labels.get(_LEVEL, "privileged")
    if level == "privileged":
        return
    result = pod_security_violations(pod, level)
    if result:
        version = labels.get(f"{_LEVEL}-version", "latest")
        # In the words of the package's own check: the plugin's, a reason and a detail for each, tell no more.
        why = f'violates PodSecurity "{level}:{version}": {", ".join(result)}'
        raise forbidden("pods", "", meta["name"], why)


def check_level(namespace: Object) -> None:
    """Refuse a Pod Security level that is none, as Kubernetes does."""
    meta = namespace["metadata"]
    known = one_of("baseline", "privileged", "restricted")
    if causes := list(known(meta.get("labels", {}).get(_LEVEL), f"metadata.labels[{_LEVEL}]")):
        raise invalid("Namespace", "", meta["name"], causes)


def _check_supported(pod: Object) -> None:
    result = unsupported(pod)
    if result:
        causes = [forbidden_value(field, f"devcluster does not support this: {why}") for field, why in result]
        raise invalid("Pod", "", pod["metadata"]["name"], causes)
