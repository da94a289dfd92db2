"""KubernetesPodOperator's wait for a pod's start, by changes of the pod instead of by looks at it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from airflow.providers.cncf.kubernetes.kubernetes_helper_functions import PodLaunchFailedException
from airflow.providers.cncf.kubernetes.utils import pod_manager

# KubernetesPodOperator looks at its deadlines by its own clock, which begins a moment after ours.
LEAST_SECONDS = 0.05

# Returns the pod; given seconds, when it has changed, or when they are over.
Look = Callable[[float | None], Awaitable[Any]]


class AwaitedStart(pod_manager.AsyncPodManager):
    """What KubernetesPodOperator's wait takes for a pod manager: its loop reads the pod, decides and sleeps.

    Here a read waits for the next change, or for the next deadline, so that there is no sleep left. What decides,
    what is logged and what is raised stays KubernetesPodOperator's.
    """

    def __init__(self, log: Any, look: Look, schedule_timeout: int, startup_timeout: int) -> None:
        # Not its base's: that makes a client of Kubernetes which nobody would use.
        self._log, self._look = log, look
        self._schedule_timeout, self._startup_timeout = schedule_timeout, startup_timeout
        self._deadline: float | None = None
        self._is_scheduled = False
        self.stop_watching_events = False

    @property
    def log(self) -> Any:
        return self._log

    async def wait(self, pod: Any) -> None:
        """Return when the pod has started; raise what KubernetesPodOperator raises, and what a look does."""
        try:
            await pod_manager.await_pod_start(
                self, pod, self._schedule_timeout, self._startup_timeout, check_interval=0
            )
        except (PodLaunchFailedException, pod_manager.PodLaunchTimeoutException):
            raise
        except BaseException:
            # Whatever a look raises, it raises within a group of the log.
            self.log.info("::endgroup::")
            raise

    async def read_pod(self, pod: Any) -> Any:
        if self._deadline is None:
            self._deadline = time.time() + self._schedule_timeout
            result = await self._look(None)
        else:
            result = await self._look(max(self._deadline - time.time(), LEAST_SECONDS))
        conditions = result.status.conditions or ()
        is_scheduled = any(one.type == "PodScheduled" and one.status == "True" for one in conditions)
        if is_scheduled and not self._is_scheduled:
            self._is_scheduled, self._deadline = True, time.time() + self._startup_timeout
        return result
