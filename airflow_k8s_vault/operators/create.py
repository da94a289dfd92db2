"""The pod is created, or found where an earlier try of the task left it, and gets its credentials."""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowException
from kubernetes.client import ApiException, V1Pod

from airflow_k8s_vault import config, delivery, json_text
from airflow_k8s_vault.delivery import (
    agent,
    delivery_failure,
    explained_refusal,
    lifetime_seconds,
    require_file_key_ref,
    secret,
)
from airflow_k8s_vault.errors import DeliveryRefused
from airflow_k8s_vault.operators import own_pods, pod_record, received
from airflow_k8s_vault.operators.build import manifest_of
from airflow_k8s_vault.operators.find import FindsPod

if TYPE_CHECKING:
    from airflow_k8s_vault.operators.pod_manager import Problem, WatchfulPodManager


# The SCC restricted-v2 takes no user but one of its namespace's range, which it gives by itself.
_OPENSHIFT = (
    "\n  On OpenShift let the cluster choose the user: agent: {run_as_user: cluster} in platform.yaml, and no "
    "runAsUser or fsGroup in the template (docs/howto/openshift.md)."
)


class CreatesPod(FindsPod):
    """The part of VaultPodOperator that creates the pod, and hands its credentials over where the worker does."""

    def get_or_create_pod(self, pod_request_obj: V1Pod, context: Any) -> V1Pod:
        """Check the final pod, which mutation hooks and callbacks have seen by now, and create it.

        Returns it as the API server does: with the UID by which it is known from now on.
        """
        pod_request_obj = self._checked(pod_request_obj)
        if self._is_delivered_by("agent") and agent.needs_file_key_ref(self._resolved_secrets()):
            require_file_key_ref(self.client.api_client)
        try:
            pod = super().get_or_create_pod(pod_request_obj, context)
            if self._handover and not self.pod_manager.created and secret.is_gated(pod):
                # Of a worker that died meanwhile. Not finished but replaced: only that worker knew how far it had
                # come, and a second login for one pod would be one that nobody expects.
                self._new_handover(pod_request_obj).discard(pod)
                pod = super().get_or_create_pod(pod_request_obj, context)
        except ApiException as refusal:
            raise self._explained(refusal) from refusal
        self.pod = self.pod_manager.created or pod  # on_kill deletes it from now on
        if self.pod_manager.created:
            pod_record.started(self, context, manifest_of(pod_request_obj))
        if self._handover and self.pod_manager.created:
            begin = time.monotonic()
            self._handover.deliver(self.pod)
            self._tell_received(f"handed over in {time.monotonic() - begin:.1f} s")
        elif self._handover:
            self._handover.resume(self.pod)
        return self.pod

    def find_pod(self, namespace: str, context: Any, *, exclude_checked: bool = True) -> V1Pod | None:
        """Return the pod that this try created, as it is known now; before that, one that an earlier try left."""
        return self.pod_manager.made or super().find_pod(namespace, context, exclude_checked=exclude_checked)

    def process_pod_deletion(self, pod: V1Pod, *, reraise: bool = True) -> bool:
        """End the login of an earlier try's pod, which ended while no worker was there, before it goes."""
        if pod is not None and pod not in self._own_pods:
            self.log.warning("Pod %s is not this task's: it is not deleted.", own_pods.named(pod))
            return False
        if self._handover and pod is not None and not self._handover.is_of(pod):
            earlier = self._new_handover(pod)
            earlier.resume(pod)
            earlier.end(keeps_pod=False)
        return bool(super().process_pod_deletion(pod, reraise=reraise))

    def _tell_received(self, how: str) -> None:
        """Say in the task's log, in one line, what the pod got."""
        self.log.info("%s", received.sentence(self._resolved_secrets(), self._login().role, how))

    def _explained(self, refusal: ApiException) -> Exception:
        """Return what a refused pod means, where more is known than the API server says."""
        team, login = self._decision.template.team, self._login()
        if refusal.status == 403 and f'serviceaccount "{team.service_account}" not found' in _message(refusal):
            return DeliveryRefused(
                f"Namespace '{team.namespace}' has no service account '{team.service_account}': "
                f"{login.compile_and_apply('kubernetes')}{login.doctor('CLUSTER-ACCOUNT')}"
            )
        status: int = refusal.status or 0
        explained = explained_refusal(refusal)
        if explained is refusal and status in (403, 422):
            if "security context constraint" in _message(refusal):
                return AirflowException(
                    f"The API server refused the pod ({status}): {_message(refusal)}{_OPENSHIFT}"
                )
            step = login.doctor("CLUSTER-QUOTA" if "quota:" in _message(refusal) else "CLUSTER-POD")
            return AirflowException(f"The API server refused the pod ({status}): {_message(refusal)}{step}")
        return explained

    @cached_property
    def _handover(self) -> Any:
        """The worker's part of the delivery; None where the pod logs in itself."""
        return self._new_handover(self.pod_request_obj) if self._is_delivered_by("secret") else None

    def _new_handover(self, pod: V1Pod | None) -> Any:
        waits_seconds = self.schedule_timeout_seconds + self.startup_timeout_seconds
        lives = lifetime_seconds(pod, self._decision.execution_timeout, waits_seconds)
        return delivery.handover().Handover(
            self.client, self._login(), self._resolved_secrets(), self.base_container_name, lives
        )

    def _problem_of(self, pod: V1Pod) -> Problem | None:
        if not self._is_delivered_by("agent"):
            return None
        return delivery_failure(pod, self._login(), self.base_container_name)

    @cached_property
    def pod_manager(self) -> WatchfulPodManager:
        # Here: a DAG file that is only parsed needs neither it nor the watch.
        from airflow_k8s_vault.operators.pod_manager import WatchfulPodManager

        manager = WatchfulPodManager(
            self._own_pods, self._problem_of, kube_client=self.client, callbacks=self.callbacks
        )
        manager.ends_with = self.base_container_name if config.get("task_ends_with") == "base" else None
        return manager


def _message(refusal: ApiException) -> str:
    """Return the API server's sentence: the body is JSON, with quotation marks escaped."""
    try:
        return str(json_text.read(refusal.body)["message"])
    except (TypeError, ValueError, KeyError):
        return str(refusal.body)
