"""The triggerer's side of a deferred pod: given up once its credentials cannot arrive, its login ended with it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cached_property
from typing import Any

from airflow.providers.cncf.kubernetes.triggers.pod import ContainerState, KubernetesPodTrigger
from airflow.providers.cncf.kubernetes.utils.pod_manager import AsyncPodManager, OnKillAction
from airflow.triggers.base import TriggerEvent
from kubernetes_asyncio import client as async_client

from airflow_k8s_vault import delivery
from airflow_k8s_vault.delivery.login import VaultLogin
from airflow_k8s_vault.delivery.secret import login_name, secret_name
from airflow_k8s_vault.errors import DeliveryRefused, DeliveryUnavailable, K8sVaultError
from airflow_k8s_vault.operators.deferred_pod import DeferredPod, Looks, WatchfulAsyncPodManager
from airflow_k8s_vault.operators.shared_hook import SharedKubernetesHook
from airflow_k8s_vault.secret_value import SecretValue
from airflow_k8s_vault.traceback_guard import traceback_guard


class VaultPodTrigger(KubernetesPodTrigger):
    """KubernetesPodTrigger that is told of its pod, and ends as `failed` when the pod's credentials cannot arrive.

    uid: the pod's; None in rows of Airflow's database that are older than this argument: it is then looked up.
    request: the pod's annotation where the worker logged in for it (delivery `secret`); the login and the Secrets
    then end here when the pod does: a user who ends a deferred task reaches the triggerer alone, and a task that
    Airflow gives up meanwhile has no worker any more. None: nothing to end.
    """

    def __init__(self, *, uid: str | None = None, request: str | None = None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.uid, self.request = uid, request
        self._token: Any = None
        self._pod = DeferredPod(None, super()._get_pod)
        self._look: Callable[[], Awaitable[Any]] = self._pod.now

    @classmethod
    def of(
        cls, trigger: KubernetesPodTrigger, uid: str | None = None, request: str | None = None
    ) -> VaultPodTrigger:
        """Return this trigger with the settings of one that KubernetesPodOperator made.

        A kubeconfig in the connection, which holds a credential, stays out of the trigger's row in Airflow's
        database: the triggerer reads the connection itself.
        """
        settings = trigger.serialize()[1]
        if any(name.endswith("kube_config") for name in settings["connection_extras"] or {}):
            settings["connection_extras"] = None
        return cls(uid=uid, request=request, **settings)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        arguments = super().serialize()[1]
        return f"{__name__}.{type(self).__name__}", {**arguments, "uid": self.uid, "request": self.request}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        # At the start: were it read at the end, a pod that somebody deletes would take it along.
        self._token = await self._kept_login()
        async with self._watching():
            async for event in super().run():
                if self.request is not None and await self._is_over(event.payload["status"]):
                    await self._end_login()
                    await self._delete(secret_name(self.request))
                yield event

    @contextlib.asynccontextmanager
    async def _watching(self) -> AsyncIterator[None]:
        """Be told of the pod, for as long as this lasts."""
        read = super()._get_pod
        with contextlib.suppress(Exception):
            # Where it cannot be read, the first look says why.
            self.uid = self.uid or (await read()).metadata.uid
        if self.uid is None:
            yield
            return
        watched = self.hook.cluster.pod(
            self.pod_namespace, self.pod_name, self.uid, delivery.POD_LABELS, self.poll_interval
        )
        with watched as subscription:
            self._pod = DeferredPod(subscription, read)
            self._look = self._pod.now
            yield

    # KubernetesPodTrigger's loops look, decide and sleep. Here a look is what waits, so that no sleep is left.

    async def _get_pod(self) -> Any:  # type: ignore[override]
        return await self._look()

    async def _wait_for_container_completion(self) -> TriggerEvent:
        poll_seconds, self.poll_interval = self.poll_interval, 0
        logs_seconds = self.logging_interval if self.get_logs else None
        deadline = self.trigger_kwargs.get("_execution_deadline")
        self._look = Looks(self._pod, poll_seconds, deadline, logs_seconds)
        try:
            return await super()._wait_for_container_completion()
        finally:
            self.poll_interval, self._look = poll_seconds, self._pod.now

    async def on_kill(self) -> None:
        token = self._token or await self._kept_login()
        await super().on_kill()
        if token is not None and self.on_kill_action == OnKillAction.DELETE_POD:
            self._token = token
            await self._end_login()

    async def _is_over(self, status: str) -> bool:
        if status != "error":
            return status in ("success", "failed", "timeout")
        try:
            await self._get_pod()
        except async_client.ApiException as gone:
            return bool(gone.status == 404)
        return False

    async def _kept_login(self) -> Any:
        """Return the token of the pod's login, None where there is none or it cannot be read."""
        if self.request is None:
            return None
        try:
            return await self._read_login(login_name(self.request))
        except Exception as failure:
            self.log.warning("The login of this pod cannot be read, and ends by its TTL: %s", failure)
            return None

    @traceback_guard(unexpected=DeliveryUnavailable)
    async def _read_login(self, secret: str) -> Any:
        async with self.hook.get_conn() as connection:
            # Raw: decoded, the client would write it into the log at level DEBUG.
            answer: Any = await async_client.CoreV1Api(connection).read_namespaced_secret(
                secret, self.pod_namespace, _preload_content=False
            )
            found = SecretValue(json.loads(await answer.read())) if answer.status == 200 else None
        return delivery.handover().kept_token(found) if found else None

    async def _end_login(self) -> None:
        if self.request is None or self._token is None:
            return
        try:
            await asyncio.to_thread(delivery.handover().revoke, VaultLogin.of_role(""), self._token)
        except K8sVaultError as failure:
            # Its Secret stays, for the worker to try again.
            self.log.warning("The login of this pod could not be revoked, and ends by its TTL: %s", failure)
        else:
            await self._delete(login_name(self.request))

    async def _delete(self, secret: str) -> None:
        try:
            async with self.hook.get_conn() as connection:
                await async_client.CoreV1Api(connection).delete_namespaced_secret(
                    secret, self.pod_namespace, _preload_content=False
                )
        except Exception as failure:
            self.log.warning(
                "Secret %s cannot be deleted (%s): it goes with its pod.", secret, type(failure).__name__
            )

    @cached_property
    def hook(self) -> SharedKubernetesHook:
        return SharedKubernetesHook(
            conn_id=self.kubernetes_conn_id,
            in_cluster=self.in_cluster,
            config_dict=self.config_dict,
            cluster_context=self.cluster_context,
            connection_extras=self.connection_extras,
        )

    @cached_property
    def pod_manager(self) -> AsyncPodManager:
        return WatchfulAsyncPodManager(self._pod, self.base_container_name, async_hook=self.hook)

    async def _wait_for_pod_start_within_deadline(self) -> ContainerState:
        try:
            return await super()._wait_for_pod_start_within_deadline()
        except (DeliveryRefused, DeliveryUnavailable):
            return ContainerState.FAILED
