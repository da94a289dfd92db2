"""What in a pod opens one container to another, or the node to a container: no pod with secrets has it.

Containers of a pod have a file system and a process table each. What takes that away lets a neighbour, which was
given nothing, read the environment, the files or the login of the one that was.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

_SECTIONS = ("initContainers", "containers", "ephemeralContainers")
_OF_POD = {
    "shareProcessNamespace": "shows each container the environment and files of the others",
    "hostPID": "shows the environment and files of all processes of the node",
    "hostIPC": "shares memory with all processes of the node",
}
# Each of them reaches past its own container: https://man7.org/linux/man-pages/man7/capabilities.7.html. Those of
# the network are not here: containers of a pod share it in any case, and Vault's answers are encrypted.
_CAPABILITIES = frozenset(
    (
        *("ALL", "SYS_ADMIN", "SYS_PTRACE", "SYS_MODULE", "SYS_RAWIO", "SYS_BOOT", "DAC_READ_SEARCH", "BPF"),
        *("PERFMON", "CHECKPOINT_RESTORE", "SYSLOG", "MAC_ADMIN", "MAC_OVERRIDE"),
    )
)
# Folders of a node in which its own software lives: whoever has one of them has the other pods of the node.
_SYSTEM = frozenset(
    (
        *("bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "opt", "proc", "root", "run", "sbin", "sys"),
        *("usr", "var"),
        # Where systems that are read-only keep the same: ostree, snap, Docker Desktop, Talos, Bottlerocket, COS.
        *("sysroot", "ostree", "snap", "host_mnt", "containers", "system", "local", ".bottlerocket"),
        *("home/kubernetes", "mnt/stateful_partition"),
    )
)
# Below any folder, where a node's disk is mounted elsewhere: of each pod and container, with its volumes.
_OF_CONTAINERS = frozenset(("kubelet", "containerd", "docker", "crio", "cri-o", "rancher"))
# A folder of a node that holds disks: with them all that is on them.
_OF_DISKS = frozenset(("mnt", "media", "home"))
# With these SELinux confines nothing: Fedora's, and Bottlerocket's.
_UNCONFINED = frozenset(("spc_t", "unconfined_t", "unconfined_service_t", "container_runtime_t", "super_t"))
_REFERENCE = re.compile(r"\$\(([^()]*)\)")


def openings(pod: Mapping[str, Any], variables: Mapping[str, Collection[str]]) -> list[str]:
    """Return a sentence for each field of a v1 Pod manifest that opens one container to another.

    variables: container to the names of its environment variables that hold a secret.

    >>> openings({"spec": {"shareProcessNamespace": True, "containers": []}}, {})
    ['spec.shareProcessNamespace shows each container the environment and files of the others']
    """
    spec = pod.get("spec") or {}
    errors = [f"spec.{key} {what}" for key, what in _OF_POD.items() if spec.get(key)]
    if _has(spec, "securityContext", "windowsOptions", "hostProcess"):
        errors.append("spec.securityContext.windowsOptions.hostProcess gives its containers the node")
    errors += _of_selinux("spec.securityContext", spec.get("securityContext") or {})
    errors += _of_volumes(spec)
    for section in _SECTIONS:
        for container in spec.get(section) or ():
            where = f"spec.{section}[{container.get('name')}]"
            errors += _of_context(f"{where}.securityContext", container.get("securityContext") or {})
            errors += _of_mounts(where, container, variables.get(str(container.get("name")), ()))
    return errors


def secret_variables(pod: Mapping[str, Any]) -> dict[str, set[str]]:
    """Return container to the names of its variables that come from a Secret or from the agent."""
    spec = pod.get("spec") or {}
    return {
        str(container.get("name")): {
            str(variable.get("name"))
            for variable in container.get("env") or ()
            if {"secretKeyRef", "fileKeyRef"} & set(variable.get("valueFrom") or ())
        }
        for section in _SECTIONS
        for container in spec.get(section) or ()
    }


def _has(value: Any, *keys: str) -> Any:
    for key in keys:
        value = (value or {}).get(key)
    return value


def _of_volumes(spec: Mapping[str, Any]) -> Iterator[str]:
    for volume in spec.get("volumes") or ():
        path = _has(volume, "hostPath", "path")
        if volume.get("hostPath") is not None and _is_of_the_system(str(path)):
            where = f"spec.volumes[{volume.get('name')}].hostPath"
            yield f"{where} {path} is the node's own, and with it the files of its other containers"


def _is_of_the_system(path: str) -> bool:
    steps = [step for step in path.split("/") if step not in ("", ".")]
    return (
        not steps
        or ".." in steps
        or not _SYSTEM.isdisjoint((steps[0], "/".join(steps[:2])))
        or not _OF_CONTAINERS.isdisjoint(steps)
        or (len(steps) == 1 and steps[0] in _OF_DISKS)
    )


def _of_selinux(where: str, context: Mapping[str, Any]) -> Iterator[str]:
    if (kind := _has(context, "seLinuxOptions", "type")) in _UNCONFINED:
        yield f"{where}.seLinuxOptions.type {kind} takes the container's confinement away"


def _of_context(where: str, context: Mapping[str, Any]) -> Iterator[str]:
    if context.get("privileged"):
        yield f"{where}.privileged gives the container the node"
    if _has(context, "windowsOptions", "hostProcess"):
        yield f"{where}.windowsOptions.hostProcess gives the container the node"
    if context.get("procMount") not in (None, "Default"):
        yield f"{where}.procMount shows the container more of /proc than its own"
    yield from _of_selinux(where, context)
    for capability in _has(context, "capabilities", "add") or ():
        # Runtimes take them in any case.
        if str(capability).upper().removeprefix("CAP_") in _CAPABILITIES:
            yield f"{where}.capabilities.add {capability} reaches past the container"


def _of_mounts(where: str, container: Mapping[str, Any], variables: Collection[str]) -> Iterator[str]:
    for mount in container.get("volumeMounts") or ():
        field = f"{where}.volumeMounts[{mount.get('mountPath')}]"
        if mount.get("mountPropagation") == "Bidirectional":
            yield f"{field}.mountPropagation Bidirectional puts the container's mounts into others"
        named = set(_REFERENCE.findall(str(mount.get("subPathExpr") or "")))
        for variable in sorted(named & _holding(variables, container)):
            yield f"{field}.subPathExpr writes the secret in {variable} into the name of a folder"


def _holding(variables: Collection[str], container: Mapping[str, Any]) -> set[str]:
    """Return the variables that hold a secret, with those that refer to one of them, however often."""
    holding = set(variables)
    # The kubelet expands what stands before: one pass in their order is enough.
    for variable in container.get("env") or ():
        if not holding.isdisjoint(_REFERENCE.findall(str(variable.get("value") or ""))):
            holding.add(str(variable.get("name")))
    return holding
