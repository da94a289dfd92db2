"""The end of a task's pod: its login ends with it, however the task does."""

from __future__ import annotations

from typing import Any

from airflow.providers.cncf.kubernetes.utils.pod_manager import OnKillAction
from airflow.sdk.exceptions import AirflowException
from kubernetes.client import V1Pod

from airflow_k8s_vault.delivery import failure, lifetime
from airflow_k8s_vault.errors import DeliveryRefused, DeliveryUnavailable
from airflow_k8s_vault.operators import own_pods
from airflow_k8s_vault.operators.create import CreatesPod
from airflow_k8s_vault.traceback_guard import traceback_guard

# Around what Airflow calls while the pod has its credentials. What the operator raises stays what it is; but the
# worker's own credential for Kubernetes is in variables of the client, and error trackers send those.
GUARDED = traceback_guard(unexpected=AirflowException, passes=(Exception,))


class EndsPod(CreatesPod):
    """The part of VaultPodOperator that ends what the task began."""

    @GUARDED
    def on_kill(self) -> None:
        self._killed = True
        if self.on_kill_action == OnKillAction.KEEP_POD:
            self.log.info("The pod is kept: on_kill_action is %s.", self.on_kill_action.value)
            return
        manager = vars(self).get("pod_manager")
        pod = self.pod or (manager and manager.created)
        try:
            if pod is not None:
                self.pod_manager.delete_pod(pod, self._grace_seconds())
        except (DeliveryRefused, DeliveryUnavailable) as failure:
            self.log.error("Pod %s could not be deleted: %s", own_pods.named(pod), failure)
        self._end_login(keeps_pod=False)

    def _grace_seconds(self) -> int | None:
        """Return how long the pod's containers have to end; None: as long as the pod's own spec says."""
        if self.termination_grace_period is None or not self._is_delivered_by("agent"):
            return self.termination_grace_period
        return max(self.termination_grace_period, lifetime.LEAST_GRACE_SECONDS)

    def _end_login(self, keeps_pod: bool) -> None:
        # Not one that is made only now: then there is no login, and making it may be what failed.
        if handover := vars(self).get("_handover"):
            handover.end(keeps_pod)

    def cleanup(
        self, pod: V1Pod, remote_pod: V1Pod, xcom_result: Any = None, context: Any = None, **kwargs: Any
    ) -> None:
        # For its record: it may be deleted now.
        self._last_seen = remote_pod or pod
        if self.pod_manager.problem is not None and not self._killed:
            # Whatever on_finish_action says: a kept pod would start its main process once Vault lets it in.
            self.pod_manager.delete_pod(remote_pod or pod)
            return
        unstartable = failure.of_start(remote_pod, self.base_container_name)
        try:
            super().cleanup(pod, remote_pod, xcom_result, context, **kwargs)
        except AirflowException as failed:
            if unstartable:
                raise AirflowException(unstartable) from failed
            raise
