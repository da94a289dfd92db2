"""What each kind of object needs beside the common rules: defaults, rules, and what may change.

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
from k8s_vault_devcluster.api.rules import Rule, Rules, absent, check, named, one_of, present
from k8s_vault_devcluster.api.status import Cause, forbidden_value, invalid_value, required, too_long
from k8s_vault_devcluster.store import Object

# https://kubernetes.io/docs/concepts/configuration/secret/#restriction-data-size
_MAX_DATA_BYTES = 1024 * 1024
_RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True)
class Strategy:
    """`prepare` fills in defaults, in place; `check_update` (new, old) returns what may not change so."""

    prepare: Callable[[Object], None] = lambda obj: None
    rules: Rules = ()
    check_update: Callable[[Object, Object], list[Cause]] = lambda new, old: []
    name_rule: names.Syntax = names.dns_subdomain


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


def _type(value: str | None, field: str) -> Iterator[Cause]:
    if value and value.startswith("kubernetes.io/"):
        yield forbidden_value(field, f"devcluster does not know what {value} has to hold: leave it out")


def _data(measure: Callable[[str], int]) -> Rule:
    """The rule of a map from keys to contents, whose size in bytes is measured."""

    def rule(data: dict[str, str] | None, field: str) -> Iterator[Cause]:
        size = 0
        for key, value in (data or {}).items():
            yield from named(names.config_key)(key, f"{field}[{key}]")
            try:
                size += measure(value)
            except binascii.Error as error:
                # Not the value: it may be a password that someone forgot to encode.
                yield Cause("FieldValueInvalid", f"{field}[{key}]", f"Invalid value: illegal base64 data: {error}")
        if size > _MAX_DATA_BYTES:
            yield too_long(field, f"may not be more than {_MAX_DATA_BYTES} bytes")

    return rule


_TEXT = _data(lambda value: len(value.encode()))
_BASE64 = _data(lambda value: len(base64.b64decode(value, validate=True)))


def _twice(config_map: Object, field: str) -> Iterator[Cause]:
    for key in config_map.get("data", {}).keys() & config_map.get("binaryData", {}).keys():
        yield invalid_value(f"data[{key}]", key, "duplicate of key present in binaryData")


def _check_immutable(new: Object, old: Object) -> list[Cause]:
    why = "field is immutable when `immutable` is set"
    causes = []
    if old.get("immutable"):
        causes = [forbidden_value(key, why) for key in ("data", "binaryData") if new.get(key) != old.get(key)]
        causes += [] if new.get("immutable") else [forbidden_value("immutable", why)]
    if new.get("type") != old.get("type"):
        causes.append(invalid_value("type", new.get("type"), "field is immutable"))
    return causes


def _own_namespace(event: Object, field: str) -> Iterator[Cause]:
    target = event.get("involvedObject", {}).get("namespace")
    if target and target != event["metadata"]["namespace"]:
        yield invalid_value("involvedObject.namespace", target, "does not match event.namespace")


def _rule(rule: Object, field: str) -> Iterator[Cause]:
    parts = () if rule.get("nonResourceURLs") else (("apiGroups", "api group"), ("resources", "resource"))
    needed = {key: present(f"resource rules must supply at least one {what}") for key, what in parts}
    yield from check({"verbs": present("verbs must contain at least one value"), **needed}, rule, field)


def _no_path(rule: Object, field: str) -> Iterator[Cause]:
    if paths := rule.get("nonResourceURLs"):
        why = "namespaced rules cannot apply to non-resource URLs"
        yield invalid_value(f"{field}.nonResourceURLs", paths, why)


def _prepare_binding(binding: Object) -> None:
    binding.get("roleRef", {}).setdefault("apiGroup", _RBAC)
    for subject in binding.get("subjects", []):
        if subject.get("kind") != "ServiceAccount":
            subject.setdefault("apiGroup", _RBAC)
        elif subject.get("apiGroup") == "":
            del subject["apiGroup"]


def _subject(subject: Object, field: str) -> Iterator[Cause]:
    yield from check({"kind": one_of("Group", "ServiceAccount", "User")}, subject, field)
    if subject["kind"] == "ServiceAccount" and not subject.get("namespace"):
        yield required(f"{field}.namespace")


def _check_role_reference(new: Object, old: Object) -> list[Cause]:
    return (
        []
        if new["roleRef"] == old["roleRef"]
        else [invalid_value("roleRef", new["roleRef"], "cannot change roleRef")]
    )


def _binding(*kinds: str) -> Strategy:
    rules: Rules = {"roleRef": {"kind": one_of(*kinds)}, "subjects": [_subject]}
    return Strategy(_prepare_binding, rules, _check_role_reference, names.path_segment)


_CLUSTER_ROLE: Rules = {
    "rules": [_rule],
    "aggregationRule": absent("devcluster does not support aggregated roles"),
}
_BY_PLURAL = {
    "pods": Strategy(_prepare_pod, {"spec": pod_rules.SPEC}, pod_rules.check_pod_update),
    "namespaces": Strategy(_prepare_namespace, name_rule=names.dns_label),
    "secrets": Strategy(_prepare_secret, {"data": _BASE64, "type": _type}, _check_immutable),
    "configmaps": Strategy(rules=({"data": _TEXT, "binaryData": _BASE64}, _twice), check_update=_check_immutable),
    claims.PLURAL: Strategy(claims.prepare, lambda claim, field: claims.check(claim), claims.check_update),
    "events": Strategy(rules=_own_namespace),
    "limitranges": Strategy(pod_resources.prepare_range, {"spec": pod_resources.RANGE}),
    "resourcequotas": Strategy(rules={"spec": pod_resources.QUOTA}),
    "roles": Strategy(rules={"rules": [(_rule, _no_path)]}, name_rule=names.path_segment),
    "clusterroles": Strategy(rules=_CLUSTER_ROLE, name_rule=names.path_segment),
    "rolebindings": _binding("ClusterRole", "Role"),
    "clusterrolebindings": _binding("ClusterRole"),
    "validatingadmissionpolicies": Strategy(rules={"spec": policies.POLICY}),
    "validatingadmissionpolicybindings": Strategy(rules={"spec": policies.BINDING}),
}


def strategy_of(plural: str) -> Strategy:
    return _BY_PLURAL.get(plural, Strategy())
