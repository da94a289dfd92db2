"""Request bodies: from bytes to an object that fits its schema.

Needed by every write: what a cluster refuses to read must not be read here.
"""

from __future__ import annotations

import json
from typing import Any

from k8s_vault_devcluster.api import schema
from k8s_vault_devcluster.api.context import RequestInfo
from k8s_vault_devcluster.api.metadata import check_metadata
from k8s_vault_devcluster.api.resources import Resource
from k8s_vault_devcluster.api.rules import check
from k8s_vault_devcluster.api.status import ApiError, Cause, bad_request, invalid, unsupported_media_type
from k8s_vault_devcluster.api.strategies import strategy_of
from k8s_vault_devcluster.store import Object

# What the system sets: whatever a client sends for it is dropped, as Kubernetes does.
_SYSTEM_FIELDS = (
    *("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"),
    *("generation", "managedFields", "resourceVersion", "selfLink"),
)
# MaxRequestBodyBytes of kube-apiserver.
LIMIT_BYTES = 3 * 1024 * 1024
_READ = ("application/json", "application/apply-patch+yaml")
# Of nested lists and maps. Kubernetes reads 10,000, and has no field that is a tenth as deep as this.
_LIMIT_LEVELS = 200
_TOO_DEEP = f"json: exceeded max depth (of {_LIMIT_LEVELS} levels here, and 10000 in Kubernetes)"


def media_type(header: str) -> str:
    return header.partition(";")[0].strip().lower()


def parse(content: bytes, header: str) -> Any:
    """Return the body as plain data; raise ApiError 400, 413 and 415."""
    kind = media_type(header) or "application/json"
    if len(content) > LIMIT_BYTES:
        raise ApiError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {LIMIT_BYTES}")
    if kind not in _READ and not kind.endswith("-patch+json"):
        raise unsupported_media_type(
            "the body of the request was in an unknown format - accepted media types include: application/json. "
            f"devcluster does not read {kind}, which kubectl's generators send: use kubectl apply -f, and for a "
            "token kubectl create --raw /api/v1/namespaces/NAMESPACE/serviceaccounts/NAME/token -f -"
        )
    try:
        # As Go reads it: what is no UTF-8, and half a surrogate pair, becomes U+FFFD.
        return _plain(json.loads(content.decode(errors="replace"), parse_constant=_no_number), _LIMIT_LEVELS)
    except RecursionError:
        raise bad_request(_TOO_DEEP) from None
    except ValueError as error:
        hint = " (as YAML devcluster reads JSON alone, which kubectl sends)" if kind.endswith("yaml") else ""
        raise bad_request(f"couldn't get version/kind; json parse error: {error}{hint}") from None


def _no_number(name: str) -> None:
    raise ValueError(f"invalid character '{name[0]}' looking for beginning of value")


def _plain(value: Any, levels: int) -> Any:
    if not levels:
        raise RecursionError
    if isinstance(value, dict):
        return {_text(key): _plain(item, levels - 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, levels - 1) for item in value]
    return _text(value) if isinstance(value, str) else value


def _text(text: str) -> str:
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def decode(content: bytes, header: str, api_version: str, kind: str) -> Object:
    """Return an object of this kind, without nulls, that fits the schema but for `metadata.name`.

    Raises ApiError 400 for unknown fields and wrong types, 422 for missing ones.
    """
    sent = parse(content, header)
    if not isinstance(sent, dict):
        raise bad_request(f"the object provided is unrecognized (must be of type {kind}): expected a map")
    return checked(schema.without_nulls(sent), api_version, kind)


def checked(obj: Object, api_version: str, kind: str) -> Object:
    obj = {"apiVersion": api_version, "kind": kind, **obj}
    if kind == "Pod":
        # Go knows no struct that is not there: what it lacks is told of the empty one.
        obj.setdefault("spec", {})
    result = f"{obj['apiVersion']}, Kind={obj['kind']}"
    if (obj["apiVersion"], obj["kind"]) != (api_version, kind):
        raise bad_request(f"the object provided is unrecognized (must be of type {kind}): found {result}")
    missing = schema.check(obj, api_version, kind)
    if missing:
        group = api_version.rpartition("/")[0]
        raise invalid(kind, group, obj.get("metadata", {}).get("name", ""), missing)
    return obj


def place(obj: Object, requested: RequestInfo) -> None:
    """Set the namespace from the path and drop what only the system sets; raise ApiError 400 on a mismatch."""
    meta = obj.setdefault("metadata", {})
    for field in _SYSTEM_FIELDS:
        meta.pop(field, None)
    if requested.target.namespaced:
        sent = meta.setdefault("namespace", requested.namespace)
        if sent != requested.namespace:
            raise bad_request(
                f"the namespace of the provided object does not match the namespace sent on the request: "
                f"found {sent}, expected {requested.namespace}"
            )
    else:
        meta.pop("namespace", None)


def causes_of(obj: Object, resource: Resource) -> list[Cause]:
    """Return everything that is wrong with a complete object."""
    strategy = strategy_of(resource.plural)
    meta = check_metadata(obj["metadata"], resource.namespaced, strategy.name_rule)
    return [*meta, *check(strategy.rules, obj)]
