"""The login of a deferred pod of delivery `secret`, which the triggerer ends when the pod does."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from kubernetes_asyncio import client as async_client

from airflow_k8s_vault import delivery, json_text
from airflow_k8s_vault.delivery import VaultLogin
from airflow_k8s_vault.delivery.secret import login_name, secret_name
from airflow_k8s_vault.errors import DeliveryUnavailable, K8sVaultError
from airflow_k8s_vault.secret_value import SecretValue
from airflow_k8s_vault.traceback_guard import traceback_guard

log = logging.getLogger(__name__)

_GUARDED = traceback_guard(unexpected=DeliveryUnavailable)


class KeptLogin:
    """The token that a worker wrote down for a pod, in the Secret that is named after the pod's `request`.

    hook: Airflow's asynchronous one for Kubernetes. pod_uid: what the Secret's owner has to be, for the request is
    an annotation. What cannot be read or revoked is logged and ends by its TTL.
    """

    def __init__(self, hook: Any, namespace: str, request: str, pod_uid: str) -> None:
        self._hook, self._namespace, self._request, self._pod_uid = hook, namespace, request, pod_uid
        self._token: SecretValue[str] | None = None

    @_GUARDED
    async def read(self) -> None:
        """Read the token, unless it has been: after the pod it may be gone."""
        try:
            self._token = self._token or await self._read()
        except Exception as failure:
            log.warning("The login of this pod cannot be read, and ends by its TTL: %s", failure)

    @_GUARDED
    async def _read(self) -> SecretValue[str] | None:
        async with self._hook.get_conn() as connection:
            # Raw: decoded, the client would write it into the log at level DEBUG.
            answer: Any = await async_client.CoreV1Api(connection).read_namespaced_secret(
                login_name(self._request), self._namespace, _preload_content=False
            )
            result = SecretValue(json_text.read(await answer.read())) if answer.status == 200 else None
        return delivery.handover().kept_token(result, self._pod_uid) if result else None

    @_GUARDED
    async def end(self) -> None:
        """Revoke the token, and with it every lease."""
        if self._token is None:
            return
        try:
            await asyncio.to_thread(delivery.handover().revoke, VaultLogin.of_role(""), self._token)
        except K8sVaultError as failure:
            # Its Secret stays, for the worker to try again.
            log.warning("The login of this pod could not be revoked, and ends by its TTL: %s", failure)
        else:
            await self._delete(login_name(self._request))

    @_GUARDED
    async def delete_values(self) -> None:
        """Delete the Secret with the values, which otherwise goes with its pod; while the login's is there yet.

        Whose it is, is known by that one: were this read, the triggerer would hold the values.
        """
        if self._token is not None:
            await self._delete(secret_name(self._request))

    async def _delete(self, secret: str) -> None:
        try:
            async with self._hook.get_conn() as connection:
                await async_client.CoreV1Api(connection).delete_namespaced_secret(
                    secret, self._namespace, _preload_content=False
                )
        except Exception as failure:
            log.warning("Secret %s cannot be deleted (%s): it goes with its pod.", secret, type(failure).__name__)
