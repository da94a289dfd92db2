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

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from k8s_vault_devcluster.kubelet import fields
from k8s_vault_devcluster.store import Object

Unsupported = tuple[str, str]

_POD = """
    activeDeadlineSeconds affinity automountServiceAccountToken containers dnsPolicy enableServiceLinks
    hostAliases hostname imagePullSecrets initContainers nodeName nodeSelector preemptionPolicy priority
    priorityClassName restartPolicy schedulerName schedulingGates securityContext serviceAccount
    serviceAccountName terminationGracePeriodSeconds tolerations topologySpreadConstraints volumes os
""".split()  # noqa: SIM905 - a table of words
_CONTAINER = """
    args command env envFrom image imagePullPolicy lifecycle name ports resources restartPolicy
    securityContext terminationMessagePath terminationMessagePolicy volumeMounts workingDir
""".split()  # noqa: SIM905 - a table of words
_POD_SECURITY = """
    fsGroup fsGroupChangePolicy runAsGroup runAsNonRoot runAsUser seccompProfile supplementalGroups
    supplementalGroupsPolicy
""".split()  # noqa: SIM905 - a table of words
_CONTAINER_SECURITY = """
    allowPrivilegeEscalation capabilities readOnlyRootFilesystem runAsGroup runAsNonRoot runAsUser
    seccompProfile
""".split()  # noqa: SIM905 - a table of words
_VOLUMES = ("configMap", "downwardAPI", "emptyDir", "persistentVolumeClaim", "projected", "secret")
_PROJECTIONS = ("configMap", "downwardAPI", "secret", "serviceAccountToken")
_MOUNT = ("mountPath", "name", "readOnly", "subPath")
_SOURCES = ("configMapKeyRef", "fieldRef", "fileKeyRef", "secretKeyRef")
_NOT_HERE = "it would have no effect here"
_REASONS = {
    "livenessProbe": "devcluster runs no probes; a postStart hook can hold back what comes next",
    "readinessProbe": "devcluster runs no probes",
    "startupProbe": "devcluster runs no probes; a postStart hook can hold back what comes next",
    "hostPath": "a pod must not see this machine's files",
    "hostNetwork": "leave it out: pods use this machine's network as it is",
    "privileged": "a sandbox has no privileges to give",
    "resourceFieldRef": "nothing limits resources here",
    "subPathExpr": "use subPath",
    "stdin": "nothing can be attached to a container's stdin; pods/exec has one",
    "tty": "devcluster gives no terminal",
    "ephemeralContainers": "use pods/exec",
}


def unsupported(pod: Object) -> list[Unsupported]:
    """Return (field path, reason) of each field of a v1 Pod that would have no effect here; [] where all have.

    >>> unsupported({"spec": {"hostPID": True, "containers": []}})
    [('spec.hostPID', 'it would have no effect here')]
    """
    return list(_pod(pod.get("spec") or {}))


def _unknown(obj: Object, known: Any, path: str) -> Iterator[Unsupported]:
    """Yield what is set and not known. False, 0 and empty ask for nothing."""
    for name, value in obj.items():
        if value and name not in known:
            yield f"{path}.{name}", _REASONS.get(name, _NOT_HERE)


def _pod(spec: Object) -> Iterator[Unsupported]:
    yield from _unknown(spec, _POD, "spec")
    security = spec.get("securityContext") or {}
    yield from _unknown(security, _POD_SECURITY, "spec.securityContext")
    yield from _seccomp(security, "spec.securityContext")
    if (spec.get("os") or {}).get("name", "linux") != "linux":
        yield "spec.os.name", "this is Linux"
    for number, volume in enumerate(spec.get("volumes") or []):
        yield from _volume(volume, f"spec.volumes[{number}]")
    for kind in ("initContainers", "containers"):
        for number, container in enumerate(spec.get(kind) or []):
            yield from _container(container, f"spec.{kind}[{number}]")
            yield from _restart_policy(container, kind, f"spec.{kind}[{number}]")


def _container(container: Object, path: str) -> Iterator[Unsupported]:
    yield from _unknown(container, _CONTAINER, path)
    for name in ("resizePolicy", "claims"):
        if (container.get("resources") or {}).get(name):
            yield f"{path}.resources.{name}", _NOT_HERE
    yield from _security(container.get("securityContext") or {}, f"{path}.securityContext")
    for number, port in enumerate(container.get("ports") or []):
        if port.get("hostPort"):
            yield f"{path}.ports[{number}].hostPort", "leave it out: pods use this machine's network as it is"
    for number, variable in enumerate(container.get("env") or []):
        yield from _source(variable.get("valueFrom") or {}, f"{path}.env[{number}].valueFrom")
    for number, mount in enumerate(container.get("volumeMounts") or []):
        yield from _mount(mount, f"{path}.volumeMounts[{number}]")
    yield from _nested(container, path)
    for hook, handler in (container.get("lifecycle") or {}).items():
        yield from _hook(hook, handler, f"{path}.lifecycle.{hook}")


