"""The options of requests: dryRun, DeleteOptions, and what lists and watches select.

Needed by `kubectl delete` and `apply --dry-run=server`, doctor's trials, and the shared watch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from k8s_vault_devcluster.api.context import RequestInfo, number
from k8s_vault_devcluster.api.rules import Rules, absent, check, not_negative, one_of
from k8s_vault_devcluster.api.selectors import Predicate, field_selector, label_selector
from k8s_vault_devcluster.api.status import ApiError, bad_request, invalid
from k8s_vault_devcluster.store import Object, Objects, Store

_ONLY_BACKGROUND = "devcluster supports Background alone"
_DELETION: Rules = {
    "gracePeriodSeconds": not_negative,
    "propagationPolicy": (
        one_of("Background", "Foreground", "Orphan"),
        lambda value, field: absent(_ONLY_BACKGROUND)(value in ("Foreground", "Orphan"), field),
    ),
    "orphanDependents": lambda value, field: absent(_ONLY_BACKGROUND)(value is not None, field),
}
_NO_VERSION = "resourceVersionMatch is forbidden unless resourceVersion is provided"
_NEWEST_ALONE = "devcluster lists its newest state alone, which is NotOlderThan"


def dry_run(query: Mapping[str, str], options: str, sent: list[str] | None = None) -> bool:
    """Whether nothing is to be stored; raise ApiError 422 for values other than All."""
    values = sent if sent is not None else [value for value in [query.get("dryRun", "")] if value]
    strange = next((value for value in values if value != "All"), None)
    given = {"dryRun": strange, "fieldValidation": query.get("fieldValidation")}
    _checked({"dryRun": one_of("All"), "fieldValidation": one_of("Ignore", "Strict", "Warn")}, given, options)
    return bool(values)


def _checked(rules: Rules, options: Object, kind: str) -> None:
    if causes := list(check(rules, options)):
        raise invalid(kind, "meta.k8s.io", "", causes)


@dataclass(frozen=True)
class DeleteOptions:
    """`grace_seconds` None: the object's own. `preconditions`: what its `uid` and `resourceVersion` have to be."""

    grace_seconds: int | None
    preconditions: Mapping[str, str]
    dry_run: bool


def delete_options(body: Object, query: Mapping[str, str]) -> DeleteOptions:
    """Return what body and query ask for; the body wins, as in Kubernetes."""
    grace = body.get("gracePeriodSeconds", number(query, "gracePeriodSeconds"))
    propagation = body.get("propagationPolicy") or query.get("propagationPolicy")
    _checked(_DELETION, {**body, "gracePeriodSeconds": grace, "propagationPolicy": propagation}, "DeleteOptions")
    return DeleteOptions(grace, body.get("preconditions", {}), dry_run(query, "DeleteOptions", body.get("dryRun")))


def selection(requested: RequestInfo, query: Mapping[str, str]) -> Predicate:
    """Return the predicate of a list or watch: namespace, labelSelector and fieldSelector."""
    tests = [label_selector(query.get("labelSelector", ""))]
    tests.append(field_selector(query.get("fieldSelector", ""), requested.target.plural))
    space = requested.namespace if requested.target.namespaced else ""
    name = requested.name if requested.verb in ("list", "watch") else ""

    def matches(obj: Object) -> bool:
        meta = obj["metadata"]
        return (
            (not space or meta["namespace"] == space)
            and (not name or meta["name"] == name)
            and all(test(obj) for test in tests)
        )

    return matches


def listed(store: Store, requested: RequestInfo, query: Mapping[str, str]) -> Objects:
    """Return what a list asks for; raise ApiError 400, 422 or 504.

    All of them, whatever its `limit`, as a server may: https://kubernetes.io/docs/reference/kubernetes-api/
    common-parameters/common-parameters/#limit
    """
    match, version = query.get("resourceVersionMatch", ""), query.get("resourceVersion", "")
    limit = number(query, "limit") or 0
    if limit < 0:
        raise bad_request(f"invalid limit: {limit}")
    if query.get("continue"):
        raise bad_request("continue key is not valid: devcluster's lists are whole, and give none")
    exact = match == "Exact" or (version_number(store, version) and limit and not match)
    why = _NO_VERSION if match and not version else _NEWEST_ALONE if exact else ""
    rules = (one_of("", "Exact", "NotOlderThan"), lambda value, field: absent(why)(why, field))
    _checked({"resourceVersionMatch": rules}, {"resourceVersionMatch": match}, "ListOptions")
    return in_order(store.list(requested.target.plural, where=selection(requested, query)))


def in_order(objects: Objects) -> Objects:
    """Return them by namespace and name."""
    return sorted(objects, key=lambda obj: (obj["metadata"].get("namespace", ""), obj["metadata"]["name"]))


def version_number(store: Store, version: str) -> int:
    """Return a resourceVersion as a number (0 where it is empty); raise ApiError 400, or 504 for the future."""
    if not re.fullmatch("[0-9]{0,20}", version):
        raise bad_request(f'resourceVersion: Invalid value: "{version}": strconv.ParseUint: invalid syntax')
    if int(version or 0) > store.version:
        cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
        message = f"Timeout: Too large resource version: {version}, current: {store.version}"
        raise ApiError(504, "Timeout", message, causes=[cause], retryAfterSeconds=1)
    return int(version or 0)
