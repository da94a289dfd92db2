"""An API server with one namespace's pods, and an event loop whose time passes at once.

The server answers as Kubernetes does: versions, lists in pages, watches with bookmarks and initial events,
compaction, DELETED for what no longer matches the selector. It stands where watching.client.Client does.
"""

from __future__ import annotations

import asyncio
import copy
import json
import random
import selectors
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from airflow_k8s_vault.watching import pods
from airflow_k8s_vault.watching.failures import ApiError
from airflow_k8s_vault.watching.pods import Pod

T = TypeVar("T")
Raw = dict[str, Any]

LABELS = {"ours": "yes"}
INITIAL_END = {"k8s.io/initial-events-end": "true"}
BOOKMARK_SECONDS = 60
SILENCE_SECONDS = 90
MOST_REQUESTS = 5000


class _Selector(selectors.SelectSelector):
    """Where the loop would wait for time to pass, it has passed."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "everybody waits for somebody else"
        self.now += timeout
        return super().select(0)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to its end what waits for nothing but time."""
    selector = _Selector()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now  # type: ignore[method-assign]
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(work)


@dataclass(frozen=True)
class Change:
    version: int
    kind: str
    now: Raw
    before: Raw | None


@dataclass
class Life:
    """What was true of one pod: its states, each since the version at which it began."""

    states: list[Pod] = field(default_factory=list)
    is_there: bool = True
    is_ours: bool = True


class Server:
    """streams_lists: whether it knows sendInitialEvents. may_watch: whether the account has the right."""

    def __init__(self, seed: int, streams_lists: bool, may_watch: bool = True) -> None:
        self.random = random.Random(seed)
        self.streams_lists, self.may_watch = streams_lists, may_watch
        self.version, self.compacted = 0, 0
        self.requests: list[str] = []
        self.faults: list[ApiError | None] = []
        self.lives: dict[str, Life] = {}
        self._pods: dict[str, Raw] = {}
        self._changes: list[Change] = []
        self._pages: dict[str, tuple[int, list[Raw]]] = {}
        self._has_changed = asyncio.Event()
        self._cuts = 0
        self._cut_off_until = 0.0

    # What happens in the cluster.

    def create(self, name: str) -> str | None:
        if name in self._pods:
            return None
        uid = f"uid-{len(self.lives)}"
        meta = {"name": name, "namespace": "space", "uid": uid, "labels": dict(LABELS)}
        self.lives[uid] = Life()
        self._put(name, {"metadata": meta, "status": {"phase": "Pending"}})
        return uid

    def advance(self, name: str, fails: bool) -> None:
        """Let the pod come one step nearer to its end."""
        base: Raw = {"name": "base", "state": {"running": {}}}
        ended = {"name": "base", "state": {"terminated": {"exitCode": int(fails)}}}
        status = self._pods[name]["status"] if name in self._pods else {"phase": "Succeeded"}
        if status["phase"] == "Pending":
            self._change(name, lambda pod: pod.update(status={"phase": "Running", "containerStatuses": [base]}))
        elif status["phase"] == "Running":
            phase = "Running" if status["containerStatuses"] == [base] else "Failed" if fails else "Succeeded"
            self._change(name, lambda pod: pod.update(status={"phase": phase, "containerStatuses": [ended]}))

    def touch(self, name: str) -> None:
        """Change what nobody looks at."""
        self._change(name, lambda pod: pod["metadata"].update(annotations={"at": str(self.version)}))

    def mark(self, name: str) -> None:
        """Delete it with grace: it is there until `remove`."""
        self._change(name, lambda pod: pod["metadata"].update(deletionTimestamp="2026-01-01T00:00:00Z"))

    def remove(self, name: str) -> None:
        if pod := self._pods.pop(name, None):
            self.version += 1
            gone = copy.deepcopy(pod)
            gone["metadata"]["resourceVersion"] = str(self.version)
            self.lives[pod["metadata"]["uid"]].is_there = False
            self._record(Change(self.version, "DELETED", gone, pod))

    def unlabel(self, name: str) -> None:
        if name in self._pods:
            self.lives[self._pods[name]["metadata"]["uid"]].is_ours = False
            self._change(name, lambda pod: pod["metadata"].update(labels={}))

    def compact(self) -> None:
        self.compacted = self.version
        self._pages.clear()

    def cut(self) -> None:
        """Break all connections."""
        self._cuts += 1
        self._has_changed.set()

    def cut_off(self, seconds: float) -> None:
        """Let nothing through for a while, in either direction; nobody is told."""
        self._cut_off_until = asyncio.get_running_loop().time() + seconds

    def _change(self, name: str, change: Callable[[Raw], None]) -> None:
        if name in self._pods:
            pod = copy.deepcopy(self._pods[name])
            change(pod)
            self._put(name, pod)

    def _put(self, name: str, pod: Raw) -> None:
        self.version += 1
        before = self._pods.get(name)
        pod["metadata"]["resourceVersion"] = str(self.version)
        self._pods[name] = pod
        self.lives[pod["metadata"]["uid"]].states.append(pods.pod(json.dumps(pod).encode()))
        self._record(Change(self.version, "MODIFIED" if before else "ADDED", pod, before))

    def _record(self, change: Change) -> None:
        self._changes.append(change)
        self._has_changed.set()

    # What Client does.

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> bytes:
        await self._request("LIST" if query else "GET")
        if query is None:
            pod = self._pods.get(path.rsplit("/", 1)[1])
            answer = json.dumps(pod).encode() if pod else None
        else:
            answer = self._page(query)
        await self._pause()
        if answer is None:
            raise ApiError(404, "not found")
        return answer

    def _page(self, query: Mapping[str, str]) -> bytes:
        version, left = self.version, [pod for pod in self._pods.values() if _is_ours(pod)]
        if token := query.get("continue"):
            if token not in self._pages:
                raise ApiError(410, "The provided continue parameter is too old")
            version, left = self._pages[token]
        limit = int(query["limit"])
        meta = {"resourceVersion": str(version)}
        if left[limit:]:
            meta["continue"] = f"{version}-{len(left)}-{self.random.random()}"
            self._pages[meta["continue"]] = (version, left[limit:])
        return json.dumps({"metadata": meta, "items": left[:limit]}).encode()

    async def lines(self, path: str, query: Mapping[str, str]) -> AsyncGenerator[bytes, None]:
        ends = self.faults[:1] == [None]
        await self._request("WATCH")
        if ends:
            return
        if not self.may_watch:
            raise ApiError(403, "pods is forbidden")
        if "sendInitialEvents" in query and not self.streams_lists:
            raise ApiError(422, "sendInitialEvents is forbidden for watch")
        until = asyncio.get_running_loop().time() + int(query["timeoutSeconds"])
        stream = _Stream(self, int(query.get("resourceVersion", 0)), self._cuts, until)
        if "sendInitialEvents" in query:
            stream.at = self.version
            initial = [pod for pod in self._pods.values() if _is_ours(pod)]
            for pod in self.random.sample(initial, len(initial)):
                yield await stream.sent("ADDED", pod)
            yield await stream.sent("BOOKMARK", _bookmark(stream.at, INITIAL_END))
        while line := await stream.next():
            yield line

    async def _request(self, kind: str) -> None:
        self.requests.append(kind)
        assert len(self.requests) < MOST_REQUESTS, "a hot loop"
        loop = asyncio.get_running_loop()
        if (left := self._cut_off_until - loop.time()) > 0:
            await asyncio.sleep(min(left, 10))
            raise ApiError(0, "timed out")
        await self._pause()
        if self.faults and (fault := self.faults.pop(0)):
            raise fault

    async def _pause(self) -> None:
        await asyncio.sleep(self.random.choice([0, 0, 0.01, 0.5]))

    def changes_after(self, version: int) -> list[Change]:
        if version < self.compacted:
            raise ApiError(410, f"too old resource version: {version} ({self.compacted})")
        return [change for change in self._changes if change.version > version]


