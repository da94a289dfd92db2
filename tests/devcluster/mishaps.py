"""A devcluster to which something happens that no request of Kubernetes asks for: a lost node, a wrong clock.

Its administrator, and nobody else, posts to /devcluster/NAME: see `Mishaps`. Started as a program of its own.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from k8s_vault_devcluster import cluster, deletion
from k8s_vault_devcluster.api import schema
from k8s_vault_devcluster.kubelet import Kubelet
from k8s_vault_devcluster.node import NODE_NAME
from k8s_vault_devcluster.server import DevCluster
from k8s_vault_devcluster.store import Object, Store, now
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

_TAINT = {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}
_EVICTED = {
    "type": "DisruptionTarget",
    "status": "True",
    "reason": "DeletionByTaintManager",
    "message": "Taint manager: deleting due to NoExecute taint",
}


class MishapCluster(DevCluster):
    """A DevCluster of this kind."""

    program = (__file__,)


class LosableKubelet(Kubelet):
    """A kubelet whose node may lose its power, and come back."""

    lost = False

    async def run(self) -> None:
        self._back = asyncio.Event()
        while True:
            self._life = asyncio.ensure_future(super().run())
            await asyncio.wait([self._life])
            if not self.lost:
                return self._life.result()
            await self._back.wait()
            self._back.clear()

    async def lose(self) -> None:
        """No process gets a signal that it could act on, and nothing is reported."""
        self.lost, self._heard = True, self.node.store
        self.node.store = Store()
        for worker in self._workers.values():
            for container in worker.containers:
                if container.sandbox:
                    container.sandbox.signal(9)
        self._life.cancel()
        await asyncio.wait([self._life])

    def come_back(self) -> None:
        """Start again: finish the deletions that were asked for meanwhile, and run what is new."""
        if not self.lost:
            return
        self.lost, self.node.store = False, self._heard
        for obj in self.node.store.list("pods"):
            if obj["spec"].get("nodeName") == NODE_NAME and "deletionTimestamp" in obj["metadata"]:
                self.node.store.remove("pods", obj["metadata"]["namespace"], obj["metadata"]["name"])
        self._back.set()

    def _worker(self, namespace: str, name: str) -> Any:
        if self.lost:
            raise ConnectionError(f"dial tcp {self.node.host_ip}:10250: connect: no route to host")
        return super()._worker(namespace, name)


class Mishaps(cluster.Cluster):
    """Each mishap takes the body of the request, a JSON object."""

    kubelet: LosableKubelet
    kubelet_class = LosableKubelet

    def application(self) -> Starlette:
        application = super().application()
        application.router.routes.insert(0, Route("/devcluster/{name}", self._happen, methods=["POST"]))
        return application

    async def _happen(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {self.admin_token}":
            return PlainTextResponse("only the administrator may", 403)
        mishaps = {
            "node-lost": self.node_lost,
            "node-back": self.node_back,
            "clock": self.clock,
            "kubelet": self.settings,
            "release": self.release,
        }
        await mishaps[request.path_params["name"]](json.loads(await request.body() or "{}"))
        return PlainTextResponse("done")

    async def node_lost(self, body: Object) -> None:
        """The node's power is cut: nothing in a pod is told, nothing is reported.

        The node is marked and its pods are evicted at once, where the node lifecycle controller waits for 40 s and
        the taint for 300 s more. Pods stay, marked for deletion, until they are deleted with grace 0 or the node
        is back. The scheduler goes on: what it gives to the node waits there.
        """
        await self.kubelet.lose()
        message = "Kubelet stopped posting node status."
        self._ready("Unknown", "NodeStatusUnknown", message, [{**_TAINT, "timeAdded": now()}])
        for pod in self.store.list("pods"):
            if pod["spec"].get("nodeName") == NODE_NAME:
                meta = pod["metadata"]
                marked = self.store.update("pods", meta["namespace"], meta["name"], _evicted)
                deletion.delete(self.store, "pods", marked)

    async def node_back(self, body: Object) -> None:
        """It starts again: what was marked for deletion goes."""
        self._ready("True", "KubeletReady", "devcluster is posting ready status", [])
        self.kubelet.come_back()

    async def clock(self, body: Object) -> None:
        """Set how far this cluster's clock is ahead of this machine's, in `aheadSeconds`; for tokens alone."""
        self.tokens.ahead_seconds = int(body["aheadSeconds"])

    async def settings(self, body: Object) -> None:
        """Set what differs from node to node.

        `removalSeconds` (a busy node takes its time), `killsGroups` (false: singleProcessOOMKill), and
        `backoffSeconds`, the first pause before a container starts again (the kubelet's crashLoopBackOff).
        """
        node = self.kubelet.node
        node.removal_seconds = float(body.get("removalSeconds", node.removal_seconds))
        node.backoff_seconds = float(body.get("backoffSeconds", node.backoff_seconds))
        node.kills_groups = bool(body.get("killsGroups", node.kills_groups))

    async def release(self, body: Object) -> None:
        """Be of a release that has not the fields in `without` yet (see schema.without); [] is this one."""
        schema.without(body["without"])

    def _ready(self, status: str, reason: str, message: str, taints: list[Object]) -> None:
        def change(node: Object) -> None:
            condition = node["status"]["conditions"][0]
            condition |= {"status": status, "reason": reason, "message": message, "lastTransitionTime": now()}
            node["spec"] = {"taints": taints} if taints else {}

        self.store.update("nodes", "", NODE_NAME, change)


def _evicted(pod: Object) -> None:
    kept = [
        {**condition, "status": "False"} if condition["type"] == "Ready" else condition
        for condition in pod["status"].get("conditions", [])
    ]
    pod["status"]["conditions"] = [*kept, {**_EVICTED, "lastTransitionTime": now()}]


if __name__ == "__main__":
    cluster.main(Mishaps)
