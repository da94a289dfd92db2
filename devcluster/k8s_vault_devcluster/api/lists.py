"""Lists, whole or in chunks, of the newest state or of one that is not too old.

https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks

Needed by the shared watch, which lists in chunks, and by kubectl.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass

from k8s_vault_devcluster.api import options
from k8s_vault_devcluster.api.context import RequestInfo, number
from k8s_vault_devcluster.api.status import ApiError, bad_request, expired
from k8s_vault_devcluster.store import Expired, Object, Store

_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list "
    "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
    "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
    "modified, or deleted between the time the first chunk was returned and now may show up in the list."
)
# In a token: of the newest state, whatever the chunks before were of.
_NEWEST = -1
Key = tuple[str, str]


@dataclass(frozen=True)
class Chunk:
    """Objects in the order of namespace and name; `meta` is the list's metadata."""

    objects: list[Object]
    meta: Object


def chunk(store: Store, requested: RequestInfo, query: Mapping[str, str]) -> Chunk:
    """Return what a list asks for; raise ApiError 400, 410, 422 or 504."""
    limit, token = number(query, "limit") or 0, query.get("continue", "")
    if limit < 0:
        raise bad_request(f"invalid limit: {limit}")
    version, after = _place(store, query, limit, token)
    try:
        kept = store.as_of(requested.target.plural, version)
    except Expired as error:
        raise _too_old(after) if after else expired(str(error)) from None
    matches = options.selection(requested, query)
    results = sorted((obj for obj in kept if matches(obj)), key=key_of)
    rest = [obj for obj in results if after is None or key_of(obj) > after]
    # As from the watch cache of an API server, which holds all there is.
    if query.get("resourceVersion") == "0" or not limit or len(rest) <= limit:
        return Chunk(rest, {"resourceVersion": str(version)})
    meta: Object = {"resourceVersion": str(version), "continue": _token(version, key_of(rest[limit - 1]))}
    if not (query.get("labelSelector") or query.get("fieldSelector")):
        meta["remainingItemCount"] = len(rest) - limit
    return Chunk(rest[:limit], meta)


def _place(store: Store, query: Mapping[str, str], limit: int, token: str) -> tuple[int, Key | None]:
    """Return the version to list, and the key that the chunk comes after."""
    if not token:
        return options.list_version(store, query, limit), None
    if query.get("resourceVersion", "") not in ("", "0"):
        raise bad_request("specifying resource version is not allowed when using continue")
    version, after = _read(token)
    return store.version if version == _NEWEST else version, after


def key_of(obj: Object) -> Key:
    """Return what lists are ordered by."""
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def _token(version: int, after: Key) -> str:
    content = {"v": "meta.k8s.io/v1", "rv": version, "start": "/".join(after)}
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def _read(token: str) -> tuple[int, Key]:
    try:
        content = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        namespace, _, name = content["start"].partition("/")
        return int(content["rv"]), (namespace, name)
    except (binascii.Error, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise bad_request("continue key is not valid: it is none that a list gave") from None


def _too_old(after: Key) -> ApiError:
    error = expired(_TOO_OLD)
    error.status["metadata"] = {"continue": _token(_NEWEST, after)}
    return error
