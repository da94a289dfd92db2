"""The options of requests: dryRun, DeleteOptions, and what lists and watches select.

Needed by `kubectl delete` and `apply --dry-run=server`, doctor's trials, and the shared watch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from k8s_vault_devcluster.api.context import RequestInfo, number
from k8s_vault_devcluster.api.selectors import Predicate, field_selector, label_selector
from k8s_vault_devcluster.api.status import (
    ApiError,
    bad_request,
    forbidden_value,
    invalid,
    invalid_value,
    not_supported,
)
from k8s_vault_devcluster.store import Object, Store

_PROPAGATION = ["Background", "Foreground", "Orphan"]
_ONLY_BACKGROUND = "devcluster supports Background alone"


def dry_run(query: Mapping[str, str], options: str, sent: list[str] | None = None) -> bool:
    """Whether nothing is to be stored; raise ApiError 422 for values other than All."""
    values = sent if sent is not None else [value for value in [query.get("dryRun", "")] if value]
    for value in values:
        if value != "All":
            raise invalid(options, "meta.k8s.io", "", [not_supported("dryRun", value, ["All"])])
    validation = query.get("fieldValidation", "Strict")
    if validation not in ("Ignore", "Strict", "Warn"):
        known = ["Ignore", "Strict", "Warn"]
        raise invalid(options, "meta.k8s.io", "", [not_supported("fieldValidation", validation, known)])
    return bool(values)


@dataclass(frozen=True)
class DeleteOptions:
    """`grace_seconds` None: the object's own. `uid` and `version` None: any."""

    grace_seconds: int | None
    propagation: str
    uid: str | None
    version: str | None
    dry_run: bool


def delete_options(body: Object, query: Mapping[str, str]) -> DeleteOptions:
    """Return what body and query ask for; the body wins, as in Kubernetes."""
    grace = body.get("gracePeriodSeconds", number(query, "gracePeriodSeconds"))
    propagation = body.get("propagationPolicy") or query.get("propagationPolicy") or "Background"
    causes = []
    if grace is not None and grace < 0:
        causes.append(invalid_value("gracePeriodSeconds", grace, "must be greater than or equal to 0"))
    if propagation not in _PROPAGATION:
        causes.append(not_supported("propagationPolicy", propagation, _PROPAGATION))
    elif propagation != "Background":
        causes.append(forbidden_value("propagationPolicy", _ONLY_BACKGROUND))
    if body.get("orphanDependents") is not None:
        causes.append(forbidden_value("orphanDependents", "devcluster wants propagationPolicy instead"))
    if causes:
        raise invalid("DeleteOptions", "meta.k8s.io", "", causes)
    conditions = body.get("preconditions", {})
    return DeleteOptions(
        grace,
        propagation,
        conditions.get("uid"),
        conditions.get("resourceVersion"),
        dry_run(query, "DeleteOptions", body.get("dryRun")),
    )


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


def list_version(store: Store, query: Mapping[str, str], limit: int) -> int:
    """Return the version whose state a list asks for: the newest, unless it has to be one exactly."""
    version, match = query.get("resourceVersion", ""), query.get("resourceVersionMatch", "")
    if match and not version:
        why = "resourceVersionMatch is forbidden unless resourceVersion is provided"
        raise invalid("ListOptions", "meta.k8s.io", "", [forbidden_value("resourceVersionMatch", why)])
    if match not in ("", "Exact", "NotOlderThan"):
        cause = not_supported("resourceVersionMatch", match, ["", "Exact", "NotOlderThan"])
        raise invalid("ListOptions", "meta.k8s.io", "", [cause])
    if match == "Exact" and version == "0":
        why = 'resourceVersionMatch "Exact" is forbidden for resourceVersion "0"'
        raise invalid("ListOptions", "meta.k8s.io", "", [forbidden_value("resourceVersionMatch", why)])
    expected = version_number(store, version)
    exact = match == "Exact" or (not match and limit and expected)
    return expected if exact else store.version


def version_number(store: Store, version: str) -> int:
    """Return a resourceVersion as a number (0 where it is empty); raise ApiError 400, or 504 for the future."""
    if not version:
        return 0
    if not re.fullmatch("[0-9]{1,20}", version):
        raise bad_request(f'resourceVersion: Invalid value: "{version}": strconv.ParseUint: invalid syntax')
    if int(version) > store.version:
        cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
        message = f"Timeout: Too large resource version: {version}, current: {store.version}"
        raise ApiError(504, "Timeout", message, causes=[cause], retryAfterSeconds=1)
    return int(version)
