"""The triggerer's side of a deferred pod: given up once its credentials cannot arrive, its login ended with it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from functools import cached_property
from typing import Any

from airflow.providers.cncf.kubernetes.triggers.pod import ContainerState, KubernetesPodTrigger
from airflow.providers.cncf.kubernetes.utils.pod_manager import AsyncPodManager, OnKillAction
from airflow.triggers.base import TriggerEvent
from kubernetes_asyncio import client as async_client

from airflow_k8s_vault import delivery
from airflow_k8s_vault.delivery import failure
from airflow_k8s_vault.delivery.login import VaultLogin
from airflow_k8s_vault.delivery.secret import login_name, secret_name
from airflow_k8s_vault.errors import DeliveryRefused, DeliveryUnavailable, K8sVaultError
from airflow_k8s_vault.secret_value import SecretValue
from airflow_k8s_vault.traceback_guard import traceback_guard

# The trigger only has to notice; the operator, which knows the login, words the error.
_ANY_LOGIN = VaultLogin(address="", role="")


class _WatchfulAsyncPodManager(AsyncPodManager):
    base_container = "base"

    async def read_pod(self, pod: Any) -> Any:
        found = await super().read_pod(pod)
        if problem := failure.of_delivery(found, _ANY_LOGIN, self.base_container):
            raise problem
        return found


class VaultPodTrigger(KubernetesPodTrigger):
    """KubernetesPodTrigger that ends as `failed` when the Vault agent gave up before the base container ran.

    request: the pod's annotation where the worker logged in for it (delivery `secret`); the login and the Secrets
    then end here when the pod does: a user who ends a deferred task reaches the triggerer alone, and a task that
    Airflow gives up meanwhile has no worker any more. None: nothing to end.
    """

    def __init__(self, *, request: str | None = None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.request = request
        self._token: Any = None

    @classmethod
    def of(cls, trigger: KubernetesPodTrigger, request: str | None = None) -> VaultPodTrigger:
        """Return this trigger with the settings of one that KubernetesPodOperator made.

        A kubeconfig in the connection, which holds a credential, stays out of the trigger's row in Airflow's
        database: the triggerer reads the connection itself.
        """
        settings = trigger.serialize()[1]
        if any(name.endswith("kube_config") for name in settings["connection_extras"] or {}):
            settings["connection_extras"] = None
        return cls(request=request, **settings)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        arguments = super().serialize()[1]
        return f"{__name__}.{type(self).__name__}", {**arguments, "request": self.request}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        # At the start: were it read at the end, a pod that somebody deletes would take it along.
        self._token = await self._kept_login()
        async for event in super().run():
            if self.request is not None and await self._is_over(event.payload["status"]):
                await self._end_login()
                await self._delete(secret_name(self.request))
            yield event

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
    def pod_manager(self) -> AsyncPodManager:
        manager = _WatchfulAsyncPodManager(async_hook=self.hook)
        manager.base_container = self.base_container_name
        return manager

    async def _wait_for_pod_start_within_deadline(self) -> ContainerState:
        try:
            return await super()._wait_for_pod_start_within_deadline()
        except (DeliveryRefused, DeliveryUnavailable):
            return ContainerState.FAILED