def _restart_policy(container: Object, kind: str, path: str) -> Iterator[Unsupported]:
    """Since 1.35 every container may have one of its own (ContainerRestartRules); here only sidecars do."""
    policy = container.get("restartPolicy")
    if policy and (kind, policy) != ("initContainers", "Always"):
        yield f"{path}.restartPolicy", "only an init container can have one here, and only Always: a sidecar"


def _nested(container: Object, path: str) -> Iterator[Unsupported]:
    """A mount point inside a volume would be looked up through whatever links a container left there."""
    folders = [Path(mount["mountPath"]) for mount in container.get("volumeMounts") or [] if mount.get("mountPath")]
    points = [(f"{path}.volumeMounts[{number}].mountPath", folder) for number, folder in enumerate(folders)]
    if container.get("terminationMessagePath"):
        points.append((f"{path}.terminationMessagePath", Path(container["terminationMessagePath"])))
    for where, point in points:
        if any(folder in point.parents for folder in folders):
            yield where, "it lies inside the mount of another volume; mount it beside that one"


def _hook(name: str, handler: Any, path: str) -> Iterator[Unsupported]:
    if name not in ("postStart", "preStop"):
        yield path, "PID 1 always gets SIGTERM"
    else:
        yield from _unknown(handler or {}, ("exec", "sleep"), path)


def _security(security: Object, path: str) -> Iterator[Unsupported]:
    yield from _unknown(security, _CONTAINER_SECURITY, path)
    yield from _seccomp(security, path)
    if (security.get("capabilities") or {}).get("add"):
        yield f"{path}.capabilities.add", "a sandbox has no capabilities to give"


def _seccomp(security: Object, path: str) -> Iterator[Unsupported]:
    if (security.get("seccompProfile") or {}).get("type") == "Localhost":
        yield f"{path}.seccompProfile.localhostProfile", "devcluster has no seccomp profiles"


def _source(source: Object, path: str) -> Iterator[Unsupported]:
    yield from _unknown(source, _SOURCES, path)
    requested = (source.get("fieldRef") or {}).get("fieldPath")
    if requested and requested not in fields.ENV_FIELDS and not fields.SUBSCRIPT.fullmatch(requested):
        yield f"{path}.fieldRef.fieldPath", f"{requested!r} is not one of {', '.join(fields.ENV_FIELDS)}"


def _mount(mount: Object, path: str) -> Iterator[Unsupported]:
    without = {name: value for name, value in mount.items() if (name, value) != ("mountPropagation", "None")}
    if without.get("recursiveReadOnly") == "Disabled":
        del without["recursiveReadOnly"]
    yield from _unknown(without, _MOUNT, path)


def _volume(volume: Object, path: str) -> Iterator[Unsupported]:
    yield from _unknown(volume, ("name", *_VOLUMES), path)
    medium = (volume.get("emptyDir") or {}).get("medium")
    if medium not in (None, "", "Memory"):
        yield f"{path}.emptyDir.medium", f"{medium!r} is neither Memory nor this machine's disk"
    yield from _files(volume.get("downwardAPI") or {}, f"{path}.downwardAPI")
    for number, source in enumerate((volume.get("projected") or {}).get("sources") or []):
        where = f"{path}.projected.sources[{number}]"
        yield from _unknown(source, _PROJECTIONS, where)
        yield from _files(source.get("downwardAPI") or {}, f"{where}.downwardAPI")


def _files(downward: Object, path: str) -> Iterator[Unsupported]:
    for number, item in enumerate(downward.get("items") or []):
        where = f"{path}.items[{number}]"
        if item.get("resourceFieldRef"):
            yield f"{where}.resourceFieldRef", _REASONS["resourceFieldRef"]
        requested = (item.get("fieldRef") or {}).get("fieldPath")
        if requested and requested not in fields.VOLUME_FIELDS and not fields.SUBSCRIPT.fullmatch(requested):
            yield f"{where}.fieldRef.fieldPath", f"{requested!r} is not one of {', '.join(fields.VOLUME_FIELDS)}"
