"""Watches: a stream of changes, one JSON line each.

https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes

Needed by the shared watch and `kubectl get -w`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping

from k8s_vault_devcluster.api import options
from k8s_vault_devcluster.api.context import RequestInfo, flag, number
from k8s_vault_devcluster.api.selectors import Predicate
from k8s_vault_devcluster.api.status import expired, forbidden_value, invalid
from k8s_vault_devcluster.store import Change, Expired, Object, Store

_BOOKMARK_SECONDS = 60
_INITIAL_END = "k8s.io/initial-events-end"


class Watch:
    """One watch. `render` makes an object what the client asked to see (itself, or a row of a table)."""

    def __init__(
        self, store: Store, requested: RequestInfo, query: Mapping[str, str], render: Callable[[Object], Object]
    ) -> None:
        self.store, self.requested, self.render = store, requested, render
        self.matches: Predicate = options.selection(requested, query)
        self.bookmarks = flag(query, "allowWatchBookmarks")
        self.initial = _initial_events(query)
        version = query.get("resourceVersion", "")
        self.since = options.version_number(store, version)
        self.replay = self.initial or version in ("", "0")
        # Kubernetes ends a watch without a timeout after 30 to 60 minutes.
        self.seconds = number(query, "timeoutSeconds") or random.randint(1800, 3600)  # noqa: S311

    async def lines(self) -> AsyncIterator[bytes]:
        """Yield the watch's lines until its time is over."""
        if self.replay:
            self.since = self.store.version
            for obj in options.in_order(self.store.list(self.requested.target.plural, where=self.matches)):
                yield self._line("ADDED", obj)
            if self.initial:
                yield self._bookmark(self.since, {_INITIAL_END: "true"})
        try:
            async for line in self._changes():
                yield line
        except Expired as error:
            yield _encoded("ERROR", expired(str(error)).status)

    async def _changes(self) -> AsyncIterator[bytes]:
        changes = self.store.watch(self.requested.target.plural, self.since)
        deadline = time.monotonic() + self.seconds
        pending = asyncio.ensure_future(anext(changes))
        try:
            while (left := deadline - time.monotonic()) > 0:
                seen = self.store.version
                await asyncio.wait([pending], timeout=min(left, _BOOKMARK_SECONDS))
                if pending.done():
                    change = pending.result()
                    pending = asyncio.ensure_future(anext(changes))
                    if line := self._change_line(change):
                        yield line
                elif self.bookmarks:
                    # What was there before the wait has been sent by now; what came since may not have.
                    yield self._bookmark(seen)
        finally:
            pending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await pending

    def _change_line(self, change: Change) -> bytes | None:
        """An object that starts or stops to match the selector appears and disappears."""
        self.since = change.version
        was = change.previous is not None and self.matches(change.previous)
        if change.kind == "DELETED":
            return self._line("DELETED", change.obj) if was else None
        if self.matches(change.obj):
            return self._line("MODIFIED" if was else "ADDED", change.obj)
        if not was or change.previous is None:
            return None
        # As it last was when it matched, with the version of the change that took it away.
        meta = {**change.previous["metadata"], "resourceVersion": str(change.version)}
        return self._line("DELETED", {**change.previous, "metadata": meta})

    def _line(self, kind: str, obj: Object) -> bytes:
        return _encoded(kind, self.render(obj))

    def _bookmark(self, version: int, annotations: dict[str, str] | None = None) -> bytes:
        resource = self.requested.target
        meta: Object = {"resourceVersion": str(version)}
        if annotations:
            meta["annotations"] = annotations
        return _encoded("BOOKMARK", {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": meta})


def _initial_events(query: Mapping[str, str]) -> bool:
    if "sendInitialEvents" not in query:
        return False
    if query.get("resourceVersionMatch") != "NotOlderThan":
        why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        raise invalid("ListOptions", "meta.k8s.io", "", [forbidden_value("resourceVersionMatch", why)])
    return flag(query, "sendInitialEvents")


def _encoded(kind: str, obj: Object) -> bytes:
    return json.dumps({"type": kind, "object": obj}, separators=(",", ":")).encode() + b"\n"
