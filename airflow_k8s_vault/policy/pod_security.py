"""The Pod Security Standards, all controls of them, on a plain pod manifest.

https://kubernetes.io/docs/concepts/security/pod-security-standards/ as of Kubernetes 1.36. Two things are stricter
than Kubernetes' own admission: a Windows pod and a pod with a user namespace of its own get no exemption.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any, Literal

PodSecurityLevel = Literal["privileged", "baseline", "restricted"]
# A field as messages name it, and its value.
FieldValue = tuple[str, Any]

_SECTIONS = ("initContainers", "containers", "ephemeralContainers")
BASELINE_CAPABILITIES = frozenset(
    [
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    ]
)
SYSCTLS = frozenset(
    [
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    ]
)
SELINUX_TYPES = ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")
SECCOMP_PROFILES = ("RuntimeDefault", "Localhost")
_VOLUMES = (
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
)
HOOKS_AND_PROBES = (
    ("livenessProbe",),
    ("readinessProbe",),
    ("startupProbe",),
    ("lifecycle", "postStart"),
    ("lifecycle", "preStop"),
)
_APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"


def pod_security_violations(pod: dict[str, Any], level: PodSecurityLevel) -> list[str]:
    """Return one sentence for each field that the level does not allow; empty where the pod meets it.

    pod: a v1 Pod manifest with the keys that Kubernetes has, of valid shape. A sentence names the field, the
    value found, the control, and what is allowed.
    """
    controls = {"privileged": (), "baseline": _BASELINE, "restricted": _BASELINE + _RESTRICTED}[level]
    return [sentence for control in controls for sentence in control(pod)]


def containers(pod: dict[str, Any]) -> Iterator[FieldValue]:
    """Yield each container of the pod, of all kinds, with its field ("spec.containers[0]")."""
    for section in _SECTIONS:
        for index, container in enumerate(_get(pod, "spec", section) or ()):
            yield f"spec.{section}[{index}]", container


def _get(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _security_contexts(pod: dict[str, Any]) -> Iterator[FieldValue]:
    yield "spec.securityContext", _get(pod, "spec", "securityContext") or {}
    yield from _container_contexts(pod)


def _container_contexts(pod: dict[str, Any]) -> Iterator[FieldValue]:
    for field, container in containers(pod):
        yield f"{field}.securityContext", _get(container, "securityContext") or {}


def _text(field: str, value: Any, control: str, allowed: str) -> str:
    shown = "not set" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
    return f"{field} is {shown}; {control}: {allowed}."


def _one_of(allowed: Collection[str]) -> str:
    return f"allowed are {', '.join(sorted(filter(None, allowed)))}"


# Baseline.


def _host_process(pod: dict[str, Any]) -> Iterator[str]:
    for field, context in _security_contexts(pod):
        value = _get(context, "windowsOptions", "hostProcess")
        if value:
            yield _text(f"{field}.windowsOptions.hostProcess", value, "HostProcess", "allowed is false")


def _host_namespaces(pod: dict[str, Any]) -> Iterator[str]:
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        value = _get(pod, "spec", key)
        if value:
            yield _text(f"spec.{key}", value, "host namespaces", "allowed is false")


def _privileged(pod: dict[str, Any]) -> Iterator[str]:
    for field, context in _container_contexts(pod):
        if context.get("privileged"):
            yield _text(f"{field}.privileged", True, "privileged containers", "allowed is false")


def _added_capabilities(pod: dict[str, Any]) -> Iterator[str]:
    yield from _capabilities(pod, BASELINE_CAPABILITIES)


def _capabilities(pod: dict[str, Any], allowed: Collection[str]) -> Iterator[str]:
    for field, context in _container_contexts(pod):
        for capability in _get(context, "capabilities", "add") or ():
            if capability not in allowed:
                yield _text(f"{field}.capabilities.add", capability, "capabilities", _one_of(allowed))


def _host_path(pod: dict[str, Any]) -> Iterator[str]:
    for index, volume in enumerate(_get(pod, "spec", "volumes") or ()):
        if volume.get("hostPath") is not None:
            path = _get(volume, "hostPath", "path")
            yield _text(f"spec.volumes[{index}].hostPath", path, "HostPath volumes", "none are allowed")


def _host_ports(pod: dict[str, Any]) -> Iterator[str]:
    for field, container in containers(pod):
        for index, port in enumerate(container.get("ports") or ()):
            if port.get("hostPort"):
                yield _text(f"{field}.ports[{index}].hostPort", port["hostPort"], "host ports", "none are allowed")


def _host_probes(pod: dict[str, Any]) -> Iterator[str]:
    for field, container in containers(pod):
        for steps in HOOKS_AND_PROBES:
            for action in ("httpGet", "tcpSocket"):
                host = _get(container, *steps, action, "host")
                if host:
                    name = ".".join((field, *steps, action, "host"))
                    yield _text(
                        name, host, "host probes and lifecycle hooks", "allowed is the pod itself (not set)"
                    )


def _apparmor(pod: dict[str, Any]) -> Iterator[str]:
    for field, context in _security_contexts(pod):
        value = _get(context, "appArmorProfile", "type")
        if context.get("appArmorProfile") is not None and value not in SECCOMP_PROFILES:
            yield _text(f"{field}.appArmorProfile.type", value, "AppArmor", _one_of(SECCOMP_PROFILES))
    for key, value in (_get(pod, "metadata", "annotations") or {}).items():
        fits = value in ("", "runtime/default") or str(value).startswith("localhost/")
        if key.startswith(_APPARMOR_ANNOTATION) and not fits:
            allowed = "allowed are runtime/default and localhost/*"
            yield _text(f"metadata.annotations[{key}]", value, "AppArmor", allowed)


def _selinux(pod: dict[str, Any]) -> Iterator[str]:
    for field, context in _security_contexts(pod):
        options = context.get("seLinuxOptions") or {}
        if (options.get("type") or "") not in SELINUX_TYPES:
            yield _text(f"{field}.seLinuxOptions.type", options["type"], "SELinux", _one_of(SELINUX_TYPES))
        for key in ("user", "role"):
            if options.get(key):
                yield _text(f"{field}.seLinuxOptions.{key}", options[key], "SELinux", "it has to be left out")


def _proc_mount(pod: dict[str, Any]) -> Iterator[str]:
    for field, context in _container_contexts(pod):
        value = context.get("procMount")
        if value not in (None, "Default"):
            yield _text(f"{field}.procMount", value, "/proc mount type", "allowed is Default")


def _seccomp(pod: dict[str, Any]) -> Iterator[str]:
    for field, context in _security_contexts(pod):
        if context.get("seccompProfile") is not None:
            value = _get(context, "seccompProfile", "type")
            if value not in SECCOMP_PROFILES:
                yield _text(f"{field}.seccompProfile.type", value, "seccomp", _one_of(SECCOMP_PROFILES))


def _sysctls(pod: dict[str, Any]) -> Iterator[str]:
    for index, sysctl in enumerate(_get(pod, "spec", "securityContext", "sysctls") or ()):
        if sysctl.get("name") not in SYSCTLS:
            name = f"spec.securityContext.sysctls[{index}].name"
            yield _text(name, sysctl.get("name"), "sysctls", _one_of(SYSCTLS))


# Restricted: all of the above, and these.


def _volume_types(pod: dict[str, Any]) -> Iterator[str]:
    for index, volume in enumerate(_get(pod, "spec", "volumes") or ()):
        kinds = [key for key, value in volume.items() if key != "name" and value is not None]
        # Kubernetes makes an emptyDir of a volume without a kind; its admission refuses it all the same.
        for kind in kinds or [None]:
            if kind not in _VOLUMES:
                yield _text(f"spec.volumes[{index}]", kind, "volume types", _one_of(_VOLUMES))


def _escalation(pod: dict[str, Any]) -> Iterator[str]:
    for field, context in _container_contexts(pod):
        value = context.get("allowPrivilegeEscalation")
        if value is not False:
            yield _text(f"{field}.allowPrivilegeEscalation", value, "privilege escalation", "it has to be false")


def _non_root(pod: dict[str, Any]) -> Iterator[str]:
    for field, value in _effective(pod, "runAsNonRoot"):
        if value is not True:
            yield _text(
                f"{field}.runAsNonRoot", value, "running as non-root", "it has to be true, here or for the pod"
            )


def _non_root_user(pod: dict[str, Any]) -> Iterator[str]:
    for field, context in _security_contexts(pod):
        if context.get("runAsUser") == 0:
            yield _text(f"{field}.runAsUser", 0, "running as non-root user", "any other number is allowed")


def _seccomp_set(pod: dict[str, Any]) -> Iterator[str]:
    for field, value in _effective(pod, "seccompProfile"):
        if value is None:
            allowed = "it has to be RuntimeDefault or Localhost, here or for the pod"
            yield _text(f"{field}.seccompProfile.type", None, "seccomp", allowed)


def _dropped_capabilities(pod: dict[str, Any]) -> Iterator[str]:
    for field, context in _container_contexts(pod):
        dropped = _get(context, "capabilities", "drop")
        if "ALL" not in (dropped or ()):
            yield _text(f"{field}.capabilities.drop", dropped, "capabilities", "it has to hold ALL")
    yield from _capabilities(pod, ("NET_BIND_SERVICE",))


def _effective(pod: dict[str, Any], key: str) -> Iterator[FieldValue]:
    """Yield what holds for each container: its own value, or else the pod's; and the pod's own where it is bad."""
    whole = _get(pod, "spec", "securityContext", key)
    if whole is False:
        yield "spec.securityContext", whole
    for field, context in _container_contexts(pod):
        own = context.get(key)
        yield field, whole if own is None else own


_Control = Callable[[dict[str, Any]], Iterator[str]]
_BASELINE: tuple[_Control, ...] = (
    _host_process,
    _host_namespaces,
    _privileged,
    _added_capabilities,
    _host_path,
    _host_ports,
    _host_probes,
    _apparmor,
    _selinux,
    _proc_mount,
    _seccomp,
    _sysctls,
)
_RESTRICTED: tuple[_Control, ...] = (
    _volume_types,
    _escalation,
    _non_root,
    _non_root_user,
    _seccomp_set,
    _dropped_capabilities,
)
