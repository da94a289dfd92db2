"""The values that the API server fills in where a pod leaves them out.

Source: kubernetes, pkg/apis/core/v1/defaults.go, and the admission plugins Priority and DefaultTolerationSeconds.

Needed by the operator: it compares the pod that the cluster has with the one that it sent.
"""

from __future__ import annotations

from collections.abc import Iterator

from k8s_vault_devcluster.store import Object, copied

_NODE_TROUBLES = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_FIELD = {"fieldRef": {"apiVersion": "v1"}}
_FILES = {"defaultMode": 0o644}
_CONTAINER = {
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
    "resources": {},
    "ports": [{"protocol": "TCP"}],
    "env": [{"valueFrom": _FIELD}],
}
# A map with keys, and a list's one item, hold for what is there; all else is filled in.
_SPEC = {
    "restartPolicy": "Always",
    "dnsPolicy": "ClusterFirst",
    "terminationGracePeriodSeconds": 30,
    "schedulerName": "default-scheduler",
    "enableServiceLinks": True,
    "preemptionPolicy": "PreemptLowerPriority",
    "priority": 0,
    "securityContext": {},
    "initContainers": [_CONTAINER],
    "containers": [_CONTAINER],
    "volumes": [
        {
            "secret": _FILES,
            "configMap": _FILES,
            "downwardAPI": {**_FILES, "items": [_FIELD]},
            "projected": {
                **_FILES,
                "sources": [
                    {"serviceAccountToken": {"expirationSeconds": 3600}, "downwardAPI": {"items": [_FIELD]}}
                ],
            },
        }
    ],
}


def default_pod(pod: Object) -> None:
    """Fill in the spec's defaults, in place."""
    spec = pod["spec"]
    _fill(spec, _SPEC)
    for container in containers(spec):
        container.setdefault("imagePullPolicy", pull_policy(container.get("image", "")))
        if limits := container["resources"].get("limits"):
            container["resources"]["requests"] = {**limits, **container["resources"].get("requests", {})}
    for volume in spec.get("volumes", []):
        if set(volume) <= {"name"}:
            volume["emptyDir"] = {}
    _default_tolerations(spec)


def _fill(obj: Object, defaults: Object) -> None:
    for key, default in defaults.items():
        if not default or not isinstance(default, dict | list):
            obj.setdefault(key, copied(default))
        elif isinstance(default, dict):
            _fill(obj.get(key, {}), default)
        else:
            for item in obj.get(key, ()):
                _fill(item, default[0])


def containers(spec: Object) -> Iterator[Object]:
    """Yield init containers, then containers."""
    yield from spec.get("initContainers", [])
    yield from spec.get("containers", [])


def pull_policy(image: str) -> str:
    """Always for :latest and for no tag at all, unless a digest says which image it is."""
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return "Always" if tag == "latest" or not (tag or digest) else "IfNotPresent"


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
