"""What Kubernetes requires of a pod at its creation, and what may change afterwards.

Source: kubernetes, pkg/apis/core/validation/validation.go (ValidatePodSpec, ValidatePodUpdate).

Needed by the tests that a pod is refused here which Kubernetes refuses, and by the scheduling gate.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from k8s_vault_devcluster.api.container_rules import check_containers, check_security
from k8s_vault_devcluster.api.names import (
    check_labels,
    dns_label,
    dns_subdomain,
    label_value,
    qualified_name,
)
from k8s_vault_devcluster.api.status import (
    Cause,
    duplicate,
    forbidden_value,
    invalid_value,
    not_supported,
    required,
)
from k8s_vault_devcluster.api.volume_rules import check_volumes
from k8s_vault_devcluster.store import Object, copied

_CHOICES = {
    "restartPolicy": ["Always", "Never", "OnFailure"],
    "dnsPolicy": ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"],
    "preemptionPolicy": ["Never", "PreemptLowerPriority"],
}
_OPERATORS = ["DoesNotExist", "Exists", "Gt", "In", "Lt", "NotIn"]
_EFFECTS = ["NoExecute", "NoSchedule", "PreferNoSchedule"]
_MAY_CHANGE = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def check_pod(pod: Object) -> list[Cause]:
    """Return what is wrong with a pod whose defaults are filled in."""
    spec = pod["spec"]
    return [
        *check_volumes(spec.get("volumes", []), "spec.volumes"),
        *check_containers(spec),
        *_check_choices(spec),
        *_check_numbers(spec),
        *_check_names(spec),
        *_check_gates(spec),
        *check_labels(spec.get("nodeSelector", {}), "spec.nodeSelector"),
        *_check_affinity(spec),
        *_check_tolerations(spec.get("tolerations", [])),
        *check_security(spec.get("securityContext", {}), "spec.securityContext"),
    ]


def _check_choices(spec: Object) -> Iterator[Cause]:
    for key, known in _CHOICES.items():
        if spec[key] not in known:
            yield not_supported(f"spec.{key}", spec[key], known)


def _check_numbers(spec: Object) -> Iterator[Cause]:
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= 2**31 - 1:
        yield invalid_value("spec.activeDeadlineSeconds", deadline, "must be between 1 and 2147483647, inclusive")
    if spec["terminationGracePeriodSeconds"] < 0:
        why = "must be greater than or equal to 0"
        yield invalid_value("spec.terminationGracePeriodSeconds", spec["terminationGracePeriodSeconds"], why)


def _check_names(spec: Object) -> Iterator[Cause]:
    for key in ("hostname", "subdomain"):
        if spec.get(key):
            yield from (invalid_value(f"spec.{key}", spec[key], problem) for problem in dns_label(spec[key]))
    for key in ("serviceAccountName", "nodeName", "priorityClassName"):
        if spec.get(key):
            yield from (invalid_value(f"spec.{key}", spec[key], problem) for problem in dns_subdomain(spec[key]))
    for index, secret in enumerate(spec.get("imagePullSecrets", [])):
        if not secret.get("name"):
            yield required(f"spec.imagePullSecrets[{index}].name")
    yield from _check_host_aliases(spec.get("hostAliases", []))


def _check_host_aliases(aliases: list[Object]) -> Iterator[Cause]:
    for index, alias in enumerate(aliases):
        place = f"spec.hostAliases[{index}]"
        try:
            ipaddress.ip_address(alias.get("ip", ""))
        except ValueError:
            why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
            yield invalid_value(f"{place}.ip", alias.get("ip", ""), why)
        for number, name in enumerate(alias.get("hostnames", [])):
            yield from (invalid_value(f"{place}.hostnames[{number}]", name, why) for why in dns_subdomain(name))


def _check_gates(spec: Object) -> Iterator[Cause]:
    gates = [gate["name"] for gate in spec.get("schedulingGates", [])]
    for index, name in enumerate(gates):
        place = f"spec.schedulingGates[{index}]"
        yield from (invalid_value(place, name, problem) for problem in qualified_name(name))
        if name in gates[:index]:
            yield duplicate(place, name)
    if gates and spec.get("nodeName"):
        why = "cannot be set until all schedulingGates have been cleared"
        yield forbidden_value("spec.nodeName", why)


def _check_affinity(spec: Object) -> Iterator[Cause]:
    node = spec.get("affinity", {}).get("nodeAffinity", {})
    expected = node.get("requiredDuringSchedulingIgnoredDuringExecution", {})
    place = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
    terms = expected.get("nodeSelectorTerms", [])
    if expected and not terms:
        yield required(place, "must have at least one node selector term")
    for number, term in enumerate(terms):
        for index, expression in enumerate(term.get("matchExpressions", [])):
            yield from _check_expression(expression, f"{place}[{number}].matchExpressions[{index}]")


def _check_expression(expression: Object, place: str) -> Iterator[Cause]:
    operator, values = expression.get("operator", ""), expression.get("values", [])
    if operator not in _OPERATORS:
        yield not_supported(f"{place}.operator", operator, _OPERATORS)
    if operator in ("In", "NotIn") and not values:
        yield required(f"{place}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    if operator in ("Exists", "DoesNotExist") and values:
        yield forbidden_value(
            f"{place}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
        )
    if operator in ("Gt", "Lt") and (len(values) != 1 or not re.fullmatch(r"-?\d+", values[0])):
        yield required(f"{place}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'")


def _check_tolerations(tolerations: list[Object]) -> Iterator[Cause]:
    for index, each in enumerate(tolerations):
        place, operator = f"spec.tolerations[{index}]", each.get("operator", "Equal")
        if each.get("key"):
            yield from (
                invalid_value(f"{place}.key", each["key"], problem) for problem in qualified_name(each["key"])
            )
        elif operator != "Exists":
            why = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            yield invalid_value(f"{place}.operator", each.get("operator", ""), why)
        if "tolerationSeconds" in each and each.get("effect") != "NoExecute":
            why = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            yield invalid_value(f"{place}.effect", each.get("effect", ""), why)
        if operator not in ("Equal", "Exists"):
            yield not_supported(f"{place}.operator", operator, ["Equal", "Exists"])
        if operator == "Exists" and each.get("value"):
            why = "value must be empty when `operator` is 'Exists'"
            yield invalid_value(f"{place}.operator", each["value"], why)
        if each.get("effect") and each["effect"] not in _EFFECTS:
            yield not_supported(f"{place}.effect", each["effect"], _EFFECTS)
        yield from (
            invalid_value(f"{place}.operator", each["value"], why) for why in label_value(each.get("value", ""))
        )


def check_pod_update(new: Object, old: Object) -> list[Cause]:
    """Return what of this update a pod does not allow."""
    causes = [*_check_deadline(new["spec"], old["spec"]), *_check_gate_update(new["spec"], old["spec"])]
    if any(each not in _tolerated(new["spec"]) for each in _tolerated(old["spec"])):
        causes.append(
            forbidden_value(
                "spec.tolerations", "existing toleration can not be modified except its tolerationSeconds"
            )
        )
    gated = bool(old["spec"].get("schedulingGates"))
    if _frozen(new["spec"], gated) != _frozen(old["spec"], gated):
        causes.append(forbidden_value("spec", f"{_MAY_CHANGE}\n{_changed(new['spec'], old['spec'])}"))
    return [*causes, *(cause for cause in check_pod(new) if not causes)]


def _tolerated(spec: Object) -> list[Object]:
    """The tolerations without their seconds, which may change."""
    return [{**each, "tolerationSeconds": None} for each in spec.get("tolerations", [])]


def _check_deadline(new: Object, old: Object) -> Iterator[Cause]:
    before, after = old.get("activeDeadlineSeconds"), new.get("activeDeadlineSeconds")
    if before is not None and after is None:
        why = "must not update from a positive integer to nil value"
        yield invalid_value("spec.activeDeadlineSeconds", None, why)
    elif before is not None and after is not None and after > before:
        yield invalid_value("spec.activeDeadlineSeconds", after, "must be less than or equal to previous value")


def _check_gate_update(new: Object, old: Object) -> Iterator[Cause]:
    before = [gate["name"] for gate in old.get("schedulingGates", [])]
    added = [gate["name"] for gate in new.get("schedulingGates", []) if gate["name"] not in before]
    if added:
        why = f"only deletion is allowed, but found new scheduling gate '{added[0]}'"
        yield forbidden_value("spec.schedulingGates", why)


def _frozen(spec: Object, gated: bool) -> Object:
    """The spec without what may change. A gated pod's node selector may still be made narrower, which
    nobody here needs: it counts as frozen."""
    frozen: Object = copied(spec)
    for key in ("activeDeadlineSeconds", "tolerations", *(["schedulingGates"] if gated else [])):
        frozen.pop(key, None)
    for kind in ("containers", "initContainers"):
        for container in frozen.get(kind, []):
            container.pop("image", None)
    return frozen


def _changed(new: Object, old: Object) -> str:
    """The names of the changed fields, where Kubernetes prints a diff of Go structs."""
    names = sorted(key for key in new.keys() | old.keys() if new.get(key) != old.get(key))
    return f"  core.PodSpec: changed: {', '.join(names)}"
