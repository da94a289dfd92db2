"""What each kind of object needs beside the common rules: defaults, checks, and what may change.

Source: kubernetes, pkg/registry/*/strategy.go.

Needed by Secrets, roles and namespaces of the compiled teams, and the immutable Secrets of delivery `secret`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from k8s_vault_devcluster import claims
from k8s_vault_devcluster.api import defaults, names, pod_resources, pod_rules, policies
from k8s_vault_devcluster.api.status import (
    Cause,
    forbidden_value,
    invalid_value,
    not_supported,
    required,
    too_long,
)
from k8s_vault_devcluster.api.volume_rules import check_config_key
from k8s_vault_devcluster.store import Object

# https://kubernetes.io/docs/concepts/configuration/secret/#restriction-data-size
_MAX_DATA_BYTES = 1024 * 1024


def _nothing(obj: Object) -> None:
    """Most kinds have no defaults."""


def _no_causes(obj: Object) -> list[Cause]:
    return []


def _free(new: Object, old: Object) -> list[Cause]:
    return []


@dataclass(frozen=True)
class Strategy:
    """`prepare` fills in defaults, in place; `check` and `check_update` (new, old) return what is wrong."""

    prepare: Callable[[Object], None] = _nothing
    check: Callable[[Object], list[Cause]] = _no_causes
    check_update: Callable[[Object, Object], list[Cause]] = _free
    name_rule: Callable[[str], list[str]] = names.dns_subdomain


def _prepare_pod(pod: Object) -> None:
    pod["spec"] = pod.get("spec", {})
    defaults.default_pod(pod)
    pod["metadata"]["generation"] = 1
    pod["status"] = {"phase": "Pending", "qosClass": defaults.qos_class(pod["spec"])}


def _prepare_namespace(namespace: Object) -> None:
    meta = namespace["metadata"]
    meta["labels"] = {**meta.get("labels", {}), "kubernetes.io/metadata.name": meta["name"]}
    namespace["spec"] = {"finalizers": ["kubernetes"]}
    namespace["status"] = {"phase": "Active"}


def _prepare_secret(secret: Object) -> None:
    secret.setdefault("type", "Opaque")
    # stringData is written only: it ends up in data, and wins there.
    for key, value in secret.pop("stringData", {}).items():
        secret.setdefault("data", {})[key] = base64.b64encode(value.encode()).decode()


def _check_secret(secret: Object) -> list[Cause]:
    causes = list(_check_data(secret.get("data", {}), "data", encoded=True))
    needed = {
        "kubernetes.io/tls": ("tls.crt", "tls.key"),
        "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    }
    for key in needed.get(secret.get("type", ""), ()):
        if key not in secret.get("data", {}):
            causes.append(required(f"data[{key}]"))
    if secret.get("type") == "kubernetes.io/service-account-token":
        why = "devcluster does not fill in long-lived tokens: use serviceaccounts/token"
        causes.append(forbidden_value("type", why))
    return causes


def _check_data(data: Object, field: str, *, encoded: bool) -> Iterator[Cause]:
    size = 0
    for key, value in data.items():
        yield from check_config_key(key, f"{field}[{key}]")
        try:
            size += len(base64.b64decode(value, validate=True)) if encoded else len(value.encode())
        except binascii.Error as error:
            # Not the value: it may be a password that someone forgot to encode.
            yield Cause("FieldValueInvalid", f"{field}[{key}]", f"Invalid value: illegal base64 data: {error}")
    if size > _MAX_DATA_BYTES:
        yield too_long(field, f"may not be more than {_MAX_DATA_BYTES} bytes")


def _check_config_map(config_map: Object) -> list[Cause]:
    binary = config_map.get("binaryData", {})
    causes = [*_check_data(config_map.get("data", {}), "data", encoded=False)]
    causes += _check_data(binary, "binaryData", encoded=True)
    twice = [key for key in config_map.get("data", {}) if key in binary]
    return causes + [invalid_value(f"data[{key}]", key, "duplicate of key present in binaryData") for key in twice]


def _check_immutable(new: Object, old: Object) -> list[Cause]:
    why = "field is immutable when `immutable` is set"
    causes = []
    if old.get("immutable"):
        causes = [forbidden_value(key, why) for key in ("data", "binaryData") if new.get(key) != old.get(key)]
        causes += [] if new.get("immutable") else [forbidden_value("immutable", why)]
    if new.get("type") != old.get("type"):
        causes.append(invalid_value("type", new.get("type"), "field is immutable"))
    return causes


def _check_event(event: Object) -> list[Cause]:
    target = event.get("involvedObject", {}).get("namespace", "")
    if target and target != event["metadata"]["namespace"]:
        return [invalid_value("involvedObject.namespace", target, "does not match event.namespace")]
    return []


def _check_role(role: Object) -> list[Cause]:
    causes = []
    for index, rule in enumerate(role.get("rules", [])):
        place = f"rules[{index}]"
        if not rule.get("verbs"):
            causes.append(required(f"{place}.verbs", "verbs must contain at least one value"))
        if rule.get("nonResourceURLs"):
            if role["kind"] == "Role":
                why = "namespaced rules cannot apply to non-resource URLs"
                causes.append(invalid_value(f"{place}.nonResourceURLs", rule["nonResourceURLs"], why))
            continue
        if not rule.get("apiGroups"):
            causes.append(required(f"{place}.apiGroups", "resource rules must supply at least one api group"))
        if not rule.get("resources"):
            causes.append(required(f"{place}.resources", "resource rules must supply at least one resource"))
    if "aggregationRule" in role:
        causes.append(forbidden_value("aggregationRule", "devcluster does not support aggregated roles"))
    return causes


def _prepare_binding(binding: Object) -> None:
    binding.get("roleRef", {}).setdefault("apiGroup", "rbac.authorization.k8s.io")
    for subject in binding.get("subjects", []):
        subject.setdefault(
            "apiGroup", "" if subject.get("kind") == "ServiceAccount" else "rbac.authorization.k8s.io"
        )
        if not subject["apiGroup"]:
            del subject["apiGroup"]


def _check_binding(binding: Object) -> list[Cause]:
    reference = binding["roleRef"]
    known = ["ClusterRole"] if binding["kind"] == "ClusterRoleBinding" else ["ClusterRole", "Role"]
    causes = [] if reference["kind"] in known else [not_supported("roleRef.kind", reference["kind"], known)]
    for index, subject in enumerate(binding.get("subjects", [])):
        place = f"subjects[{index}]"
        if subject["kind"] not in ("Group", "ServiceAccount", "User"):
            causes.append(not_supported(f"{place}.kind", subject["kind"], ["Group", "ServiceAccount", "User"]))
        if subject["kind"] == "ServiceAccount" and not subject.get("namespace"):
            causes.append(required(f"{place}.namespace"))
    return causes


def _check_role_reference(new: Object, old: Object) -> list[Cause]:
    if new["roleRef"] == old["roleRef"]:
        return []
    return [invalid_value("roleRef", new["roleRef"], "cannot change roleRef")]


_ROLE = Strategy(check=_check_role, name_rule=names.path_segment)
_BINDING = Strategy(_prepare_binding, _check_binding, _check_role_reference, names.path_segment)
_BY_PLURAL = {
    "pods": Strategy(_prepare_pod, pod_rules.check_pod, pod_rules.check_pod_update),
    "namespaces": Strategy(_prepare_namespace, name_rule=names.dns_label),
    "secrets": Strategy(_prepare_secret, _check_secret, _check_immutable),
    "configmaps": Strategy(check=_check_config_map, check_update=_check_immutable),
    claims.PLURAL: Strategy(claims.prepare, claims.check, claims.check_update),
    "events": Strategy(check=_check_event),
    "limitranges": Strategy(pod_resources.prepare_range, pod_resources.check_range),
    "resourcequotas": Strategy(check=pod_resources.check_quota),
    "roles": _ROLE,
    "clusterroles": _ROLE,
    "rolebindings": _BINDING,
    "clusterrolebindings": _BINDING,
    "validatingadmissionpolicies": Strategy(check=policies.check_policy),
    "validatingadmissionpolicybindings": Strategy(check=policies.check_binding),
}


def strategy_of(plural: str) -> Strategy:
    return _BY_PLURAL.get(plural, Strategy())
