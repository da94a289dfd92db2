"""The end of a task's pod: its login ends with it, however the task does, and the task says why it failed."""

from __future__ import annotations

import sys
from typing import Any

from airflow.providers.cncf.kubernetes.utils.pod_manager import OnFinishAction, OnKillAction
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from kubernetes.client import V1Pod

from airflow_k8s_vault import config
from airflow_k8s_vault.delivery import (
    LEAST_GRACE_SECONDS,
    MOST_LOG_LINES,
    has_failed,
    has_succeeded,
    is_for_good,
    why_it_failed,
)
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
            # After a deferral it is for a moment whatever pod has the name.
            if pod is not None and pod in self._own_pods:
                self.pod_manager.delete_pod(pod, self._grace_seconds())
        except (DeliveryRefused, DeliveryUnavailable) as failure:
            self.log.error("Pod %s could not be deleted: %s", own_pods.named(pod), failure)
        self._end_login(keeps_pod=False)

    def patch_already_checked(self, pod: V1Pod, *, reraise: bool = True) -> None:
        """Write on this very pod, and on no other one of its name, that no further try is to go on with it."""
        try:
            self.pod_manager.label(pod, self.POD_CHECKED_KEY, "True")
        except (DeliveryRefused, DeliveryUnavailable) as failure:
            if reraise:
                raise
            self.log.warning("Pod %s could not be labelled: %s", own_pods.named(pod), failure)

    def _grace_seconds(self) -> int | None:
        """Return how long the pod's containers have to end; None: as long as the pod's own spec says."""
        if self.termination_grace_period is None or not self._is_delivered_by("agent"):
            return self.termination_grace_period
        return max(self.termination_grace_period, LEAST_GRACE_SECONDS)

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
            self._let_go(remote_pod or pod)
            return
        raised = sys.exception()
        if raised is not None and remote_pod is not None:
            # It was read when the pod was made.
            remote_pod = self._last_seen = self.pod_manager.newest(remote_pod)
        log = self._end_of_log(remote_pod)
        try:
            super().cleanup(pod, remote_pod, xcom_result, context, **kwargs)
        except AirflowSkipException:
            raise
        except AirflowException:
            failure = self._failure(remote_pod, log)
            # What was raised before is the reason where the pod knows none: a time-out, an image that is missing.
            if failure is None and raised is None:
                raise
        else:
            return
        finally:
            if remote_pod is not None and remote_pod in self._own_pods:
                self.pod_manager.end_what_is_left(remote_pod, self._keeps(remote_pod))
        if failure is not None:
            raise failure from None

    def _failure(self, pod: V1Pod, log: list[str]) -> AirflowException | None:
        """Return what the pod's own state says of a task that failed, None where it says nothing."""
        reason = why_it_failed(pod, self.base_container_name, log)
        if reason is None:
            return None
        return (AirflowFailException if is_for_good(pod, self.base_container_name) else AirflowException)(reason)

    def _end_of_log(self, pod: V1Pod | None) -> list[str]:
        """Return the last lines of a failed main process, as far as this task shows logs."""
        if pod is None or not self.get_logs or not has_failed(pod, self.base_container_name):
            return []
        return self.pod_manager.end_of_log(pod, self.base_container_name, MOST_LOG_LINES)

    def is_istio_enabled(self, pod: V1Pod) -> bool:
        """Whether the base container's end is the task's, because another one outlives it.

        KubernetesPodOperator knows that of Istio's proxy alone.
        """
        ends_with_base = config.get("task_ends_with") == "base"
        others = [
            container.name for container in pod.spec.containers if container.name != self.base_container_name
        ]
        return bool((ends_with_base and others) or super().is_istio_enabled(pod))

    def _keeps(self, pod: V1Pod) -> bool:
        """Whether the pod's object stays, for whoever wants to look at it."""
        if self._killed or self.on_finish_action == OnFinishAction.DELETE_POD:
            return False
        if self.on_finish_action == OnFinishAction.DELETE_SUCCEEDED_POD:
            return not has_succeeded(pod, self.base_container_name)
        return True

    def _let_go(self, pod: V1Pod) -> None:
        """End a pod whose delivery failed: as it is, it would start its main process once Vault lets it in."""
        keeps = self.on_finish_action in (OnFinishAction.KEEP_POD, OnFinishAction.DELETE_SUCCEEDED_POD)
        if keeps and self._is_delivered_by("agent"):
            self.pod_manager.end_what_is_left(pod, keeps=True)
        else:
            self.pod_manager.delete_pod(pod)
