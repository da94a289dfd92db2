"""A Kubernetes API for pods alone, over TLS, on an event loop: fast enough for ten thousand of them.

devcluster serves everything and is the default elsewhere; this one serves what a watch needs, and costs so little
that a benchmark measures its clients. It has the faults of a network and of an API server on order.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from k8s_vault_devcluster import certificates
from kubernetes_asyncio.client import Configuration

from airflow_k8s_vault.delivery import POD_LABELS

LABELS = POD_LABELS
INITIAL_END = {"k8s.io/initial-events-end": "true"}
BOOKMARK_SECONDS = 60


def container(name: str, **state: Any) -> dict[str, Any]:
    """Return a container's status in that state: `running={}`, `waiting={...}` or `terminated={...}`."""
    fixed = {"image": "busybox", "imageID": "sha256:1", "ready": False, "restartCount": 0}
    return {"name": name, "state": state, **fixed}


STATUSES: dict[str, dict[str, Any]] = {
    "Pending": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "True"}]},
    "Running": {"phase": "Running", "containerStatuses": [container("base", running={})]},
    "Succeeded": {"phase": "Succeeded", "containerStatuses": [container("base", terminated={"exitCode": 0})]},
}
# What a pod is beside the fields that matter: 8 kB, as of a task with an agent and its managedFields.
_BALLAST = {
    "containers": [{"name": f"c{i}", "env": [{"name": "A" * 20, "value": "v" * 30}] * 40} for i in range(3)]
}


@dataclass
class Pod:
    """One pod; `content` is its JSON."""

    namespace: str
    name: str
    uid: str
    version: int = 0
    phase: str = "Pending"
    deleted: bool = False
    status: dict[str, Any] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        meta = {
            "name": self.name,
            "namespace": self.namespace,
            "uid": self.uid,
            "resourceVersion": str(self.version),
            "labels": LABELS,
        }
        if self.deleted:
            meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        status = {**STATUSES.get(self.phase, {"phase": self.phase}), **self.status}
        head = json.dumps({"kind": "Pod", "metadata": meta, "status": status})
        return head[:-1].encode() + _SPEC


_SPEC = b', "spec": ' + json.dumps(_BALLAST).encode() + b"}"


@dataclass
class Fault:
    """What the next `times` requests of a kind get, all where it is None: a status, or "cut": no answer."""

    kind: str
    what: int | str
    times: int | None = 1
    headers: dict[str, str] = field(default_factory=dict)


