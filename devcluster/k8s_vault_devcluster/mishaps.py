"""What happens to a cluster and no request of Kubernetes asks for: a lost node, a wrong clock, an old release.

For tests. The administrator, and nobody else, posts to /devcluster/<name> (see Mishaps.paths).

Needed by `make faults`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from k8s_vault_devcluster import deletion
from k8s_vault_devcluster.api import schema
from k8s_vault_devcluster.kubelet import Kubelet
from k8s_vault_devcluster.node import NODE_NAME
from k8s_vault_devcluster.store import Object, Store, now
from k8s_vault_devcluster.tokens import Tokens

Mishap = Callable[[Object], Awaitable[None]]

_TAINT = {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}
_EVICTED = {
    "type": "DisruptionTarget",
    "status": "True",
    "reason": "DeletionByTaintManager",
    "message": "Taint manager: deleting due to NoExecute taint",
}


class Mishaps:
    """What may happen to the parts of one cluster."""

    def __init__(self, store: Store, tokens: Tokens, kubelet: Kubelet) -> None:
        self._store, self._tokens, self._kubelet = store, tokens, kubelet

    def paths(self) -> Mapping[str, Mishap]:
        """Return what may be posted, by its path; each takes the body of the request."""
        return {
            "/devcluster/node-lost": self.node_lost,
            "/devcluster/node-back": self.node_back,
            "/devcluster/clock": self.clock,
            "/devcluster/kubelet": self.kubelet,
            "/devcluster/release": self.release,
        }

    async def node_lost(self, body: Object) -> None:
        """The node's power is cut: nothing in a pod is told, nothing is reported.

        The node is marked and its pods are evicted at once, where the node lifecycle controller waits for 40 s and
        the taint for 300 s more. Pods stay, marked for deletion, until they are deleted with grace 0 or the node
        is back. The scheduler goes on: what it gives to the node waits there.
        """
        await self._kubelet.lose()
        message = "Kubelet stopped posting node status."
        self._ready("Unknown", "NodeStatusUnknown", message, [{**_TAINT, "timeAdded": now()}])
        for pod in self._store.list("pods"):
            if pod["spec"].get("nodeName") == NODE_NAME:
                meta = pod["metadata"]
                marked = self._store.update("pods", meta["namespace"], meta["name"], _evicted)
                deletion.delete(self._store, "pods", marked)

    async def node_back(self, body: Object) -> None:
        """It starts again: what was marked for deletion goes."""
        self._ready("True", "KubeletReady", "devcluster is posting ready status", [])
        self._kubelet.come_back()

    async def clock(self, body: Object) -> None:
        """Set how far this cluster's clock is ahead of this machine's, in `aheadSeconds`; for tokens alone."""
        self._tokens.ahead_seconds = int(body["aheadSeconds"])

    async def kubelet(self, body: Object) -> None:
        """Set what differs from node to node.

        `removalSeconds` (a busy node takes its time), `killsGroups` (false: singleProcessOOMKill), and
        `backoffSeconds`, the first pause before a container starts again (the kubelet's crashLoopBackOff).
        """
        node = self._kubelet.node
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

        self._store.update("nodes", "", NODE_NAME, change)


def _evicted(pod: Object) -> None:
    kept = [
        {**condition, "status": "False"} if condition["type"] == "Ready" else condition
        for condition in pod["status"].get("conditions", [])
    ]
    pod["status"]["conditions"] = [*kept, {**_EVICTED, "lastTransitionTime": now()}]
