"""One API server as one account sees it, shared by all of a process that run on one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import weakref
from collections.abc import AsyncIterator, Coroutine, Hashable, Iterator, Mapping
from typing import Any

from kubernetes_asyncio.client import ApiClient

from airflow_k8s_vault.watching.client import Client, Load
from airflow_k8s_vault.watching.namespace_watch import NamespaceWatch
from airflow_k8s_vault.watching.subscription import Subscription

# How long a watch, or a client, outlives its last user: the next deferred task is seldom far. And how long it is
# remembered that an account has no right to watch.
LINGER_SECONDS = 60.0


class Cluster:
    """One client, and one list-and-watch for each namespace and selector, for all who need them.

    Delivery: each subscriber is told the present state of its pod at once, then each change, in the order in which
    the API server made them, and the end exactly once; `Subscription` says what may be left out between. A
    subscriber is never told of another pod: one of the same name with another UID is PodGone. Connections that
    break, servers that restart and versions that expire cost time and no state; while the server cannot be reached
    nothing is told. Where the account may not `watch`, the pods are listed instead, for all at once; where it may
    not `list` either, subscriptions end with WatchUnavailable. Not thread-safe: it belongs to its event loop.
    """

    def __init__(self, load: Load) -> None:
        self._client = Client(load)
        self._watches: dict[Hashable, tuple[NamespaceWatch, _Users]] = {}
        self._users = _Users()
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    def shared(cls, key: Hashable, load: Load) -> Cluster:
        """Return this event loop's cluster of that key, which tells apart whatever makes another connection.

        load: returns a configuration with credentials as they are at that moment; called when the client is made,
        and again before a request whose credentials are a minute old, or were refused. kind: the class of the
        client.
        """
        clusters = _SHARED.setdefault(asyncio.get_running_loop(), {})
        if key not in clusters:
            clusters[key] = cls(load)
            clusters[key]._begin(clusters[key]._live(clusters, key))
        return clusters[key]

    @contextlib.asynccontextmanager
    async def api(self) -> AsyncIterator[ApiClient]:
        """Lend the client for other requests; it is not the borrower's to close."""
        with self._users.one():
            yield await self._client.api()

    @contextlib.contextmanager
    def pod(
        self, namespace: str, name: str, uid: str, labels: Mapping[str, str], poll_seconds: float = 2
    ) -> Iterator[Subscription]:
        """Subscribe to a pod. labels: of all pods that are watched together, this one among them.

        poll_seconds: how often to look where it may not be watched, or has lost those labels.
        """
        key = (namespace, *sorted(labels.items()))
        if key not in self._watches:
            self._watches[key] = (NamespaceWatch(self._client, namespace, labels), _Users())
            self._begin(self._watched(key, *self._watches[key]))
        watch, users = self._watches[key]
        subscription = Subscription(name, uid, poll_seconds)
        with users.one():
            watch.store.subscribe(subscription)
            try:
                yield subscription
            finally:
                watch.store.unsubscribe(subscription)

    async def _watched(self, key: Hashable, watch: NamespaceWatch, users: _Users) -> None:
        """Run the watch until a while after its last subscriber, or after it had to give up."""
        with self._users.one():
            running, unused = asyncio.create_task(watch.run()), asyncio.create_task(users.gone())
            try:
                await asyncio.wait([running, unused], return_when=asyncio.FIRST_COMPLETED)
                if not unused.done():
                    await asyncio.sleep(LINGER_SECONDS)
            finally:
                del self._watches[key]
                await _cancelled(running, unused)

    async def _live(self, clusters: dict[Hashable, Cluster], key: Hashable) -> None:
        """Keep the client until a while after its last user."""
        try:
            await self._users.gone()
        finally:
            del clusters[key]
            await _cancelled(*self._tasks - {asyncio.current_task()})
            await self._client.close()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        # In a context of its own: the first subscriber's would send the log of this into that one's task.
        task = asyncio.get_running_loop().create_task(work, context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


_SHARED: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, Cluster]] = (
    weakref.WeakKeyDictionary()
)


class _Users:
    """Counts who uses something."""

    def __init__(self) -> None:
        self._count = 0
        self._is_left = asyncio.Event()

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        self._count += 1
        self._is_left.clear()
        try:
            yield
        finally:
            self._count -= 1
            if not self._count:
                self._is_left.set()

    async def gone(self) -> None:
        """Return when it has been used, and then not for LINGER_SECONDS."""
        while not self._is_left.is_set():
            await self._is_left.wait()
            await asyncio.sleep(LINGER_SECONDS)


async def _cancelled(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