class ApiServer:
    """Serves at `configuration().host` within `serving()`. requests: counts list, watch, get and delete."""

    def __init__(self, folder: Path, streams_lists: bool = True, token: str = "") -> None:
        self.folder, self.streams_lists, self.token = folder, streams_lists, token
        self.pods: dict[tuple[str, str], Pod] = {}
        self.version, self.compacted = 1, 0
        self.requests: Counter[str] = Counter()
        self.faults: list[Fault] = []
        self._changes: list[tuple[int, str, bytes]] = []
        self._watches: dict[str, set[asyncio.Queue[tuple[int, str, bytes]]]] = defaultdict(set)
        self._open: set[asyncio.Transport] = set()
        folder.mkdir(exist_ok=True, parents=True)
        self._certificate = certificates.make(folder, "127.0.0.1")
        (folder / "ca.crt").write_text(self._certificate.ca)
        self.port = 0

    def configuration(self) -> Configuration:
        """Return how a client reaches it."""
        made = Configuration(host=f"https://127.0.0.1:{self.port}")
        made.ssl_ca_cert = str(self.folder / "ca.crt")
        if self.token:
            made.api_key = {"BearerToken": f"Bearer {self.token}"}
        return made

    def kubeconfig(self) -> str:
        """Return the path of a kubeconfig for it; it has to be serving."""
        server = {"server": f"https://127.0.0.1:{self.port}", "certificate-authority": str(self.folder / "ca.crt")}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "it",
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "me"}}],
            "clusters": [{"name": "it", "cluster": server}],
            "users": [{"name": "me", "user": {"token": self.token or "any"}}],
        }
        path = self.folder / "kubeconfig"
        path.write_text(json.dumps(content))
        return str(path)

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[ApiServer]:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(self._certificate.certificate, self._certificate.key)
        app = web.Application()
        app.router.add_get("/api/v1/namespaces/{namespace}/pods", self._collection)
        app.router.add_get("/api/v1/namespaces/{namespace}/pods/{name}", self._one)
        app.router.add_delete("/api/v1/namespaces/{namespace}/pods/{name}", self._deleted)
        app.router.add_get("/api/v1/namespaces/{namespace}/pods/{name}/log", self._log)
        app.router.add_get("/api/v1/namespaces/{namespace}/events", self._events)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", self.port, ssl_context=tls, backlog=2048, reuse_address=True)
            await site.start()
            self.port = runner.addresses[0][1]
            yield self
        finally:
            self.cut()
            await runner.cleanup()

    # What happens in the cluster.

    def create(self, namespace: str, name: str, phase: str = "Pending") -> str:
        pod = Pod(namespace, name, uid=f"uid-{self.version}", phase=phase)
        self.pods[namespace, name] = pod
        self._changed("ADDED", pod)
        return pod.uid

    def move(self, namespace: str, name: str, phase: str, **status: Any) -> None:
        """Change the pod's phase, to one of STATUSES or another, and what else of its status is given."""
        pod = self.pods[namespace, name]
        pod.phase, pod.status = phase, status
        self._changed("MODIFIED", pod)

    def remove(self, namespace: str, name: str) -> None:
        pod = self.pods.pop((namespace, name))
        pod.deleted = True
        self._changed("DELETED", pod)

    def compact(self) -> None:
        self.compacted = self.version
        self._changes.clear()

    def cut(self) -> None:
        """Break all open watches, in the middle of a line."""
        for transport in list(self._open):
            transport.abort()

    def _changed(self, kind: str, pod: Pod) -> None:
        self.version += 1
        pod.version = self.version
        line = b'{"type": "%s", "object": %s}\n' % (kind.encode(), pod.content)
        change = (self.version, pod.namespace, line)
        self._changes.append(change)
        for watch in self._watches[pod.namespace]:
            watch.put_nowait(change)

    # What it answers.

    def _refused(self, request: web.Request, kind: str) -> web.Response | None:
        self.requests[kind] += 1
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return _status(401, "Unauthorized")
        fault = next((fault for fault in self.faults if fault.kind == kind and fault.times != 0), None)
        if fault is None:
            return None
        fault.times = None if fault.times is None else fault.times - 1
        if fault.what == "cut":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return _status(int(fault.what), "ordered", fault.headers)

    async def _collection(self, request: web.Request) -> web.StreamResponse:
        kind = "watch" if "watch" in request.query else "list"
        if refused := self._refused(request, kind):
            return refused
        return await (self._watch(request) if kind == "watch" else self._list(request))

    async def _list(self, request: web.Request) -> web.Response:
        namespace, limit = request.match_info["namespace"], int(request.query.get("limit", 10**9))
        begin = int(request.query.get("continue", 0))
        ours = [pod for (space, _), pod in self.pods.items() if space == namespace]
        meta = {"resourceVersion": str(self.version)}
        if len(ours) > begin + limit:
            meta["continue"] = str(begin + limit)
        items = b",".join(pod.content for pod in ours[begin : begin + limit])
        body = b'{"kind": "PodList", "metadata": %s, "items": [%s]}' % (json.dumps(meta).encode(), items)
        return web.Response(body=body, content_type="application/json")

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        query, namespace = request.query, request.match_info["namespace"]
        if "sendInitialEvents" in query and not self.streams_lists:
            return _status(422, "sendInitialEvents is forbidden")
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        await answer.prepare(request)
        queue: asyncio.Queue[tuple[int, str, bytes]] = asyncio.Queue()
        self._watches[namespace].add(queue)
        assert request.transport is not None
        self._open.add(request.transport)  # type: ignore[arg-type]
        try:
            await self._stream(answer, queue, namespace, dict(query))
        except (ConnectionError, TimeoutError):
            pass
        finally:
            self._watches[namespace].discard(queue)
            self._open.discard(request.transport)  # type: ignore[arg-type]
        return answer

    async def _stream(
        self, answer: web.StreamResponse, queue: asyncio.Queue[Any], namespace: str, query: dict[str, str]
    ) -> None:
        since = int(query.get("resourceVersion") or 0)
        if "sendInitialEvents" in query:
            since = self.version
            for pod in [pod for (space, _), pod in self.pods.items() if space == namespace]:
                await answer.write(b'{"type": "ADDED", "object": %s}\n' % pod.content)
            await answer.write(_bookmark(since, INITIAL_END))
        elif since < self.compacted:
            await answer.write(b'{"type": "ERROR", "object": {"code": 410, "reason": "Expired"}}\n')
            return
        for version, space, line in list(self._changes):
            if version > since and space == namespace:
                await answer.write(line)
                since = version
        async with asyncio.timeout(int(query.get("timeoutSeconds", 3600))):
            while True:
                try:
                    async with asyncio.timeout(BOOKMARK_SECONDS):
                        version, _, line = await queue.get()
                except TimeoutError:
                    await answer.write(_bookmark(self.version, {}))
                    continue
                if version > since:
                    await answer.write(line)

    async def _one(self, request: web.Request) -> web.Response:
        if refused := self._refused(request, "get"):
            return refused
        pod = self.pods.get((request.match_info["namespace"], request.match_info["name"]))
        if pod is None:
            return _status(404, "NotFound")
        return web.Response(body=pod.content, content_type="application/json")

    async def _deleted(self, request: web.Request) -> web.Response:
        if refused := self._refused(request, "delete"):
            return refused
        key = (request.match_info["namespace"], request.match_info["name"])
        if key not in self.pods:
            return _status(404, "NotFound")
        content = self.pods[key].content
        self.remove(*key)
        return web.Response(body=content, content_type="application/json")

    async def _log(self, request: web.Request) -> web.Response:
        self.requests["log"] += 1
        return web.Response(text="2026-01-01T00:00:00.000000000Z a line\n")

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """There are none, and there will be none."""
        kind = "events watch" if "watch" in request.query else "events list"
        if refused := self._refused(request, kind):
            return refused
        if kind == "events list":
            return web.json_response({"metadata": {"resourceVersion": str(self.version)}, "items": []})
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        await answer.prepare(request)
        await asyncio.sleep(int(request.query.get("timeoutSeconds", 3600)))
        return answer


def _status(code: int, reason: str, headers: dict[str, str] | None = None) -> web.Response:
    body = {"kind": "Status", "code": code, "reason": reason, "message": reason}
    return web.json_response(body, status=code, headers=headers)


def _bookmark(version: int, annotations: dict[str, str]) -> bytes:
    meta = {"resourceVersion": str(version), "annotations": annotations}
    return json.dumps({"type": "BOOKMARK", "object": {"kind": "Pod", "metadata": meta}}).encode() + b"\n"
