"""What the PodSecurity admission plugin says of a pod that a level does not allow.

Source: k8s.io/pod-security-admission, policy/check_*.go: a reason and its detail for each check, baseline first.
The verdict itself is that of policy.pod_security; the checks that a pod here hardly fails are left to its words.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from k8s_vault_devcluster.api.defaults import containers
from k8s_vault_devcluster.store import Object

_VOLUMES = "configMap csi downwardAPI emptyDir ephemeral persistentVolumeClaim projected secret name".split()  # noqa: SIM905 - a table of words


def reasons(pod: Object, level: str) -> list[str]:
    """Return `reason (detail)` for each check that the pod fails; [] where none of those below tells.

    >>> reasons({"spec": {"hostPID": True, "containers": []}}, "baseline")
    ['host namespaces (hostPID=true)']
    """
    checks = _BASELINE + (_RESTRICTED if level == "restricted" else ())
    message = [(reason, detail(pod["spec"])) for reason, detail in checks]
    return [f"{reason} ({detail})" for reason, detail in message if detail]


def _listed(noun: str, names: list[str]) -> str:
    """`container "a"`, `containers "a", "b"`; "" where there are none."""
    return f"{noun}{'s' if len(names) > 1 else ''} {', '.join(map(json.dumps, names))}" if names else ""


def _named(spec: Object, bad: Callable[[Object], bool]) -> str:
    """The containers whose securityContext is bad."""
    return _listed(
        "container", [each["name"] for each in containers(spec) if bad(each.get("securityContext") or {})]
    )


def _setters(spec: Object, bad: Callable[[Object], bool]) -> str:
    """The pod and the containers that set something bad themselves."""
    whole = ["pod"] if bad(spec.get("securityContext") or {}) else []
    return " and ".join(filter(None, [*whole, _named(spec, bad)]))


def _must(spec: Object, bad: Callable[[Object], bool], rule: str, prefix: str = "") -> str:
    names = _named(spec, bad)
    return f"{prefix}{names} must {rule}" if names else ""


def _host_namespaces(spec: Object) -> str:
    return ", ".join(f"{key}=true" for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key))


def _host_paths(spec: Object) -> str:
    return _listed("volume", [volume["name"] for volume in spec.get("volumes", []) if "hostPath" in volume])


def _privileged(spec: Object) -> str:
    return _must(spec, lambda own: bool(own.get("privileged")), "not set securityContext.privileged=true")


def _volume_types(spec: Object) -> str:
    bad = [(each["name"], kind) for each in spec.get("volumes", []) for kind in each if kind not in _VOLUMES]
    use = f"use{'' if len(bad) > 1 else 's'}"
    kinds = _listed("restricted volume type", sorted({kind for _, kind in bad}))
    return f"{_listed('volume', [name for name, _ in bad])} {use} {kinds}" if bad else ""


def _escalation(spec: Object) -> str:
    rule = "set securityContext.allowPrivilegeEscalation=false"
    return _must(spec, lambda own: own.get("allowPrivilegeEscalation") is not False, rule)


def _capabilities(spec: Object) -> str:
    def kept(own: Object) -> bool:
        return "ALL" not in ((own.get("capabilities") or {}).get("drop") or [])

    def added(own: Object) -> list[str]:
        return [name for name in (own.get("capabilities") or {}).get("add") or [] if name != "NET_BIND_SERVICE"]

    names = sorted({name for each in containers(spec) for name in added(each.get("securityContext") or {})})
    rule = f"not include {', '.join(map(json.dumps, names))} in securityContext.capabilities.add"
    parts = [
        _must(spec, kept, 'set securityContext.capabilities.drop=["ALL"]'),
        _must(spec, lambda own: bool(added(own)), rule),
    ]
    return "; ".join(filter(None, parts))


def _non_root(spec: Object) -> str:
    refused = _setters(spec, lambda own: own.get("runAsNonRoot") is False)
    if refused:
        return f"{refused} must not set securityContext.runAsNonRoot=false"
    if (spec.get("securityContext") or {}).get("runAsNonRoot"):
        return ""
    rule = "set securityContext.runAsNonRoot=true"
    return _must(spec, lambda own: own.get("runAsNonRoot") is None, rule, "pod or ")


def _root_user(spec: Object) -> str:
    refused = _setters(spec, lambda own: own.get("runAsUser") == 0)
    return f"{refused} must not set runAsUser=0" if refused else ""


def _seccomp(spec: Object) -> str:
    def kind(context: Object) -> str:
        return str((context.get("seccompProfile") or {}).get("type", ""))

    refused = _setters(spec, lambda own: kind(own) == "Unconfined")
    if refused:
        return f'{refused} must not set securityContext.seccompProfile.type to "Unconfined"'
    if kind(spec.get("securityContext") or {}):
        return ""
    rule = 'set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return _must(spec, lambda own: not kind(own), rule, "pod or ")


_Check = tuple[str, Callable[[Object], str]]
_BASELINE: tuple[_Check, ...] = (
    ("host namespaces", _host_namespaces),
    ("hostPath volumes", _host_paths),
    ("privileged", _privileged),
)
_RESTRICTED: tuple[_Check, ...] = (
    ("allowPrivilegeEscalation != false", _escalation),
    ("unrestricted capabilities", _capabilities),
    ("restricted volume types", _volume_types),
    ("runAsNonRoot != true", _non_root),
    ("runAsUser=0", _root_user),
    ("seccompProfile", _seccomp),
)
