"""The values that the API server fills in where a pod leaves them out.

Source: kubernetes, pkg/apis/core/v1/defaults.go, and the admission plugins Priority and DefaultTolerationSeconds.

Needed by the operator: it compares the pod that the cluster has with the one that it sent.
"""

from __future__ import annotations

from collections.abc import Iterator

from k8s_vault_devcluster.store import Object

_NODE_TROUBLES = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def default_pod(pod: Object) -> None:
    """Fill in the spec's defaults, in place."""
    spec = pod["spec"]
    for key, value in (
        ("restartPolicy", "Always"),
        ("dnsPolicy", "ClusterFirst"),
        ("terminationGracePeriodSeconds", 30),
        ("schedulerName", "default-scheduler"),
        ("enableServiceLinks", True),
        ("preemptionPolicy", "PreemptLowerPriority"),
        ("priority", 0),
    ):
        spec.setdefault(key, value)
    spec.setdefault("securityContext", {})
    for container in containers(spec):
        _default_container(container)
    for volume in spec.get("volumes", []):
        _default_volume(volume)
    _default_tolerations(spec)


def containers(spec: Object) -> Iterator[Object]:
    """Yield init containers, then containers."""
    yield from spec.get("initContainers", [])
    yield from spec.get("containers", [])


def _default_container(container: Object) -> None:
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    container.setdefault("imagePullPolicy", pull_policy(container.get("image", "")))
    resources = container.setdefault("resources", {})
    if resources.get("limits"):
        resources["requests"] = {**resources["limits"], **resources.get("requests", {})}
    for port in container.get("ports", []):
        port.setdefault("protocol", "TCP")
    for variable in container.get("env", []):
        if "fieldRef" in variable.get("valueFrom", {}):
            variable["valueFrom"]["fieldRef"].setdefault("apiVersion", "v1")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if name in container:
            _default_probe(container[name])
    for hook in container.get("lifecycle", {}).values():
        _default_http_get(hook) if isinstance(hook, dict) else None


def pull_policy(image: str) -> str:
    """Always for :latest and for no tag at all, unless a digest says which image it is."""
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return "Always" if tag == "latest" or not (tag or digest) else "IfNotPresent"


def _default_probe(probe: Object) -> None:
    for key, value in (
        ("timeoutSeconds", 1),
        ("periodSeconds", 10),
        ("successThreshold", 1),
        ("failureThreshold", 3),
    ):
        probe.setdefault(key, value)
    _default_http_get(probe)


def _default_http_get(handler: Object) -> None:
    if "httpGet" in handler:
        handler["httpGet"].setdefault("path", "/")
        handler["httpGet"].setdefault("scheme", "HTTP")


def _default_volume(volume: Object) -> None:
    if set(volume) <= {"name"}:
        volume["emptyDir"] = {}
    for kind in ("secret", "configMap", "downwardAPI", "projected"):
        if kind in volume:
            volume[kind].setdefault("defaultMode", 0o644)
    sources = [volume["downwardAPI"]] if "downwardAPI" in volume else []
    for source in volume.get("projected", {}).get("sources", []):
        if "serviceAccountToken" in source:
            source["serviceAccountToken"].setdefault("expirationSeconds", 3600)
        sources += [source["downwardAPI"]] if "downwardAPI" in source else []
    for item in (item for source in sources for item in source.get("items", [])):
        if "fieldRef" in item:
            item["fieldRef"].setdefault("apiVersion", "v1")


def _default_tolerations(spec: Object) -> None:
    tolerations = spec.setdefault("tolerations", [])
    for key in _NODE_TROUBLES:
        covered = any(
            each.get("key", key) == key and each.get("effect", "NoExecute") == "NoExecute" for each in tolerations
        )
        if not covered:
            tolerations.append({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300})


def qos_class(spec: Object) -> str:
    """Return Guaranteed, Burstable or BestEffort.

    https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/
    """
    all_resources = [each.get("resources", {}) for each in containers(spec)]
    counted = [
        {key: value for key, value in resources.get(which, {}).items() if key in ("cpu", "memory")}
        for resources in all_resources
        for which in ("requests", "limits")
    ]
    if not any(counted):
        return "BestEffort"
    pairs = zip(counted[::2], counted[1::2], strict=True)
    guaranteed = all(set(limits) == {"cpu", "memory"} and requests == limits for requests, limits in pairs)
    return "Guaranteed" if guaranteed else "Burstable"
