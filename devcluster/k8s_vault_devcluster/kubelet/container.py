"""The life of one container: image, configuration, start, hooks, end, and again, as its restart policy says.

Sources: pkg/kubelet/kuberuntime (kuberuntime_container.go, kuberuntime_manager.go).

Needed by every pod: the agent is a sidecar, with its restarts, hooks and order of end.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from k8s_vault_devcluster.kubelet import launch, termination
from k8s_vault_devcluster.kubelet.back_off import BackOff, duration
from k8s_vault_devcluster.kubelet.environment import ConfigError
from k8s_vault_devcluster.kubelet.image_pull import ImagePull
from k8s_vault_devcluster.kubelet.images import Profile
from k8s_vault_devcluster.kubelet.join import HookFailed, run_hook
from k8s_vault_devcluster.kubelet.logs import Log
from k8s_vault_devcluster.kubelet.pod import Pod
from k8s_vault_devcluster.kubelet.report import Report
from k8s_vault_devcluster.kubelet.sandbox import Sandbox, SandboxFailed, StartFailed
from k8s_vault_devcluster.kubelet.termination import Grace
from k8s_vault_devcluster.store import Object

# The kubelet comes back to a configuration that cannot be made at its next sync; seconds there, one here.
_CONFIG_RETRY_SECONDS = 1.0


class Container:
    """One container of a pod; `changed` is called whenever its record is another."""

    def __init__(self, pod: Pod, spec: Object, kind: str, changed: Callable[[], None]) -> None:
        self.pod, self.report = pod, Report(pod, spec, kind, changed)
        self.record = self.report.record
        self.sandbox: Sandbox | None = None
        self.logs: list[Log] = []
        # Set when the first try to start it is over, and when it has ended for good.
        self.tried, self.ended = asyncio.Event(), asyncio.Event()
        self.ready = asyncio.Event()
        # Why the postStart hook of the last run failed; "" where it did not.
        self._hook_failed = ""
        self._back_off = BackOff(pod.node.backoff_seconds)
        self._lock = asyncio.Lock()

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def folder(self) -> Path:
        return Path(self.pod.folder, "containers", self.name)

    async def run(self) -> None:
        """Run it until its restart policy is satisfied."""
        try:
            while True:
                await self._run_once()
                if not self._again():
                    return
                self.record.last = {"terminated": self.record.state["terminated"]}
                if self._hook_failed:
                    self.report.waits("PostStartHookError", self._hook_failed)
                await self._crash_loop(self._back_off.next_restart())
                self.record.restarts += 1
        finally:
            self.tried.set()

    def _again(self) -> bool:
        policy = self.pod.spec.get("restartPolicy") or "Always"
        if self.record.kind == "sidecar" or (self.record.kind == "main" and policy == "Always"):
            return True
        return policy != "Never" and self.record.exit_code != 0

    async def _crash_loop(self, seconds: float) -> None:
        if not seconds:
            return
        event = f"Back-off restarting failed container {self.name} in pod {self.pod.full_name}"
        self.report.event("Warning", "BackOff", event)
        where = f"container={self.name} pod={self.pod.full_name}"
        self.report.waits("CrashLoopBackOff", f"back-off {duration(seconds)} restarting failed {where}")
        await asyncio.sleep(seconds)

    async def _run_once(self) -> None:
        sandbox = await self._start()
        self.tried.set()
        if sandbox:
            await asyncio.shield(asyncio.ensure_future(self._wait_for_end(sandbox)))

    async def _start(self) -> Sandbox | None:
        """Start it, as often as it takes; None where its command cannot be executed or its hook failed."""
        pauses = BackOff(self.pod.node.backoff_seconds)
        while True:
            profile = await ImagePull(
                self.report, self.tried, self.pod.node.backoff_seconds, self.pod.node.images
            ).done()
            try:
                sandbox = await self._launch(profile)
            except StartFailed as error:
                self.report.created(profile.image_id)
                self.report.start_failed(str(error))
                return None
            except ConfigError as error:
                await self._cannot_be_made("CreateContainerConfigError", error, _CONFIG_RETRY_SECONDS)
            except SandboxFailed as error:
                await self._cannot_be_made("CreateContainerError", error, pauses.next())
            else:
                return sandbox if await self._post_start(sandbox) else None

    async def _cannot_be_made(self, reason: str, error: Exception, pause_seconds: float) -> None:
        self.tried.set()
        self.report.failed(reason, str(error))
        await asyncio.sleep(pause_seconds)

    async def _launch(self, profile: Profile) -> Sandbox:
        """Start the sandbox. Cancelled in the middle, it is there for `stop` to end."""
        log = Log(self.folder / f"{len(self.logs)}.log")
        starting = asyncio.ensure_future(
            launch.launch(self.pod, self.record.spec, profile, self.folder, len(self.logs), log)
        )
        try:
            await asyncio.wait([starting])
        finally:
            # Where we are cancelled meanwhile, too.
            with contextlib.suppress(ConfigError, StartFailed, SandboxFailed):
                await self._launched(starting, profile, log)
        return starting.result()

    async def _launched(self, starting: asyncio.Future[Sandbox], profile: Profile, log: Log) -> None:
        try:
            self.sandbox = await starting
        except ConfigError:
            # Never created: there is no such run, and no log of it.
            log.close()
            raise
        except (StartFailed, SandboxFailed):
            self.logs.append(log)
            log.close()
            raise
        self.logs.append(log)
        self.report.created(profile.image_id)
        self.report.started()

    async def _post_start(self, sandbox: Sandbox) -> bool:
        """The container counts as running once its hook has returned; one that fails ends it."""
        handler = (self.record.spec.get("lifecycle") or {}).get("postStart")
        self._hook_failed = ""
        if handler:
            try:
                await run_hook(sandbox, handler)
            except HookFailed as error:
                self._hook_failed = str(error)
                self.report.event("Warning", "FailedPostStartHook", "PostStartHook failed")
                await self._kill(sandbox, Grace(self.pod.grace_seconds), "FailedPostStartHook")
                return False
        self.report.runs()
        self.ready.set()
        return True

    async def _wait_for_end(self, sandbox: Sandbox) -> None:
        """Wait for the end of a run and record it, once."""
        code = await sandbox.wait()
        async with self._lock:
            if self.sandbox is not sandbox:
                return
            self.sandbox = None
            self.logs[-1].close()
            path = self.folder / f"{len(self.logs) - 1}.termination"
            message = termination.message(self.pod.spec, self.record.spec, path, code, self.logs[-1])
            self.report.ended(code, message, out_of_memory=sandbox.out_of_memory)

    async def stop(self, grace: Grace, turn: Callable[[], asyncio.Future[object]]) -> None:
        """End it for good: preStop; when its `turn` has come SIGTERM; when the grace is over SIGKILL."""
        try:
            if self.sandbox:
                await self._kill(self.sandbox, grace, f"Stopping container {self.name}", turn)
        finally:
            self.ended.set()

    async def _kill(
        self,
        sandbox: Sandbox,
        grace: Grace,
        message: str,
        turn: Callable[[], asyncio.Future[object]] | None = None,
    ) -> None:
        self.report.event("Normal", "Killing", message)
        handler = (self.record.spec.get("lifecycle") or {}).get("preStop")
        if handler and grace.left() > 0:
            await self._pre_stop(sandbox, handler, grace)
        if turn:
            await asyncio.wait([turn()], timeout=max(0, grace.left()))
        await self._end(sandbox, grace)

    async def _pre_stop(self, sandbox: Sandbox, handler: Object, grace: Grace) -> None:
        hook = asyncio.ensure_future(run_hook(sandbox, handler))
        ended = asyncio.ensure_future(self._wait_for_end(sandbox))
        while not (hook.done() or ended.done()) and grace.left() > 0:
            await asyncio.wait([hook, ended], timeout=min(grace.left(), 0.1), return_when=asyncio.FIRST_COMPLETED)
        if hook.done() and hook.exception():
            self.report.event("Warning", "FailedPreStopHook", "PreStopHook failed")
        hook.cancel()
        await asyncio.gather(hook, return_exceptions=True)

    async def _end(self, sandbox: Sandbox, grace: Grace) -> None:
        """SIGTERM to PID 1, and SIGKILL when the grace is over, which a second deletion may bring forward."""
        sandbox.signal(15)
        at_least = time.monotonic() + grace.least_seconds
        ended = asyncio.ensure_future(self._wait_for_end(sandbox))
        while not ended.done():
            left = max(grace.left(), at_least - time.monotonic())
            if left <= 0:
                sandbox.signal(9)
            await asyncio.wait([ended], timeout=min(left, 0.1) if left > 0 else 1)