class _Stream:
    """One open watch."""

    def __init__(self, server: Server, at: int, cuts: int, until: float) -> None:
        self.at, self._server, self._cuts, self._until = at, server, cuts, until
        self._is_opened = False

    async def sent(self, kind: str, content: Raw) -> bytes:
        """Return the line once it has arrived."""
        server, loop = self._server, asyncio.get_running_loop()
        await server._pause()
        if (left := server._cut_off_until - loop.time()) > 0:
            if left > SILENCE_SECONDS or server.random.random() < 0.5:
                await asyncio.sleep(min(left, SILENCE_SECONDS))
                raise ApiError(0, "silence")
            await asyncio.sleep(left)
        if self._cuts != server._cuts:
            raise ApiError(0, "cut")
        return json.dumps({"type": kind, "object": content}).encode()

    async def next(self) -> bytes | None:
        """Return the next line, None at the end of the watch's time."""
        server, loop = self._server, asyncio.get_running_loop()
        while True:
            try:
                changes = server.changes_after(self.at) if not self._is_opened or self.at < server.version else []
            except ApiError as expired:
                if server.random.random() < 0.5:
                    raise
                return await self.sent("ERROR", {"code": 410, "message": str(expired)})
            self._is_opened = True
            for change in changes[:1]:
                self.at = change.version
                if seen := _seen(change):
                    return await self.sent(*seen)
            if changes:
                continue
            server._has_changed.clear()
            wait = min(BOOKMARK_SECONDS, self._until - loop.time())
            if wait <= 0:
                return None
            try:
                async with asyncio.timeout(wait):
                    await server._has_changed.wait()
            except TimeoutError:
                return await self.sent("BOOKMARK", _bookmark(self.at, {}))
            if self._cuts != server._cuts:
                raise ApiError(0, "cut")


def _seen(change: Change) -> tuple[str, Raw] | None:
    """Return the event that a watch with the selector sends for a change."""
    was, is_now = bool(change.before and _is_ours(change.before)), _is_ours(change.now)
    if change.kind == "DELETED":
        return ("DELETED", change.now) if was else None
    if is_now:
        return ("MODIFIED" if was else "ADDED", change.now)
    if not was or change.before is None:
        return None
    before = copy.deepcopy(change.before)
    before["metadata"]["resourceVersion"] = str(change.version)
    return "DELETED", before


def _bookmark(version: int, annotations: dict[str, str]) -> Raw:
    return {"metadata": {"resourceVersion": str(version), "annotations": annotations}}


def _is_ours(pod: Raw) -> bool:
    return bool(pod["metadata"]["labels"] == LABELS)
