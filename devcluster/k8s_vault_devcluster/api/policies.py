"""ValidatingAdmissionPolicies and their bindings: what they may hold here, and what they refuse.

Source: kubernetes, apiserver/pkg/admission/plugin/policy/validating. There a policy holds a second or two later,
here at once.

Needed by the compiled admission policies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from k8s_vault_devcluster.api import cel, cel_cost
from k8s_vault_devcluster.api.context import RequestInfo
from k8s_vault_devcluster.api.rules import Rules, absent, only, present
from k8s_vault_devcluster.api.status import ApiError, Cause, forbidden_value, invalid_value
from k8s_vault_devcluster.store import NotFound, Object, Store

_POLICIES, _BINDINGS = "validatingadmissionpolicies", "validatingadmissionpolicybindings"
_WHY = "devcluster does not support this of admission policies"
_SELECTORS: Rules = (
    only(_WHY, "matchPolicy", "resourceRules", "namespaceSelector", "objectSelector"),
    {"objectSelector": absent(_WHY), "namespaceSelector": only(f"{_WHY} but matchLabels", "matchLabels")},
)


def _compiles(expression: str, field: str) -> Iterator[Cause]:
    try:
        cel_cost.compiled(expression)
    except cel.CelError as error:
        yield invalid_value(field, expression, f"compilation failed: {error}")


def _deny(actions: list[str] | None, field: str) -> Iterator[Cause]:
    if actions != ["Deny"]:
        yield forbidden_value(field, f"{_WHY} but [Deny]")


# Of their specs.
POLICY: Rules = (
    only(_WHY, "failurePolicy", "matchConstraints", "validations", "variables"),
    {
        "matchConstraints": _SELECTORS,
        "variables": [{"expression": _compiles}],
        "validations": (present("validations must contain at least one item"), [{"expression": _compiles}]),
    },
)
BINDING: Rules = (
    only(_WHY, "policyName", "validationActions", "matchResources"),
    {"matchResources": _SELECTORS, "validationActions": _deny},
)


def admit(store: Store, requested: RequestInfo, operation: str, obj: Object, old: Object | None = None) -> None:
    """Raise ApiError 422 where a policy that is bound to the namespace does not admit the request."""
    for binding in store.list(_BINDINGS):
        spec = binding["spec"]
        try:
            policy = store.get(_POLICIES, "", spec["policyName"])["spec"]
        except NotFound:
            continue  # as in Kubernetes: a binding to a policy that is not there holds nothing
        if not _selects(store, requested, spec.get("matchResources", {})):
            continue
        if not _concerns(policy["matchConstraints"], requested, operation) or not _selects(
            store, requested, policy["matchConstraints"]
        ):
            continue
        given = {
            "object": cel.as_typed(obj),
            "oldObject": cel.as_typed(old),
            "request": _request(requested, operation),
        }
        if result := cel.denials(policy, given) or cel_cost.exceeded(policy, given):
            raise _denied(requested, spec["policyName"], binding["metadata"]["name"], result[0])


def _selects(store: Store, requested: RequestInfo, matches: Mapping[str, Any]) -> bool:
    expected = matches.get("namespaceSelector", {}).get("matchLabels", {})
    if not expected:
        return True
    try:
        labels = store.get("namespaces", "", requested.namespace)["metadata"].get("labels", {})
    except NotFound:
        return False
    return bool(expected.items() <= labels.items())


def _concerns(constraints: Mapping[str, Any], requested: RequestInfo, operation: str) -> bool:
    return any(
        _listed(rule["apiGroups"], requested.target.group)
        and _listed(rule["operations"], operation)
        and _listed(rule["resources"], requested.kind)
        for rule in constraints.get("resourceRules", ())
    )


def _listed(values: list[str], value: str) -> bool:
    return "*" in values or value in values


def _request(requested: RequestInfo, operation: str) -> dict[str, Any]:
    resource = {"group": requested.target.group, "version": "v1", "resource": requested.target.plural}
    user = {"username": requested.user["username"], "groups": list(requested.user.get("groups", []))}
    return {
        "operation": operation,
        "namespace": requested.namespace,
        "name": requested.name,
        "resource": resource,
        "subResource": requested.subresource,
        "userInfo": user,
        "dryRun": False,
    }


def _denied(requested: RequestInfo, policy: str, binding: str, message: str) -> ApiError:
    why = f"ValidatingAdmissionPolicy '{policy}' with binding '{binding}' denied request: {message}"
    name = requested.name or "unknown"
    message = f'{requested.target.plural} "{name}" is forbidden: {why}'
    return ApiError(422, "Invalid", message, name=name, kind=requested.target.plural, causes=[{"message": why}])
