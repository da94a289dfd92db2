"""The run of a task: KubernetesPodOperator's, but an agent that gives up ends it at once, in Vault's words."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pendulum
from airflow.providers.cncf.kubernetes.triggers.pod import KubernetesPodTrigger
from airflow.providers.cncf.kubernetes.utils.pod_manager import OnFinishAction, PodNotFoundException
from airflow.sdk.exceptions import AirflowException, AirflowFailException, TaskDeferred
from kubernetes.client import V1Pod

from airflow_k8s_vault import delivery
from airflow_k8s_vault.delivery import agent, has_begun, unless_gone
from airflow_k8s_vault.errors import DeliveryUnavailable, ForeignPod, K8sVaultError
from airflow_k8s_vault.operators import (
    auto_delivery,
    frozen_arguments,
    own_pods,
    pod_record,
    received,
    shown_fields,
    task_pod,
)
from airflow_k8s_vault.operators.build import manifest_of
from airflow_k8s_vault.operators.decision import decide
from airflow_k8s_vault.operators.end import GUARDED, EndsPod

# A pod's log is there as long as the pod, however long ago it ended.
_EVER_SECONDS = 10 * 365 * 24 * 3600
# Of the agent's log: its start is about thirty lines.
_AGENT_LINES = 500


class RunsPod(EndsPod):
    """The part of VaultPodOperator that goes from `execute` to the pod's end, in the worker or deferred."""

    @GUARDED
    def execute(self, context: Any) -> Any:
        with pod_record.recorded(self, context), self._run():
            return super().execute(context)

    # What only a running task needs is imported where it runs: a DAG file is parsed far more often.

    @GUARDED
    def trigger_reentry(self, context: Any, event: dict[str, Any]) -> Any:
        from airflow_k8s_vault.operators.pod_manager import GONE
        from airflow_k8s_vault.operators.trigger import VaultPodTrigger

        with pod_record.recorded(self, context), self._run():
            self._require_as_made(context)
            pod = self._reread(event, context)
            if pod is not None and self.delivery is None:
                self._decision = auto_delivery.of_pod(self._decision, pod)
            if pod is not None and self._handover:
                self._handover.resume(pod)
            if problem := VaultPodTrigger.problem_of(event) or (pod and self._problem_of(pod)):
                if pod is not None:
                    self._let_go(pod)
                raise problem
            if pod is None and event["status"] != "success":
                raise PodNotFoundException(f"Pod {event['namespace']}/{event['name']} {GONE}")
            if pod is not None:
                self._tell_agent(pod)
            return super().trigger_reentry(context, event)

    def _require_as_made(self, context: Any) -> None:
        """Raise PolicyError where the task, which goes on in another process, is not as the DAG made it."""
        shown_fields.hide(self)
        frozen_arguments.require_unstarted(self)
        decision = decide(self, context)
        frozen_arguments.require_unchanged(self, self._frozen, decision.template.team)
        self._decision = auto_delivery.decided(self, decision)

    def await_pod_start(self, pod: V1Pod) -> None:
        super().await_pod_start(pod)
        self._tell_agent(self.pod_manager.newest(pod))

    def _tell_agent(self, pod: V1Pod) -> None:
        """Say what the agent delivered, once the main process has started."""
        if not self._is_delivered_by("agent") or not has_begun(pod, self.base_container_name):
            return
        log = self.pod_manager.end_of_log(pod, agent.CONTAINER, _AGENT_LINES, timestamps=True, is_shown=False)
        seconds = received.agent_seconds(log)
        self._tell_received("agent ready" if seconds is None else f"agent ready after {seconds:.1f} s")

    @contextmanager
    def _run(self) -> Iterator[None]:
        """See to it that the pod's login ends with this run, unless the triggerer goes on; sort what it raises."""
        goes_on = False
        try:
            yield
            if self._killed:
                # Its pod may have ended well, and been read, before it was gone: KubernetesPodOperator looks no
                # further then, and the task would succeed.
                raise AirflowException("The task was ended from outside, and its pod with it.")
        except TaskDeferred:
            goes_on = True
            raise
        except (DeliveryUnavailable, ForeignPod) as error:
            # Airflow's page opens at the log's end: thirty lines of where in the waiting it was noticed would push
            # the reason out of sight. A new one: contextlib gives the same exception its old traceback back.
            raise type(error)(*error.args) from error.__cause__
        except K8sVaultError as refusal:
            # With what caused it, but not with itself: Airflow would log the same words twice, 30 lines apart.
            raise AirflowFailException(str(refusal)) from refusal.__cause__
        finally:
            if manager := vars(self).get("pod_manager"):
                manager.close()
            if not goes_on:
                if sys.exception() is not None and (manager := vars(self).get("pod_manager")):
                    # Else what Airflow shows of the exception is folded away.
                    manager.groups.close(self.log)
                self._end_login(keeps_pod=self.on_finish_action != OnFinishAction.DELETE_POD)

    def _write_logs(  # type: ignore[override]
        self, pod: V1Pod, follow: bool = False, since_time: Any = None
    ) -> None:
        """Show a deferred task's log as that of another task: KubernetesPodOperator has a second way for it."""
        self.pod_manager.fetch_container_logs(
            pod,
            self.base_container_name,
            follow=follow,
            since_time=cast(Any, pendulum.parse(since_time)) if isinstance(since_time, str) else since_time,
            post_termination_timeout=_EVER_SECONDS,
            container_name_log_prefix_enabled=self.container_name_log_prefix_enabled,
            log_formatter=self.log_formatter,
        )

    def _reread(self, event: dict[str, Any], context: Any) -> V1Pod | None:
        """Return the pod of a task that was deferred, None where it is gone. Raises ForeignPod."""
        name, namespace, uid = event["name"], event["namespace"], event.get("uid")
        template = self._decision.template
        if namespace != template.team.namespace:
            raise ForeignPod(f"Pod {namespace}/{name} is in no namespace of this task's: it is left alone.")
        pod: V1Pod | None = unless_gone(
            f"read pod {namespace}/{name}", lambda: self.client.read_namespaced_pod(name, namespace)
        )
        if pod is None or pod in self._own_pods:
            return pod
        differences = own_pods.strange(pod, template, task_pod.running_task(context))
        if uid is None:
            # The trigger is of an earlier version: the pod is looked at as one that was found.
            self._checked(self.build_pod_request_obj(context))
            differences += own_pods.different(manifest_of(pod), self._sent)
        elif uid != pod.metadata.uid:
            differences.append("metadata.uid")
        if differences:
            raise ForeignPod(own_pods.left_alone(pod, "has the name of the task's", differences))
        self._own_pods.add(pod)
        return pod

    def defer(self, *, trigger: Any, **kwargs: Any) -> Any:
        if type(trigger) is KubernetesPodTrigger:
            from airflow_k8s_vault.operators.trigger import VaultPodTrigger

            meta = self.pod.metadata  # type: ignore[union-attr]
            request = meta.annotations.get(delivery.REQUEST_ANNOTATION)
            trigger.termination_grace_period = self._grace_seconds()
            trigger = VaultPodTrigger.of(
                trigger,
                uid=meta.uid,
                request=request if self._is_delivered_by("secret") else None,
                login=self._login() if self._is_delivered_by("agent") else None,
            )
        super().defer(trigger=trigger, **kwargs)

    def convert_config_file_to_dict(self) -> None:
        """Keep the kubeconfig, which holds a credential, out of the trigger's row in Airflow's database.

        The triggerer reads KUBECONFIG itself, as the worker does; only a `config_file` of the task is sent.
        """
        self._config_dict = None
        if self.config_file:
            super().convert_config_file_to_dict()  # type: ignore[no-untyped-call]
