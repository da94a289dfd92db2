"""The deferred pod as the triggerer sees it: by the watch that all triggers share, else by requests of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from airflow.providers.cncf.kubernetes.utils.pod_manager import AsyncPodManager
from kubernetes_asyncio.client import ApiException

from airflow_k8s_vault.delivery import VaultLogin, delivery_failure
from airflow_k8s_vault.operators.pod_start import LEAST_SECONDS, AwaitedStart
from airflow_k8s_vault.watching import PodGone, Subscription, WatchUnavailable

# Until when the watch has to have told of the pod. Whatever keeps it from that is then found out, and raised, by a
# request of the trigger's own.
_FIRST_SECONDS = 60


class DeferredPod:
    """subscription: None where there is no watch. read: reads the pod from the API server, or raises."""

    def __init__(self, subscription: Subscription | None, read: Callable[[], Awaitable[Any]]) -> None:
        self._subscription, self.read = subscription, read
        self._newest: Any = None

    async def now(self) -> Any:
        """Return the pod as it is known now. Raises ApiException 404 where it is gone, and what `read` raises."""
        if self._subscription is None:
            return await self.read()
        if self._newest is None:
            return await self._next_change(_FIRST_SECONDS)
        return self._newest

    async def next(self, within_seconds: float | None, poll_seconds: float) -> Any:
        """Return the pod when it has changed, or as it was when the time is over; None: there is no such time.

        poll_seconds: how long to wait instead where there is no watch.
        """
        within = None if within_seconds is None else max(within_seconds, LEAST_SECONDS)
        if self._subscription is None:
            await asyncio.sleep(poll_seconds if within is None else min(within, poll_seconds))
            return await self.read()
        return await self._next_change(within)

    async def _next_change(self, within_seconds: float | None) -> Any:
        try:
            self._newest = await self._subscription.changed(within_seconds)  # type: ignore[union-attr]
        except PodGone as gone:
            self._newest = None
            raise ApiException(status=404, reason=str(gone)) from None
        except (WatchUnavailable, TimeoutError):
            self._subscription = None
            return await self.read()
        return self._newest


class Looks:
    """What KubernetesPodTrigger gets of the pod until its container ends: at once first, then when it changed.

    Or when something is due: deadline_at, in seconds since 1970, or the container's log, each logs_seconds; None:
    there is none.
    """

    def __init__(
        self, pod: DeferredPod, poll_seconds: float, deadline_at: float | None, logs_seconds: float | None
    ) -> None:
        self._pod, self._poll_seconds = pod, poll_seconds
        self._deadline_at, self._logs_seconds = deadline_at, logs_seconds
        self._logs_at: float | None = None
        self._is_first = True

    async def __call__(self) -> Any:
        now = time.time()
        if self._logs_seconds and (self._logs_at is None or now >= self._logs_at):
            self._logs_at = now + self._logs_seconds
        if self._is_first:
            self._is_first = False
            return await self._pod.now()
        due = [at - now for at in (self._deadline_at, self._logs_at) if at is not None]
        return await self._pod.next(min(due, default=None), self._poll_seconds)


class _LogsOfOwn:
    """Airflow's hook, but its logs, which go by the pod's name, are this pod's or none."""

    def __init__(self, hook: Any, pod: DeferredPod) -> None:
        self._hook, self._pod = hook, pod

    def __getattr__(self, name: str) -> Any:
        return getattr(self._hook, name)

    async def read_logs(self, **given: Any) -> list[str]:
        """Raises what `DeferredPod.read` raises of another pod; no UID comes back, so before it was this one."""
        lines: list[str] = await self._hook.read_logs(**given)
        await self._pod.read()
        return lines


class WatchfulAsyncPodManager(AsyncPodManager):
    """AsyncPodManager that waits for changes of `pod`, and raises when its credentials cannot arrive any more."""

    def __init__(self, pod: DeferredPod, base_container: str, login: VaultLogin, **arguments: Any) -> None:
        super().__init__(**{**arguments, "async_hook": _LogsOfOwn(arguments["async_hook"], pod)})
        self._pod, self._base_container, self._login = pod, base_container, login

    async def await_pod_start(
        self, pod: Any, schedule_timeout: int = 120, startup_timeout: int = 120, check_interval: float = 1
    ) -> None:
        async def look(within_seconds: float | None) -> Any:
            if within_seconds is None:
                return self._sound(await self._pod.now())
            return self._sound(await self._pod.next(within_seconds, check_interval))

        await AwaitedStart(self.log, look, schedule_timeout, startup_timeout).wait(pod)

    def _sound(self, pod: Any) -> Any:
        if problem := delivery_failure(pod, self._login, self._base_container):
            raise problem
        return pod
