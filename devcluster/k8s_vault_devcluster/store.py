"""The cluster's objects: plain dicts in memory, one resourceVersion counter, and watches.

What etcd is to Kubernetes. One event loop owns it, so there are no locks. Objects go in and come out as
deep copies; only this module sets uid, creationTimestamp and resourceVersion.

Needed by everything: watches from a version on, and conflicts of two writers.
"""

from __future__ import annotations

import asyncio
import datetime
import uuid
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from airflow_k8s_vault.errors import K8sVaultError

Object = dict[str, Any]
Objects = list[Object]

# A watch may start this many changes ago; older ones get 410 Gone, as from etcd after a compaction.
HISTORY = 4_000


class NotFound(K8sVaultError):
    """There is no such object (404)."""


class AlreadyExists(K8sVaultError):
    """There is an object of that name (409 AlreadyExists)."""


class Conflict(K8sVaultError):
    """The object changed since it was read (409 Conflict)."""


class Expired(K8sVaultError):
    """The watch starts before the oldest change that is kept (410 Gone)."""


@dataclass(frozen=True)
class Change:
    """One change: `kind` is ADDED, MODIFIED or DELETED, `resource` the plural ("pods").

    `previous` is the state before it: None for ADDED. Watchers share both: read only.
    """

    version: int
    kind: str
    resource: str
    obj: Object
    previous: Object | None = None


def now() -> str:
    """The time as Kubernetes writes it: UTC, whole seconds."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def copied(value: Any) -> Any:
    """Return a deep copy of plain JSON data (ten times faster than copy.deepcopy, and each read makes one)."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copied(item) for item in value]
    return value


class Store:
    """Objects by resource, namespace and name; `namespace` is "" for those outside namespaces."""

    def __init__(self) -> None:
        self._objects: defaultdict[str, dict[tuple[str, str], Object]] = defaultdict(dict)
        self._history: deque[Change] = deque(maxlen=HISTORY)
        self._wakers: set[asyncio.Event] = set()
        self.version = 0

    def get(self, resource: str, namespace: str, name: str) -> Object:
        """Return a copy, or raise NotFound."""
        return dict(copied(self._current(resource, namespace, name)))

    def list(
        self, resource: str, namespace: str | None = None, where: Callable[[Object], bool] | None = None
    ) -> Objects:
        """Return copies, in order of creation; of all namespaces where `namespace` is None."""
        objects = self._objects[resource].items()
        matches = [obj for (space, _), obj in objects if namespace in (None, space)]
        return [copied(obj) for obj in matches if where is None or where(obj)]

    def everything(self) -> Iterator[tuple[str, Object]]:
        """Yield (resource, object) of all there is at this moment. The objects are the store's own: read only."""
        return iter([(resource, obj) for resource, kept in self._objects.items() for obj in kept.values()])

    def create(self, resource: str, obj: Object) -> Object:
        """Store a new object with a uid and a creation time; raise AlreadyExists."""
        obj = copied(obj)
        meta = obj["metadata"]
        if (meta.get("namespace", ""), meta["name"]) in self._objects[resource]:
            raise AlreadyExists(f'{resource} "{meta["name"]}" already exists')
        meta |= {"uid": str(uuid.uuid4()), "creationTimestamp": now()}
        self._put("ADDED", resource, obj, None)
        return dict(copied(obj))

    def replace(self, resource: str, obj: Object) -> Object:
        """Store a new state. Where it carries a resourceVersion, that has to be the current one (Conflict)."""
        obj = copied(obj)
        meta = obj["metadata"]
        current = self._current(resource, meta.get("namespace", ""), meta["name"])
        sent = meta.get("resourceVersion")
        if sent and sent != current["metadata"]["resourceVersion"]:
            raise Conflict(
                f'Operation cannot be fulfilled on {resource} "{meta["name"]}": the object has been modified; '
                "please apply your changes to the latest version and try again"
            )
        meta["resourceVersion"] = current["metadata"]["resourceVersion"]
        if obj != current:
            self._put("MODIFIED", resource, obj, current)
        return self.get(resource, meta.get("namespace", ""), meta["name"])

    def update(self, resource: str, namespace: str, name: str, change: Callable[[Object], None]) -> Object:
        """Apply `change` to the object in place and store it: read, change and write in one step."""
        obj = self.get(resource, namespace, name)
        change(obj)
        return self.replace(resource, obj)

    def remove(self, resource: str, namespace: str, name: str) -> Object:
        """Take the object out at once (graceful deletion is the kubelet's business); raise NotFound."""
        current = self._current(resource, namespace, name)
        del self._objects[resource][namespace, name]
        obj: Object = copied(current)
        self._record("DELETED", resource, obj, current)
        return obj

    async def watch(self, resource: str | None, since: int | None = None) -> AsyncIterator[Change]:
        """Yield each change after version `since` (None: from now on), for ever; raise Expired.

        Of one resource, or of all where `resource` is None.
        """
        last = self.version if since is None else since
        wake = asyncio.Event()
        self._wakers.add(wake)
        try:
            while True:
                wake.clear()
                for change in self._after(last):
                    last = change.version
                    if resource in (None, change.resource):
                        yield change
                await wake.wait()
        finally:
            self._wakers.discard(wake)

    def check_kept(self, since: int) -> None:
        """Raise Expired where a watch from version `since` would miss changes."""
        if since < self.version - len(self._history):
            oldest = self.version - len(self._history) + 1
            raise Expired(f"too old resource version: {since} ({oldest})")

    def _after(self, last: int) -> Iterator[Change]:
        # Versions have no gaps, so the newest N changes are the last N kept.
        self.check_kept(last)
        newest = list(islice(reversed(self._history), max(0, self.version - last)))
        return iter(newest[::-1])

    def _current(self, resource: str, namespace: str, name: str) -> Object:
        try:
            return self._objects[resource][namespace, name]
        except KeyError:
            raise NotFound(f'{resource} "{name}" not found') from None

    def _put(self, kind: str, resource: str, obj: Object, previous: Object | None) -> None:
        meta = obj["metadata"]
        self._objects[resource][meta.get("namespace", ""), meta["name"]] = obj
        self._record(kind, resource, obj, previous)

    def _record(self, kind: str, resource: str, obj: Object, previous: Object | None) -> None:
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        self._history.append(Change(self.version, kind, resource, copied(obj), previous))
        for wake in self._wakers:
            wake.set()
