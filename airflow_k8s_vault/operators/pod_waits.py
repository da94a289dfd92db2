"""The worker's waits for its pod: for what a watch tells, instead of for the next look."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from airflow.providers.cncf.kubernetes.kubernetes_helper_functions import PodLaunchFailedException
from airflow.providers.cncf.kubernetes.utils.container import (
    container_is_completed,
    container_is_running,
    container_is_terminated,
)
from airflow.providers.cncf.kubernetes.utils.pod_manager import (
    PodLaunchTimeoutException,
    PodManager,
    PodPhase,
    detect_pod_terminate_early_issues,
    log_pod_event,
)
from airflow.providers.cncf.kubernetes.utils.xcom_sidecar import PodDefaults

from airflow_k8s_vault.operators.pod_start import AwaitedStart
from airflow_k8s_vault.watching import FollowedPod

# How long after the end of its log a container's end may be reported: the kubelet looks each second.
_REPORT_SECONDS = 2
# When events are first looked at: most pods have started by then, and before there is little to tell. And how
# often from then on, at the most: as KubernetesPodOperator by default, whose setting is also that of its looks.
_EVENTS_AFTER_SECONDS, _EVENTS_SECONDS = 1, 5


class PodWaits(PodManager):
    """A PodManager that watches its pod once it has to wait for it, and does not read it again and again.

    KubernetesPodOperator's loops read the pod, decide and sleep. Here each begins when there is something to
    decide, and ends at its first look. Where there is no watch they are as they were. `created`: the pod that was
    created, as the API returned it; None before.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.created: Any = None
        self._followed: FollowedPod | None = None
        self._finished: Any = None
        self._watches_events, self._seen_events = False, set[str]()

    def read_pod(self, pod: Any) -> Any:
        """Return the pod: as the watch knows it, as it ended, or else as the API server has it."""
        if (known := self._known(pod)) is not None:
            return known
        seen = self.read_now(pod)
        if seen.status.phase in PodPhase.terminal_states:
            # Nothing runs in it any more, and nothing will: there is no other state to wait for.
            self._finished = seen
        return seen

    def read_now(self, pod: Any) -> Any:
        """Return what the API server has under the pod's name."""
        return super().read_pod(pod)

    @property
    def made(self) -> Any:
        """Return the pod that was created, as it is known now; None where none was."""
        return self.created and (self._known(self.created) or self.created)

    def _known(self, pod: Any) -> Any:
        followed, finished = self._followed, self._finished
        if followed is not None and followed.is_followed and followed.name == pod.metadata.name:
            return followed.newest
        if finished is not None and finished.metadata.name == pod.metadata.name:
            return finished
        return None

    def close(self) -> None:
        """Stop to watch the pod."""
        if self._followed is not None:
            self._followed.close()

    async def await_pod_start(
        self, pod: Any, schedule_timeout: int = 120, startup_timeout: int = 120, check_interval: float = 1
    ) -> None:
        followed, changed = self._follow(pod), asyncio.Event()
        loop = asyncio.get_running_loop()
        followed.listen(lambda: loop.call_soon_threadsafe(changed.set))

        async def look(within_seconds: float | None) -> Any:
            if within_seconds is not None:
                seconds = within_seconds if followed.is_followed else min(within_seconds, check_interval)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await changed.wait()
            changed.clear()
            return self.read_pod(pod)

        start = AwaitedStart(self.log, look, schedule_timeout, startup_timeout)
        try:
            await start.wait(pod)
        except (PodLaunchFailedException, PodLaunchTimeoutException):
            # They say why, and the last of them have come since.
            self._tell_events(pod)
            raise
        finally:
            self.stop_watching_events = start.stop_watching_events
            followed.listen(None)

    async def watch_pod_events(self, pod: Any, check_interval: float = 10) -> None:
        self._watches_events = True
        await asyncio.sleep(_EVENTS_AFTER_SECONDS)
        while True:
            if self.stop_watching_events or not self._tell_events(pod):
                return
            await asyncio.sleep(max(check_interval, _EVENTS_SECONDS))

    def _tell_events(self, pod: Any) -> bool:
        """Log the events that are new, where that is asked for; return whether they could be read."""
        if not self._watches_events:
            return False
        try:
            for event in self.read_pod_events(pod).items:
                log_pod_event(self, event, self._seen_events)
        except Exception as failure:
            self.log.warning("Stopped watching events of pod %s: %s", pod.metadata.name, failure)
            self._watches_events = False
        return self._watches_events

    def await_container_completion(self, pod: Any, container_name: str, polling_time: float = 1) -> None:
        self._wait_until(pod, lambda seen: container_is_completed(seen, container_name))
        super().await_container_completion(pod, container_name, polling_time)

    def await_pod_completion(
        self, pod: Any, istio_enabled: bool = False, container_name: str = "base", do_xcom_push: bool = False
    ) -> Any:
        sidecars_stay = istio_enabled or do_xcom_push

        def is_done(seen: Any) -> bool:
            return bool(
                seen.status.phase in PodPhase.terminal_states
                or (sidecars_stay and container_is_completed(seen, container_name))
                or detect_pod_terminate_early_issues(seen)
            )

        self._wait_until(pod, is_done)
        return super().await_pod_completion(pod, istio_enabled, container_name, do_xcom_push)

    def await_xcom_sidecar_container_start(self, pod: Any, timeout: int = 900, log_interval: int = 30) -> None:
        sidecar = PodDefaults.SIDECAR_CONTAINER_NAME

        def has_begun(seen: Any) -> bool:
            return bool(container_is_running(seen, sidecar) or container_is_terminated(seen, sidecar))

        self._wait_until(pod, has_begun, timeout)
        super().await_xcom_sidecar_container_start(pod, timeout, log_interval)

    def read_pod_logs(self, pod: Any, container_name: str, **options: Any) -> Any:
        logs = super().read_pod_logs(pod, container_name, **options)
        return self._and_its_end(logs, pod, container_name) if options.get("follow", True) else logs

    def _and_its_end(self, logs: Iterable[bytes], pod: Any, container_name: str) -> Iterator[bytes]:
        """Yield the log, and end once the container's end has been reported: a log is over a moment before that.

        Without that moment KubernetesPodOperator takes the container for running, and opens its log once more.
        """
        yield from logs
        self._wait_until(pod, lambda seen: not container_is_running(seen, container_name), _REPORT_SECONDS)

    def _wait_until(self, pod: Any, met: Callable[[Any], bool], seconds: float = float("inf")) -> None:
        """Return when that is true of the pod, when the time is over, or when nobody watches it."""
        until = time.monotonic() + seconds
        while not met(self.read_pod(pod)):
            followed = self._follow(pod)
            changes = followed.changes
            left = until - time.monotonic()
            if not followed.is_followed or left <= 0:
                return
            if not met(self.read_pod(pod)):
                followed.wait(changes, min(left, threading.TIMEOUT_MAX))

    def _follow(self, pod: Any) -> FollowedPod:
        if self._followed is None:
            known = self.created or pod
            if known.metadata.uid is None or known.metadata.name != pod.metadata.name:
                known = super().read_pod(pod)
            self._followed = FollowedPod(self._client.api_client, known)
            weakref.finalize(self, self._followed.close)
        return self._followed
