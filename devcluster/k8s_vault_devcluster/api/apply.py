"""Server-side apply: each manager says what it wants of an object, and what it no longer says goes.

Whose a field is is told more strictly than by Kubernetes, which keeps it in managedFields: a field that is there
with another value, and that is not what this manager applied last, is somebody else's.
https://kubernetes.io/docs/reference/using-api/server-side-apply/

Needed by `compile kubernetes | kubectl apply --server-side`, by the demo and the tests of what is compiled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from k8s_vault_devcluster.api.context import flag
from k8s_vault_devcluster.api.patches import strategic_merge
from k8s_vault_devcluster.api.schema import resolved, schema_of
from k8s_vault_devcluster.api.status import ApiError, bad_request, invalid, required
from k8s_vault_devcluster.store import Object

CONTENT_TYPE = "application/apply-patch+yaml"
# What every manager says alike.
_COMMON = ("apiVersion", "kind")


def manager_of(query: Mapping[str, str]) -> str:
    """Return who applies; raise ApiError 422."""
    if not query.get("fieldManager"):
        cause = required("fieldManager", "is required for apply patch")
        raise invalid("PatchOptions", "meta.k8s.io", "", [cause])
    return query["fieldManager"]


def requested_of(sent: Any) -> Object:
    """Return what is applied; raise ApiError 400 where it cannot be."""
    if not isinstance(sent, dict):
        raise bad_request("error decoding YAML: it is no object")
    for name in _COMMON:
        if not sent.get(name):
            raise bad_request(f"the object applied has to name its {name}")
    if isinstance(sent.get("metadata"), dict) and sent["metadata"].get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    return sent


def merged(live: Object, last: Object, new: Object, query: Mapping[str, str]) -> Object:
    """Return the object with `new` instead of `last`; raise ApiError 409 where others hold a field of it."""
    schema = schema_of(new["apiVersion"], new["kind"])
    taken = [] if flag(query, "force") else sorted(set(_conflicts(live, last, new, schema, "")))
    if taken:
        noun = "conflict" if len(taken) == 1 else "conflicts"
        message = f"Apply failed with {len(taken)} {noun}: conflicts with another manager: {', '.join(taken)}"
        causes = [{"reason": "FieldManagerConflict", "message": "conflict", "field": field} for field in taken]
        raise ApiError(409, "Conflict", message, causes=causes)
    return strategic_merge(live, _with_removals(last, new, schema), schema)


def _with_removals(last: Object, new: Object, schema: dict[str, Any]) -> Object:
    """Return `new` as a strategic merge patch that also takes away what only `last` has."""
    properties = resolved(schema).get("properties", {})
    patch: Object = {key: None for key in last if key not in new}
    for key, value in new.items():
        field, before = properties.get(key, {}), last.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            value = _with_removals(before, value, field)
        elif (name := _merge_key(field, value)) and isinstance(before, list):
            old = {item.get(name): item for item in before}
            kept = [_with_removals(old.pop(item.get(name), {}), item, field["items"]) for item in value]
            value = kept + [{"$patch": "delete", name: gone} for gone in old]
        patch[key] = value
    return patch


def _conflicts(live: Any, last: Any, new: Any, schema: dict[str, Any], path: str) -> Iterator[str]:
    """Yield the fields of `new` that are there with another value, which is not ours."""
    if isinstance(new, dict) and isinstance(live, dict):
        properties, before = resolved(schema).get("properties", {}), last if isinstance(last, dict) else {}
        for key in new.keys() & live.keys():
            yield from _conflicts(live[key], before.get(key), new[key], properties.get(key, {}), f"{path}.{key}")
    elif (name := _merge_key(schema, new)) and isinstance(live, list):
        theirs = {item.get(name): item for item in live}
        ours = {item.get(name): item for item in last or []}
        for item in new:
            key = item.get(name)
            if key in theirs:
                at = f'{path}[{name}="{key}"]'
                yield from _conflicts(theirs[key], ours.get(key), item, schema["items"], at)
    elif not _agree(live, new) and not _agree(live, last):
        yield path


def _agree(live: Any, message: Any) -> bool:
    """Whether that is what was said, defaults aside."""
    if isinstance(live, dict) and isinstance(message, dict):
        return all(key in live and _agree(live[key], value) for key, value in message.items())
    if isinstance(live, list) and isinstance(message, list):
        return len(live) == len(message) and all(_agree(*pair) for pair in zip(live, message, strict=True))
    return bool(live == message)


def _merge_key(schema: dict[str, Any], value: Any) -> str:
    """Return the key by which a list's items are told apart; "" where it is replaced as a whole."""
    merges = "merge" in schema.get("x-kubernetes-patch-strategy", "").split(",")
    key = schema.get("x-kubernetes-patch-merge-key", "") if merges else ""
    return key if isinstance(value, list) and all(isinstance(item, dict) for item in value) else ""
