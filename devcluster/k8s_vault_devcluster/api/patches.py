"""The three ways to patch: JSON patch (RFC 6902), merge patch (RFC 7386) and strategic merge patch.

Pure functions on plain JSON. Strategic merge reads the lists' merge keys from the published schema:
https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/

Needed by kubectl apply and the operator's labels. JSON patches are jsonpatch's; no library merges strategically.
"""

from __future__ import annotations

from typing import Any

import jsonpatch
import jsonpointer

from k8s_vault_devcluster.api.schema import resolved, schema_of
from k8s_vault_devcluster.api.status import ApiError, bad_request, unsupported_media_type
from k8s_vault_devcluster.store import Object

_DIRECTIVES = ("$patch", "$retainKeys")
# maxJSONPatchOperations of kube-apiserver.
_LIMIT_OPERATIONS = 10_000


def apply(content_type: str, obj: Object, patch: Any) -> Any:
    """Return the patched object, or what the patch makes of it; raise ApiError 400, 415 or 422."""
    kind = content_type.removeprefix("application/").removesuffix("-patch+json")
    if kind not in ("json", "merge", "strategic-merge"):
        raise unsupported_media_type(
            f"the body of the request was in an unknown format ({content_type}) - accepted media types include: "
            "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json"
        )
    if kind == "json":
        return json_patch(obj, patch)
    if not isinstance(patch, dict):
        raise bad_request("json: cannot unmarshal array into Go value of type map[string]interface {}")
    if kind == "merge":
        return merge_patch(obj, patch)
    return strategic_merge(obj, patch, schema_of(obj["apiVersion"], obj["kind"]))


def merge_patch(value: Any, patch: Any) -> Any:
    """RFC 7386: maps are merged, null removes, anything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(value) if isinstance(value, dict) else {}
    for key, item in patch.items():
        if item is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), item)
    return merged


def strategic_merge(value: Object, patch: Object, schema: dict[str, Any]) -> Object:
    """Merge maps, and those lists whose schema names a merge key; `$patch: delete` is honoured."""
    _refuse_unknown_directives(patch)
    if patch.get("$patch") == "delete":
        return {}
    properties = resolved(schema).get("properties", {})
    merged = dict(value)
    if "$retainKeys" in patch:
        merged = {key: item for key, item in merged.items() if key in patch["$retainKeys"]}
    for key, item in patch.items():
        if key.startswith("$"):
            _apply_list_directive(merged, key, item, properties)
        elif item is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged_field(merged.get(key), item, properties.get(key, {}))
    return merged


def _merged_field(value: Any, patch: Any, schema: dict[str, Any]) -> Any:
    if isinstance(patch, dict):
        return strategic_merge(value if isinstance(value, dict) else {}, patch, schema)
    if isinstance(patch, list) and "merge" in schema.get("x-kubernetes-patch-strategy", "").split(","):
        return _merged_list(value or [], patch, schema)
    return patch


def _merged_list(items: list[Any], patch: list[Any], schema: dict[str, Any]) -> list[Any]:
    key = schema.get("x-kubernetes-patch-merge-key")
    if key is None:
        return items + [item for item in patch if item not in items]
    merged = list(items)
    for change in patch:
        _refuse_unknown_directives(change)
        if key not in change:
            raise bad_request(f"map: {change} does not contain declared merge key: {key}")
        place = next((index for index, item in enumerate(merged) if item.get(key) == change[key]), None)
        if change.get("$patch") == "delete":
            merged = [item for item in merged if item.get(key) != change[key]]
        elif place is None:
            # kubectl puts what it adds first, and Kubernetes keeps the order of the server for the rest.
            merged.append(strategic_merge({}, change, schema["items"]))
        else:
            merged[place] = strategic_merge(merged[place], change, schema["items"])
    return merged


def _apply_list_directive(merged: Object, directive: str, item: Any, properties: dict[str, Any]) -> None:
    kind, _, field = directive.partition("/")
    if kind == "$deleteFromPrimitiveList":
        merged[field] = [each for each in merged.get(field, []) if each not in item]
    elif kind == "$setElementOrder":
        key = properties.get(field, {}).get("x-kubernetes-patch-merge-key")
        order = [each[key] if key else each for each in item]
        # Elements that the order does not name (added by someone else) stay, at the end.
        rank = {name: index for index, name in enumerate(order)}
        merged[field] = sorted(
            merged.get(field, []), key=lambda each: rank.get(each.get(key) if key else each, len(order))
        )


def _refuse_unknown_directives(patch: Object) -> None:
    for key in patch:
        kind = key.partition("/")[0]
        if patch.get("$patch", "delete") != "delete":
            raise bad_request(f"devcluster does not support the directive $patch: {patch['$patch']}")
        if key.startswith("$") and kind not in (*_DIRECTIVES, "$setElementOrder", "$deleteFromPrimitiveList"):
            raise bad_request(f"unable to apply strategic merge patch: unknown directive {key}")


def json_patch(obj: Any, operations: Any) -> Any:
    """RFC 6902; a failing operation is 422, as in Kubernetes."""
    if not isinstance(operations, list):
        raise bad_request("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    if len(operations) > _LIMIT_OPERATIONS:
        message = f"The allowed maximum operations in a JSON patch is {_LIMIT_OPERATIONS}, got {len(operations)}"
        raise ApiError(413, "RequestEntityTooLarge", f"Request entity too large: {message}")
    try:
        return jsonpatch.apply_patch(obj, operations)
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError, AttributeError) as error:
        message = f"the server rejected our request due to an error in our request: {error}"
        raise ApiError(422, "Invalid", message) from None
