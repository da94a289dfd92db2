"""The triggerer's side of a deferred pod: given up once its credentials cannot arrive, its login ended with it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import cached_property
from typing import Any

from airflow.providers.cncf.kubernetes.triggers.pod import ContainerState, KubernetesPodTrigger
from airflow.providers.cncf.kubernetes.utils.pod_manager import AsyncPodManager, OnKillAction
from airflow.sdk.exceptions import AirflowException
from airflow.triggers.base import TriggerEvent
from kubernetes_asyncio import client as async_client

from airflow_k8s_vault import delivery
from airflow_k8s_vault.delivery import VaultLogin
from airflow_k8s_vault.errors import DeliveryRefused, DeliveryUnavailable, ForeignPod
from airflow_k8s_vault.operators.deferred_pod import DeferredPod, Looks, WatchfulAsyncPodManager
from airflow_k8s_vault.operators.kept_login import KeptLogin
from airflow_k8s_vault.operators.shared_hook import SharedKubernetesHook
from airflow_k8s_vault.traceback_guard import traceback_guard

Problem = DeliveryRefused | DeliveryUnavailable | ForeignPod
_GIVES_UP = (DeliveryRefused, DeliveryUnavailable, ForeignPod)
# The triggerer's own credential for Kubernetes is in variables of the client, as the worker's is: see end.GUARDED.
_GUARDED = traceback_guard(unexpected=AirflowException, passes=(Exception,))
# Of a login, in the trigger's row: what the words of an error need.
_LOGIN_FIELDS = ("address", "role", "auth_method", "auth_mount", "audience", "team")


class VaultPodTrigger(KubernetesPodTrigger):
    """KubernetesPodTrigger that is told of its pod, and ends as `failed` when the pod's credentials cannot arrive.

    uid: the pod's. What Kubernetes has under its name later on, and is another pod, is neither read nor deleted.
    request: the pod's annotation where the worker logged in for it (delivery `secret`); the login and the Secrets
    then end here when the pod does: a user who ends a deferred task reaches the triggerer alone, and a task that
    Airflow gives up meanwhile has no worker any more. None: nothing to end.
    login: where the pod logs in (delivery `agent`), so that this log too can have the reason of a refusal.

    Rows of Airflow's database that are older have neither uid, which is then looked up, nor login.
    """

    def __init__(
        self,
        *,
        uid: str | None = None,
        request: str | None = None,
        login: Mapping[str, str] | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__(**arguments)
        self.uid, self.request, self.login = uid, request, login
        self._pod = DeferredPod(None, self._read)
        self._look: Callable[[], Awaitable[Any]] = self._pod.now
        self._problem: Problem | None = None

    @classmethod
    def of(
        cls,
        trigger: KubernetesPodTrigger,
        *,
        uid: str | None = None,
        request: str | None = None,
        login: VaultLogin | None = None,
    ) -> VaultPodTrigger:
        """Return this trigger with the settings of one that KubernetesPodOperator made.

        A kubeconfig in the connection, which holds a credential, stays out of the trigger's row in Airflow's
        database: the triggerer reads the connection itself.
        """
        settings = trigger.serialize()[1]
        if any(name.endswith("kube_config") for name in settings["connection_extras"] or {}):
            settings["connection_extras"] = None
        described = {name: getattr(login, name) for name in _LOGIN_FIELDS} if login else None
        return cls(uid=uid, request=request, login=described, **settings)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        ours = {"uid": self.uid, "request": self.request, "login": self.login}
        return f"{__name__}.{type(self).__name__}", {**super().serialize()[1], **ours}

    @staticmethod
    def problem_of(event: Mapping[str, Any]) -> Problem | None:
        """Return why this trigger gave its pod up, as its event says; None where it did not."""
        errors = event.get("problem")
        kinds = {kind.__name__: kind for kind in _GIVES_UP}
        return kinds[errors["kind"]](errors["message"]) if errors else None

    async def run(self) -> AsyncIterator[TriggerEvent]:
        await self._find_uid()
        if self._kept_login:
            # At the start: were it read at the end, a pod that somebody deletes would take it along.
            await self._kept_login.read()
        async with self._watching():
            async for event in super().run():
                event.payload["uid"] = self.uid
                if self._problem is not None:
                    # Said here as well: should Airflow give the task up meanwhile, no worker comes to say it.
                    self.log.error("%s", self._problem)
                    problem = {"kind": type(self._problem).__name__, "message": str(self._problem)}
                    event.payload.update(status="failed", message=problem["message"], problem=problem)
                if self._kept_login and await self._is_over(event.payload["status"]):
                    await self._kept_login.delete_values()
                    await self._kept_login.end()
                yield event

    # What it sees of the pod.

    @contextlib.asynccontextmanager
    async def _watching(self) -> AsyncIterator[None]:
        """Be told of the pod, for as long as this lasts."""
        if self.uid is None:
            yield
            return
        watched = self.hook.cluster.pod(
            self.pod_namespace, self.pod_name, self.uid, delivery.POD_LABELS, self.poll_interval
        )
        with watched as subscription:
            self._pod = DeferredPod(subscription, self._read)
            self._look = self._pod.now
            yield

    @_GUARDED
    async def _find_uid(self) -> None:
        with contextlib.suppress(Exception):
            # Where it cannot be read, the first look says why.
            self.uid = self.uid or (await self._read()).metadata.uid

    async def _read(self) -> Any:
        """Return the pod as the API server has it. Raises ForeignPod."""
        pod = await super()._get_pod()
        if self.uid not in (None, pod.metadata.uid):
            raise ForeignPod(
                f"Pod {self.pod_namespace}/{self.pod_name} is not the one that this task made: another one took "
                "its name. It is left alone."
            )
        return pod

    # KubernetesPodTrigger's loops look, decide and sleep. Here a look is what waits, so that no sleep is left.

    async def _get_pod(self) -> Any:  # type: ignore[override]
        return await self._look()

    @_GUARDED
    async def _wait_for_container_completion(self) -> TriggerEvent:
        # It holds a client of Kubernetes that nobody uses, a third of what a waiting trigger takes in memory.
        vars(self).pop("pod_manager", None)
        poll_seconds, self.poll_interval = self.poll_interval, 0
        logs_seconds = self.logging_interval if self.get_logs else None
        deadline = self.trigger_kwargs.get("_execution_deadline")
        self._look = Looks(self._pod, poll_seconds, deadline, logs_seconds)
        try:
            return await super()._wait_for_container_completion()
        except ForeignPod as problem:
            self._problem = problem
            where = {"namespace": self.pod_namespace, "name": self.pod_name, **self.trigger_kwargs}
            return TriggerEvent({"status": "failed", **where})  # type: ignore[no-untyped-call]
        finally:
            self.poll_interval, self._look = poll_seconds, self._pod.now

    @_GUARDED
    async def _wait_for_pod_start_within_deadline(self) -> ContainerState:
        try:
            return await super()._wait_for_pod_start_within_deadline()
        except _GIVES_UP as problem:
            self._problem = problem
            return ContainerState.FAILED

    @_GUARDED
    async def _is_over(self, status: str) -> bool:
        if status != "error":
            return status in ("success", "failed", "timeout")
        try:
            await self._get_pod()
        except async_client.ApiException as gone:
            return bool(gone.status == 404)
        except ForeignPod:
            return True
        return False

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
        # Of an older row the login is not known: the operator, which knows it, words the error anew.
        described: dict[str, Any] = dict(self.login or {"address": "", "role": ""})
        login = VaultLogin(**described)
        return WatchfulAsyncPodManager(self._pod, self.base_container_name, login, async_hook=self.hook)

    # Its end.

    @_GUARDED
    async def on_kill(self) -> None:
        if self._fired_event or self.on_kill_action == OnKillAction.KEEP_POD:
            return
        await self._find_uid()
        if self._kept_login:
            await self._kept_login.read()
        await self._delete_pod()
        if self._kept_login:
            await self._kept_login.end()

    async def _delete_pod(self) -> None:
        """Delete this very pod."""
        where = f"{self.pod_namespace}/{self.pod_name}"
        self.log.info("Deleting pod %s.", where)
        body = async_client.V1DeleteOptions(
            grace_period_seconds=self.termination_grace_period,
            preconditions=async_client.V1Preconditions(uid=self.uid) if self.uid else None,
        )
        try:
            async with self.hook.get_conn() as connection:
                core = async_client.CoreV1Api(connection)
                await core.delete_namespaced_pod(self.pod_name, self.pod_namespace, body=body)
        except async_client.ApiException as refusal:
            # 404: it is gone. 409: another one has its name.
            if refusal.status not in (404, 409):
                self.log.error("Pod %s could not be deleted: %s %s", where, refusal.status, refusal.reason)
        except Exception as failure:
            self.log.error("Pod %s could not be deleted: %s", where, type(failure).__name__)

    @cached_property
    def _kept_login(self) -> KeptLogin | None:
        if self.request is None or self.uid is None:
            return None
        return KeptLogin(self.hook, self.pod_namespace, self.request, self.uid)
