"""One pod on this node, from its first sync to its removal (pkg/kubelet: pod_workers.go, kubelet.go syncPod).

Init containers one by one, sidecars among them, then the main containers; when those have ended, the sidecars in
reverse order. A deletion or the active deadline may end it at any point of that.

Needed by every pod: init containers, sidecars, deadlines and ends in Kubernetes' order.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
import shutil
from typing import Any

from k8s_vault_devcluster.kubelet.container import Container
from k8s_vault_devcluster.kubelet.pod import Node, Pod
from k8s_vault_devcluster.kubelet.projection import MountFailed
from k8s_vault_devcluster.kubelet.status import PodState, pod_status
from k8s_vault_devcluster.kubelet.termination import Grace
from k8s_vault_devcluster.store import NotFound, Object, now

_log = logging.getLogger(__name__)
_SYNC_SECONDS = 1.0
_MOUNT_RETRY_SECONDS, _MOUNT_RETRY_LIMIT_SECONDS = 0.5, 10
_DEADLINE = "Pod was active on the node longer than the specified deadline"
_HOSTS = "# Kubernetes-managed hosts file (host network).\n127.0.0.1\tlocalhost\n::1\tlocalhost\n{ip}\t{name}\n"


class Worker:
    """Drives one pod. `seen` and `refresh` tell it of changes; `run` is its life."""

    def __init__(self, node: Node, obj: Object) -> None:
        self.pod = Pod(node, obj)
        spec = obj["spec"]
        initial = [
            (item, "sidecar" if item.get("restartPolicy") else "init") for item in spec.get("initContainers") or []
        ]
        self.containers = [
            Container(self.pod, item, kind, self.publish)
            for item, kind in [*initial, *((item, "main") for item in spec["containers"])]
        ]
        self._started_at = (obj.get("status") or {}).get("startTime") or now()
        self._runs: dict[str, asyncio.Task[None]] = {}
        self._deleted, self._vanished, self._mounted = asyncio.Event(), asyncio.Event(), False
        self._grace: Grace | None = None
        self._ended, self._failed, self._why = False, False, ("", "")

    def find(self, name: str) -> Container:
        """Return a container by its name; raise NotFound."""
        for container in self.containers:
            if container.name == name:
                return container
        raise NotFound(f"container {name} is not valid for pod {self.pod.key[1]}")

    def seen(self, obj: Object) -> None:
        """Take a newer state of the pod's object."""
        self.pod.obj = obj
        if "deletionTimestamp" in obj["metadata"]:
            self._shorten(float(obj["metadata"].get("deletionGracePeriodSeconds") or 0))
            self._deleted.set()
        self.refresh()

    def vanished(self) -> None:
        """The object is gone without us (deletion with grace 0): end everything, with the shortest grace."""
        self._shorten(0)
        self._vanished.set()
        self._deleted.set()

    def _shorten(self, seconds: float) -> None:
        """One second is always left (calculateEffectiveGracePeriod in pod_workers.go)."""
        seconds = max(seconds, 1)
        if self._grace is None:
            self._grace = Grace(seconds)
        elif not self._deleted.is_set() or self._vanished.is_set() or seconds < self._grace.left():
            self._grace.shorten(seconds)

    def refresh(self) -> None:
        """Bring volumes up to date; what fails now is tried at the next change, the old files stay."""
        if self._mounted and not self._ended:
            with contextlib.suppress(MountFailed):
                self.pod.volumes.write(self.pod.obj)

    def publish(self) -> None:
        """Write the status as it is now."""
        reason, message = self._why
        state = PodState(
            host_ip=self.pod.node.host_ip,
            start_time=self._started_at,
            sandbox_ready=self._mounted,
            ended=self._ended,
            failed=self._failed,
            reason=reason,
            message=message,
        )
        records = [container.record for container in self.containers]
        with contextlib.suppress(NotFound):
            self.pod.obj = self.pod.node.store.update(
                "pods", *self.pod.key, lambda obj: self._apply(obj, records, state)
            )

    def _apply(self, obj: Object, records: list[Any], state: PodState) -> None:
        if obj["metadata"]["uid"] != self.pod.uid:
            raise NotFound("another pod has taken the name")
        obj["status"] = pod_status(obj, records, state)

    async def run(self) -> None:
        """Run the pod until its object is gone. Cancelled: kill everything and leave nothing behind."""
        tokens = asyncio.create_task(self._renew_tokens())
        try:
            await self._until_ended()
            await self._deleted.wait()
            await self._remove()
        finally:
            tokens.cancel()
            for run in self._runs.values():
                run.cancel()
            await asyncio.shield(asyncio.ensure_future(self._kill(Grace(0, least_seconds=0))))
            self.pod.volumes.remove()
            shutil.rmtree(self.pod.folder, ignore_errors=True)

    async def _remove(self) -> None:
        """Take the object away, unless somebody else does so first."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._vanished.wait(), self.pod.node.removal_seconds)
        if not self._vanished.is_set():
            with contextlib.suppress(NotFound):
                self.pod.node.store.remove("pods", *self.pod.key)

    async def _until_ended(self) -> None:
        flow = asyncio.create_task(self._flow())
        deleted = asyncio.create_task(self._deleted.wait())
        try:
            while (left := self._deadline()) is None or left > 0:
                # A second at most: the deadline of a pod that runs may be brought forward.
                timeout = _SYNC_SECONDS if left is None else min(left, _SYNC_SECONDS)
                await asyncio.wait([flow, deleted], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
                if flow.done() or deleted.done():
                    break
            else:
                self._failed, self._why = True, ("DeadlineExceeded", _DEADLINE)
                self.pod.event("Normal", "DeadlineExceeded", _DEADLINE)
            if flow.done():
                flow.result()
            flow.cancel()
            await asyncio.gather(flow, return_exceptions=True)
            self._grace = self._grace or Grace(self.pod.grace_seconds)
            initialised = self._initialised_now()
            await self._kill(self._grace)
            self._account_for_the_rest(initialised)
        finally:
            flow.cancel()
            deleted.cancel()
        self._ended = True
        self.publish()

    def _deadline(self) -> float | None:
        """Return the seconds left to the active deadline; None where there is none."""
        seconds = self.pod.spec.get("activeDeadlineSeconds")
        if seconds is None:
            return None
        start = datetime.datetime.fromisoformat(self._started_at)
        return max(0.0, float(seconds) - (datetime.datetime.now(datetime.UTC) - start).total_seconds())

    async def _flow(self) -> None:
        self.publish()
        await self._mount()
        for container in self.containers:
            if container.record.kind != "main" and not await self._initialised(container):
                return
        main = [container for container in self.containers if container.record.kind == "main"]
        for container in main:
            self._run(container)
            await container.tried.wait()
        await asyncio.gather(*(self._runs[container.name] for container in main))

    async def _initialised(self, container: Container) -> bool:
        """Run an init container to its end, or a sidecar until it has started; False where the pod has failed."""
        run = self._run(container)
        if container.record.kind == "sidecar":
            ready = asyncio.create_task(container.ready.wait())
            await asyncio.wait([run, ready], return_when=asyncio.FIRST_COMPLETED)
            return True
        await run
        return container.record.exit_code == 0

    def _run(self, container: Container) -> asyncio.Task[None]:
        task = asyncio.create_task(container.run(), name=f"{self.pod.full_name}/{container.name}")
        self._runs[container.name] = task
        return task

    async def _mount(self) -> None:
        self.pod.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.pod.folder / "hostname").write_text(f"{self.pod.hostname}\n")
        hosts = _HOSTS.format(ip=self.pod.node.host_ip, name=self.pod.hostname)
        if aliases := self.pod.spec.get("hostAliases"):
            lines = ["\t".join([alias["ip"], *(alias.get("hostnames") or [])]) for alias in aliases]
            hosts += "\n".join(["", "# Entries added by HostAliases.", *lines, ""])
        (self.pod.folder / "hosts").write_text(hosts)
        for path in ("hostname", "hosts"):
            (self.pod.folder / path).chmod(0o644)
        pause = _MOUNT_RETRY_SECONDS
        while True:
            try:
                self.pod.volumes.write(self.pod.obj)
            except MountFailed as error:
                self.pod.event("Warning", "FailedMount", str(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, _MOUNT_RETRY_LIMIT_SECONDS)
            else:
                self._mounted = True
                return

    async def _kill(self, grace: Grace) -> None:
        """Stop what runs: all preStop hooks at once, then SIGTERM to the main containers, then to each sidecar."""
        for run in self._runs.values():
            run.cancel()
        await asyncio.gather(*self._runs.values(), return_exceptions=True)
        await asyncio.gather(*(self._stop(container, grace) for container in self.containers))

    async def _stop(self, container: Container, grace: Grace) -> None:
        before = []
        if container.record.kind == "sidecar":
            later = self.containers[self.containers.index(container) + 1 :]
            before = [other for other in later if other.record.kind != "init"]

        def turn() -> asyncio.Future[object]:
            return asyncio.ensure_future(asyncio.gather(*(other.ended.wait() for other in before)))

        await container.stop(grace, turn)

    def _account_for_the_rest(self, initialised: bool) -> None:
        """Give those that never ran, or never again, the end that TerminatePod in status_manager.go gives them.

        Main containers once the pod is initialised; init containers up to the last that ever ran, and in any
        case the first.
        """
        initial = [container for container in self.containers if container.record.kind != "main"]
        begun = [index for index, container in enumerate(initial) if container.record.begun]
        rest = initial[: max([1, *(index + 1 for index in begun)])]
        if initialised:
            rest += [container for container in self.containers if container.record.kind == "main"]
        for container in rest:
            if "terminated" not in container.record.state:
                container.report.lost()

    def _initialised_now(self) -> bool:
        """Whether main containers count as having had their chance (hasPodInitialized in status_manager.go)."""
        initial = [container.record for container in self.containers if container.record.kind != "main"]
        if not initial or any(c.record.begun for c in self.containers if c.record.kind == "main"):
            return True
        last = initial[-1]
        return last.ready if last.kind == "sidecar" else last.exit_code == 0

    async def _renew_tokens(self) -> None:
        while True:
            due = self.pod.tokens.next_renewal()
            left = (due - datetime.datetime.now(datetime.UTC)).total_seconds() if due else 1
            await asyncio.sleep(max(left, 0.2) if due else left)
            self.refresh()
