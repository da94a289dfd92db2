"""The kubelet: a worker for each pod of this node, and what the API asks of their containers.

Needed by every pod, `kubectl logs` and `kubectl exec`.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from airflow_k8s_vault.errors import K8sVaultError
from k8s_vault_devcluster import claims
from k8s_vault_devcluster.kubelet import rootfs
from k8s_vault_devcluster.kubelet.images import Profile
from k8s_vault_devcluster.kubelet.join import join
from k8s_vault_devcluster.kubelet.local_images import LocalImages
from k8s_vault_devcluster.kubelet.logs import LogOptions
from k8s_vault_devcluster.kubelet.pod import Node
from k8s_vault_devcluster.kubelet.rootfs import Rootfs
from k8s_vault_devcluster.kubelet.volumes import remove_claim, remove_left_over_memory
from k8s_vault_devcluster.kubelet.worker import Worker
from k8s_vault_devcluster.node import NODE_NAME
from k8s_vault_devcluster.store import Change, NotFound, Object, Store
from k8s_vault_devcluster.tokens import Tokens

_log = logging.getLogger(__name__)


class ContainerNotReady(K8sVaultError):
    """A container has no log yet, or no process to join; worded as the kubelet words it (400)."""


class Kubelet:
    """Runs the pods that are bound to this node. `root` is the folder of its state; nobody else may look into it.

    `backoff_seconds` is the first pause of CrashLoopBackOff and ImagePullBackOff; 10, as in Kubernetes.
    `images`: the file of LocalImages.
    """

    def __init__(
        self,
        store: Store,
        tokens: Tokens,
        root: Path,
        *,
        host_ip: str = "127.0.0.1",
        backoff_seconds: float = 10,
        images: Path | None = None,
    ) -> None:
        self._root = root
        # What its pods share; tests change how it behaves.
        self.node = Node(store, tokens, root, host_ip, self._rootfs, LocalImages(images), backoff_seconds)
        self._images: dict[Profile, Rootfs] = {}
        self._workers: dict[str, Worker] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def _rootfs(self, profile: Profile) -> Rootfs:
        if profile not in self._images:
            folder = self._root / "images" / str(len(self._images))
            shutil.rmtree(folder, ignore_errors=True)
            self._images[profile] = rootfs.build(profile, folder)
        return self._images[profile]

    async def run(self) -> None:
        """Act on the store until cancelled; then kill every container and remove its folders."""
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._root.chmod(0o700)
        remove_left_over_memory(self._root)
        store, since = self.node.store, self.node.store.version
        try:
            for obj in store.list("pods"):
                self._pod_changed(obj)
            async for change in store.watch(None, since):
                self._changed(change)
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _changed(self, change: Change) -> None:
        if change.resource in ("secrets", "configmaps"):
            for worker in list(self._workers.values()):
                if worker.pod.key[0] == change.obj["metadata"]["namespace"]:
                    worker.refresh()
        elif change.resource == "pods" and change.kind == "DELETED":
            worker_gone = self._workers.get(change.obj["metadata"]["uid"])
            if worker_gone:
                worker_gone.vanished()
        elif change.resource == "pods":
            self._pod_changed(change.obj)
        elif change.resource == claims.PLURAL and change.kind == "DELETED":
            remove_claim(self._root, change.obj)

    def _pod_changed(self, obj: Object) -> None:
        uid = obj["metadata"]["uid"]
        if obj["spec"].get("nodeName") != NODE_NAME:
            return
        if uid not in self._workers:
            self._workers[uid] = Worker(self.node, obj)
            self._tasks[uid] = asyncio.create_task(self._work(uid), name=f"pod {uid}")
        self._workers[uid].seen(obj)

    async def _work(self, uid: str) -> None:
        try:
            await self._workers[uid].run()
        except Exception:
            # One pod's defect must not end the others.
            _log.exception("The worker of pod %s ended with an error", self._workers[uid].pod.full_name)
        finally:
            del self._workers[uid], self._tasks[uid]

    def _worker(self, namespace: str, name: str) -> Worker:
        for worker in self._workers.values():
            if worker.pod.key == (namespace, name):
                return worker
        raise NotFound(f'pods "{name}" not found')

    def logs(
        self, namespace: str, pod: str, container: str, options: LogOptions, *, previous: bool = False
    ) -> AsyncIterator[bytes]:
        """Return what a container wrote, by lines; raise NotFound or ContainerNotReady."""
        result = self._worker(namespace, pod).find(container)
        if previous and len(result.logs) < 2:
            raise ContainerNotReady(f'previous terminated container "{container}" in pod "{pod}" not found')
        if not result.logs:
            waiting = result.record.state.get("waiting", {}).get("reason", "")
            raise ContainerNotReady(f'container "{container}" in pod "{pod}" is waiting to start: {waiting}')
        return result.logs[-2 if previous else -1].read(options)

    async def exec(
        self, namespace: str, pod: str, container: str, command: list[str], *, stdin: bool, tty: bool
    ) -> asyncio.subprocess.Process:
        """Run a command in a container that runs, its streams on pipes.

        Raises NotFound or ContainerNotReady, and ExecFailed where the container has no such program.
        """
        if tty:
            raise ContainerNotReady("devcluster gives no terminal: ask without tty (kubectl exec -i, not -it)")
        sandbox = self._worker(namespace, pod).find(container).sandbox
        if sandbox is None or sandbox.pid is None:
            raise ContainerNotReady(f'container not found ("{container}")')
        return await join(sandbox, command, stdin=stdin)
