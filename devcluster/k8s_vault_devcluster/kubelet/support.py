"""Which fields of a pod this kubelet acts on. Any other that is set is refused: nothing is silently ignored.

Accepted without effect, because a sandbox of this machine cannot enforce it, or has nothing to enforce it on:
- resources: CPU is not limited; memory is, within the limits that `memory` names. The scheduler looks at the
  requests.
- seccompProfile RuntimeDefault, capabilities.drop, allowPrivilegeEscalation: true. A sandbox has no capabilities
  and cannot gain any, whatever is asked; there is no seccomp filter.
- fsGroup, fsGroupChangePolicy, supplementalGroups and runAsUser towards other containers of the same pod: all
  containers run as one user of this machine, under the numbers asked for. This is where devcluster is kinder
  than a cluster: a 0600 file in a shared volume that one container wrote can be read by another with a different
  runAsUser. Keep secrets in volumes that others do not mount, which is enforced.
- emptyDir.sizeLimit and the size of a claim.
- dnsPolicy, enableServiceLinks, hostname lookups, priority, tolerations, topology: one node.
- ports: the network is this machine's, so a port is open on its loopback to other pods and to this machine.
- imagePullSecrets: nothing is pulled.
Stricter than a cluster: user 0 has no capabilities (no chown, no reading past file modes).
One more thing holds where devcluster itself runs as root, which it need not: a container may change the mode
of this machine's /dev/null and its like. Run it as an ordinary user.

Needed by the promise that nothing is silently ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from k8s_vault_devcluster.kubelet import fields
from k8s_vault_devcluster.store import Object

# A field's path, and the reason.
Refusal = tuple[str, str]


def _all(names: str) -> dict[str, Any]:
    """Fields that are taken with whatever is in them."""
    return dict.fromkeys(names.split())


def _one_of(known: tuple[str, ...]) -> Callable[[Any], str]:
    def why(value: Any) -> str:
        if value in known or fields.SUBSCRIPT.fullmatch(value):
            return ""
        return f"{value!r} is not one of {', '.join(known)}"

    return why


def _only(expected: Any, why: str) -> Callable[[Any], str]:
    return lambda value: "" if value == expected else why


_NOT_HERE = "it would have no effect here"

# What is supported: None takes all, a function returns why not.
_SECURITY = _all("runAsGroup runAsNonRoot runAsUser") | {"seccompProfile": _all("type")}
_HANDLER = _all("exec sleep")
_MOUNT = {
    **_all("mountPath name readOnly subPath"),
    "mountPropagation": _only("None", _NOT_HERE),
    "recursiveReadOnly": _only("Disabled", _NOT_HERE),
}
_CONTAINER: dict[str, Any] = {
    **_all("args command envFrom image imagePullPolicy name terminationMessagePath terminationMessagePolicy"),
    **_all("workingDir"),
    "env": {
        **_all("name value"),
        "valueFrom": {
            **_all("configMapKeyRef fileKeyRef secretKeyRef"),
            "fieldRef": {**_all("apiVersion"), "fieldPath": _one_of(fields.ENV_FIELDS)},
        },
    },
    "lifecycle": {"postStart": _HANDLER, "preStop": _HANDLER},
    "ports": _all("containerPort name protocol"),
    "resources": _all("limits requests"),
    "securityContext": {
        **_SECURITY,
        **_all("allowPrivilegeEscalation readOnlyRootFilesystem"),
        "capabilities": _all("drop"),
    },
    "volumeMounts": _MOUNT,
}
# Since 1.35 every container may have a restartPolicy of its own (ContainerRestartRules); here only sidecars do.
_SIDECARS = "only an init container can have one here, and only Always: a sidecar"
_FIELD_REF = {**_all("apiVersion"), "fieldPath": _one_of(fields.VOLUME_FIELDS)}
_DOWNWARD = {**_all("defaultMode"), "items": {**_all("mode path"), "fieldRef": _FIELD_REF}}
_VOLUME = {
    **_all("configMap name persistentVolumeClaim secret"),
    "downwardAPI": _DOWNWARD,
    "emptyDir": {**_all("sizeLimit"), "medium": _only("Memory", "it is neither Memory nor this machine's disk")},
    "projected": {
        **_all("defaultMode"),
        "sources": {**_all("configMap secret serviceAccountToken"), "downwardAPI": _DOWNWARD},
    },
}
_POD = {
    **_all("activeDeadlineSeconds affinity automountServiceAccountToken dnsPolicy enableServiceLinks hostAliases"),
    **_all("hostname imagePullSecrets nodeName nodeSelector preemptionPolicy priority priorityClassName"),
    **_all("restartPolicy schedulerName schedulingGates serviceAccount serviceAccountName tolerations"),
    **_all("terminationGracePeriodSeconds topologySpreadConstraints"),
    "containers": {**_CONTAINER, "restartPolicy": lambda _: _SIDECARS},
    "initContainers": {**_CONTAINER, "restartPolicy": _only("Always", _SIDECARS)},
    "os": {"name": _only("linux", "this is Linux")},
    "securityContext": {
        **_SECURITY,
        **_all("fsGroup fsGroupChangePolicy supplementalGroups supplementalGroupsPolicy"),
    },
    "volumes": _VOLUME,
}
_REASONS = {
    "add": "a sandbox has no capabilities to give",
    "ephemeralContainers": "use pods/exec",
    "hostNetwork": "leave it out: pods use this machine's network as it is",
    "hostPath": "a pod must not see this machine's files",
    "hostPort": "leave it out: pods use this machine's network as it is",
    "livenessProbe": "devcluster runs no probes; a postStart hook can hold back what comes next",
    "localhostProfile": "devcluster has no seccomp profiles",
    "privileged": "a sandbox has no privileges to give",
    "readinessProbe": "devcluster runs no probes",
    "resourceFieldRef": "nothing limits resources here",
    "startupProbe": "devcluster runs no probes; a postStart hook can hold back what comes next",
    "stdin": "nothing can be attached to a container's stdin; pods/exec has one",
    "stopSignal": "PID 1 always gets SIGTERM",
    "subPathExpr": "use subPath",
    "tty": "devcluster gives no terminal",
}


def unsupported(pod: Object) -> list[Refusal]:
    """Return (field path, reason) of each field of a v1 Pod that would have no effect here; [] where all have.

    >>> unsupported({"spec": {"hostPID": True, "containers": []}})
    [('spec.hostPID', 'it would have no effect here')]
    """
    spec = pod.get("spec") or {}
    nested = [each for kind in ("initContainers", "containers") for each in _nested(spec.get(kind) or [], kind)]
    return [*_walk(spec, _POD, "spec"), *nested]


def _walk(value: Any, supported: Any, path: str) -> Iterator[Refusal]:
    if callable(supported):
        if why := supported(value):
            yield path, why
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _walk(item, supported, f"{path}[{number}]")
    elif supported is not None:
        # False, 0 and empty ask for nothing.
        for name, inner in ((name, inner) for name, inner in value.items() if inner):
            if name in supported:
                yield from _walk(inner, supported[name], f"{path}.{name}")
            else:
                yield f"{path}.{name}", _REASONS.get(name, _NOT_HERE)


def _nested(containers: list[Object], kind: str) -> Iterator[Refusal]:
    """A mount point inside a volume would be looked up through whatever links a container left there."""
    for number, container in enumerate(containers):
        path = f"spec.{kind}[{number}]"
        mounts = enumerate(container.get("volumeMounts") or [])
        points = {f"{path}.volumeMounts[{index}].mountPath": mount.get("mountPath") for index, mount in mounts}
        folders = [Path(folder) for folder in points.values() if folder]
        points[f"{path}.terminationMessagePath"] = container.get("terminationMessagePath")
        for where, point in points.items():
            if point and any(folder in Path(point).parents for folder in folders):
                yield where, "it lies inside the mount of another volume; mount it beside that one"
