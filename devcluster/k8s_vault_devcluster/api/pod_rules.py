"""What Kubernetes requires of a pod at its creation, and what may change afterwards.

Source: kubernetes, pkg/apis/core/validation/validation.go (ValidatePodSpec, ValidatePodUpdate).

Needed by the tests that a pod is refused here which Kubernetes refuses, and by the scheduling gate.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from k8s_vault_devcluster.api.container_rules import SECURITY, check_containers
from k8s_vault_devcluster.api.names import dns_label, dns_subdomain, label_value, qualified_name
from k8s_vault_devcluster.api.rules import (
    Rules,
    labels,
    not_negative,
    one_of,
    present,
    spelled,
    within,
    worded,
)
from k8s_vault_devcluster.api.status import Cause, duplicate, forbidden_value, invalid_value, required
from k8s_vault_devcluster.api.volume_rules import check_volumes
from k8s_vault_devcluster.store import Object

_MAY_CHANGE = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
_HERE = "devcluster changes the deadline alone in a pod that is there"


def _ip(ip: str | None, field: str) -> Iterator[Cause]:
    try:
        ipaddress.ip_address(ip or "")
    except ValueError:
        yield invalid_value(field, ip or "", "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")


def _gates(spec: Object, field: str) -> Iterator[Cause]:
    gates = [gate["name"] for gate in spec.get("schedulingGates", [])]
    for index, name in enumerate(gates):
        place = f"{field}.schedulingGates[{index}]"
        yield from spelled(qualified_name)(name, place)
        if name in gates[:index]:
            yield duplicate(place, name)
    if gates and spec.get("nodeName"):
        yield forbidden_value(f"{field}.nodeName", "cannot be set until all schedulingGates have been cleared")


def _expression(expression: Object, field: str) -> Iterator[Cause]:
    operator, values = expression.get("operator", ""), expression.get("values", [])
    field = f"{field}.values"
    if operator in ("In", "NotIn") and not values:
        yield required(field, "must be specified when `operator` is 'In' or 'NotIn'")
    if operator in ("Exists", "DoesNotExist") and values:
        yield forbidden_value(field, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    if operator in ("Gt", "Lt") and (len(values) != 1 or not re.fullmatch(r"-?\d+", values[0])):
        yield required(field, "must be specified single value when `operator` is 'Lt' or 'Gt'")


def _toleration(toleration: Object, field: str) -> Iterator[Cause]:
    exists, value = toleration.get("operator") == "Exists", toleration.get("value", "")
    if not toleration.get("key") and not exists:
        why = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        yield invalid_value(f"{field}.operator", toleration.get("operator", ""), why)
    if "tolerationSeconds" in toleration and toleration.get("effect") != "NoExecute":
        why = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        yield invalid_value(f"{field}.effect", toleration.get("effect", ""), why)
    whys = ["value must be empty when `operator` is 'Exists'"] if exists and value else label_value(value)
    yield from (invalid_value(f"{field}.operator", value, why) for why in whys)


_OPERATOR = {"operator": one_of("DoesNotExist", "Exists", "Gt", "In", "Lt", "NotIn")}
_TERMS: Rules = (
    present("must have at least one node selector term"),
    [{"matchExpressions": [(_OPERATOR, _expression)]}],
)
_TOLERATION = {
    "key": worded(qualified_name),
    "operator": one_of("Equal", "Exists"),
    "effect": one_of("NoExecute", "NoSchedule", "PreferNoSchedule"),
}
# Of a pod whose defaults are filled in.
SPEC: Rules = (
    {"volumes": check_volumes},
    check_containers,
    {
        "restartPolicy": one_of("Always", "Never", "OnFailure"),
        "dnsPolicy": one_of("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"),
        "preemptionPolicy": one_of("Never", "PreemptLowerPriority"),
        "activeDeadlineSeconds": within(1, 2**31 - 1),
        "terminationGracePeriodSeconds": not_negative,
        "hostname": worded(dns_label),
        "serviceAccountName": worded(dns_subdomain),
        "nodeName": worded(dns_subdomain),
        "priorityClassName": worded(dns_subdomain),
        "imagePullSecrets": [{"name": present()}],
        "hostAliases": [{"ip": _ip, "hostnames": [spelled(dns_subdomain)]}],
    },
    _gates,
    {
        "nodeSelector": labels,
        "affinity": {
            "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": _TERMS}}
        },
        "tolerations": [(_TOLERATION, _toleration)],
        "securityContext": SECURITY,
    },
)


def _deadline(before: int | None, after: int | None) -> Iterator[Cause]:
    """Yield what is wrong with another deadline: it is how a kept pod's containers are ended."""
    field = "spec.activeDeadlineSeconds"
    if before is not None and after is None:
        yield invalid_value(field, None, "must not update from a positive integer to nil value")
    elif before is not None and after is not None and after > before:
        yield invalid_value(field, after, "must be less than or equal to previous value")


def check_pod_update(new: Object, old: Object) -> list[Cause]:
    """Return what of this update a pod does not allow: its scheduling gates go, and its deadline comes nearer."""
    before, after = old["spec"], new["spec"]
    added = [gate for gate in after.get("schedulingGates", []) if gate not in before.get("schedulingGates", [])]
    why = "only deletion is allowed, but found new scheduling gate"
    causes = [forbidden_value("spec.schedulingGates", f"{why} '{gate['name']}'") for gate in added[:1]]
    causes += _deadline(before.get("activeDeadlineSeconds"), after.get("activeDeadlineSeconds"))
    keys = sorted((before.keys() | after.keys()) - {"schedulingGates", "activeDeadlineSeconds"})
    if changed := ", ".join(key for key in keys if before.get(key) != after.get(key)):
        # Kubernetes prints a diff of Go structs.
        causes.append(forbidden_value("spec", f"{_MAY_CHANGE}\n  core.PodSpec: changed: {changed}. {_HERE}"))
    return causes
