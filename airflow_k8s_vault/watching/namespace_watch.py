"""One list-and-watch of one namespace's pods, on an event loop, for all who subscribe to one of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping

from airflow_k8s_vault.watching.client import Client
from airflow_k8s_vault.watching.failures import ApiError, WatchUnavailable
from airflow_k8s_vault.watching.outage import Outage
from airflow_k8s_vault.watching.pauses import Pauses
from airflow_k8s_vault.watching.pod_store import PodStore
from airflow_k8s_vault.watching.reflector import List, Pause, Reflector, Step, Watch
from airflow_k8s_vault.watching.subscription import Subscription

log = logging.getLogger(__name__)

# How many pods are looked at by name at the same time: after a broken watch it may be many that are not there.
_LOOKS_AT_ONCE = 8
# Between two turns of the event loop, so that a thousand lines at once keep nobody waiting.
_LINES_A_TURN = 50


class NamespaceWatch:
    """labels: what the pods are selected by, on the server."""

    def __init__(self, client: Client, namespace: str, labels: Mapping[str, str]) -> None:
        self.namespace, self._client = namespace, client
        self._path = f"/api/v1/namespaces/{namespace}/pods"
        self.store = PodStore(namespace, labels, self._look)
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        self._reflector = Reflector(
            self.store,
            {"labelSelector": selector},
            poll_seconds=self.store.poll_seconds,
            refused=self._refused,
            clock=asyncio.get_running_loop().time,
        )
        self._outage = Outage(f"the pods in namespace {namespace}", asyncio.get_running_loop().time)
        self._at_once = asyncio.Semaphore(_LOOKS_AT_ONCE)
        # Who is being looked for, and whether something has happened meanwhile that takes another look.
        self._looking: dict[Subscription, bool] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Watch until cancelled; where it turns out to be impossible subscriptions end with WatchUnavailable."""
        try:
            await self._follow()
        except WatchUnavailable as refusal:
            self.store.refuse(refusal)
        except Exception as defect:
            log.exception("The watch of the pods in namespace %s has a defect", self.namespace)
            self.store.refuse(WatchUnavailable(f"The watch of the pods ended with {defect!r}."))
        finally:
            for task in self._tasks:
                task.cancel()

    async def _follow(self) -> None:
        steps = self._reflector.steps()
        step = next(steps)
        while True:
            try:
                answer = await self._carried_out(step)
            except ApiError as failure:
                self._outage.failed(failure)
                step = steps.throw(failure)
            else:
                step = steps.send(answer)

    async def _carried_out(self, step: Step) -> bytes | None:
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
        elif isinstance(step, List):
            answer = await self._client.get(self._path, step.query)
            self._outage.over()
            return answer
        else:
            await self._watch(step)
        return None

    async def _watch(self, step: Watch) -> None:
        count = 0
        async with contextlib.aclosing(self._client.lines(self._path, step.query)) as lines:
            async for line in lines:
                self._reflector.line(line)
                self._outage.over()
                count += 1
                if count % _LINES_A_TURN == 0:
                    await asyncio.sleep(0)

    def _refused(self, refusal: ApiError) -> None:
        log.warning(
            "This account may not watch pods in namespace %s (%s): they are listed each %g s, all at once.\n"
            "  Give it the verb 'watch' on 'pods' there: their ends are then known at once, for fewer requests.",
            self.namespace,
            refusal,
            self.store.poll_seconds(),
        )

    # Pods that the watch does not tell of.

    def _look(self, subscription: Subscription) -> None:
        if subscription in self._looking:
            self._looking[subscription] = True
            return
        self._looking[subscription] = False
        task = asyncio.create_task(self._looked(subscription))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _looked(self, subscription: Subscription) -> None:
        pauses = Pauses()
        try:
            while not subscription.is_over:
                self._looking[subscription] = False
                try:
                    async with self._at_once:
                        content = await self._get(subscription.name)
                    again = self.store.looked(subscription, content)
                except ApiError as failure:
                    await asyncio.sleep(max(pauses.next(), failure.retry_after_seconds))
                    continue
                if again:
                    await asyncio.sleep(subscription.poll_seconds)
                elif not self._looking[subscription]:
                    break
        except WatchUnavailable as refusal:
            subscription.tell_end(refusal)
        except Exception as defect:
            log.exception("Looking for pod %s in namespace %s has a defect", subscription.name, self.namespace)
            subscription.tell_end(WatchUnavailable(f"Looking for the pod ended with {defect!r}."))
        finally:
            del self._looking[subscription]

    async def _get(self, name: str) -> bytes | None:
        try:
            return await self._client.get(f"{self._path}/{name}")
        except ApiError as failure:
            if failure.status == 403:
                raise WatchUnavailable(str(failure)) from failure
            if failure.status == 404:
                return None
            raise
