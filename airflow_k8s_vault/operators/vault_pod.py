"""VaultPodOperator: KubernetesPodOperator whose pod is named by a template and gets its secrets from Vault."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
from airflow.providers.cncf.kubernetes.triggers.pod import KubernetesPodTrigger
from airflow.providers.cncf.kubernetes.utils.pod_manager import OnFinishAction, OnKillAction
from airflow.sdk.exceptions import AirflowException, AirflowFailException, TaskDeferred
from kubernetes.client import ApiClient, ApiException, Configuration, V1Pod

from airflow_k8s_vault import config, delivery, templates
from airflow_k8s_vault.delivery import agent, failure, file_key_ref, lifetime, secret
from airflow_k8s_vault.delivery.login import VaultLogin
from airflow_k8s_vault.errors import DeliveryUnavailable, K8sVaultError
from airflow_k8s_vault.lookups.located import located
from airflow_k8s_vault.operators import import_check, task_pod, xcom_sidecar
from airflow_k8s_vault.operators.pod_manager import Problem, WatchfulPodManager
from airflow_k8s_vault.operators.trigger import VaultPodTrigger
from airflow_k8s_vault.templates import merge
from airflow_k8s_vault.vault_secret import VaultSecret

_POD_ARGUMENTS = frozenset(inspect.signature(KubernetesPodOperator.__init__).parameters) - {"self", "kwargs"}


class VaultPodOperator(KubernetesPodOperator):
    """Run a task in a pod that is defined by a named template and gets secrets of Vault that no other pod gets.

    pod_template: "<team>/<template>", found in `[k8s_vault] templates_dir` (templated: no).
    team: the team, where pod_template names only the template.
    template_vars: values of the variables that the template declares (templated).
    vault_secrets: what the pod gets; only paths and key names are ever seen by Airflow.
    delivery: how the pod gets it, "agent" or "secret" (docs/security.md); None is [k8s_vault] default_delivery.

    Every other argument is KubernetesPodOperator's, as far as the team's `overridable` leaves it open. Three
    defaults differ: the start is checked each second (KubernetesPodOperator: 5), a failed task does not log the
    whole pod, and the XCom sidecar is made to pass the Pod Security Standard `restricted`.

    Raises at import, with all mistakes at once: TeamError, TemplateError, SecretSpecError, PolicyError,
    ConfigError. Fails the task for good where Vault or the cluster refuses, and so that Airflow retries it where
    Vault cannot be reached.

    >>> VaultPodOperator(
    ...     task_id="load",
    ...     pod_template="payments/etl",
    ...     vault_secrets=[VaultSecret("secret/payments/warehouse", env={"PGPASSWORD": "password"})],
    ...     cmds=["psql", "-c", "select 1"],
    ... )
    <Task(VaultPodOperator): load>
    """

    # Arguments that a subclass of this package sets itself: nothing for the team's locks.
    set_by_package: frozenset[str] = frozenset()

    template_fields: Sequence[str] = (*KubernetesPodOperator.template_fields, "template_vars")

    def __init__(
        self,
        *,
        pod_template: str,
        team: str | None = None,
        template_vars: dict[str, Any] | None = None,
        vault_secrets: Sequence[VaultSecret] | None = None,
        delivery: str | None = None,
        startup_check_interval_seconds: int = 1,
        log_pod_spec_on_failure: bool = False,
        **kwargs: Any,
    ) -> None:
        defaults = kwargs.get("default_args") or {}
        given = {**defaults, **kwargs}
        asked = [name for name in self._lockable() & given.keys() if given[name] is not None]
        asked += ["log_pod_spec_on_failure"] if log_pod_spec_on_failure else []
        super().__init__(
            startup_check_interval_seconds=startup_check_interval_seconds,
            log_pod_spec_on_failure=log_pod_spec_on_failure,
            **kwargs,
        )
        import_check.shapes(
            self.task_id, {**given, "template_vars": template_vars, "vault_secrets": vault_secrets}
        )
        self.pod_template, self.team = pod_template, team
        self.template_vars = dict(template_vars or {})
        self.vault_secrets = list(vault_secrets or [])
        self.delivery = delivery
        self._asked = asked
        with import_check.AllAtOnce() as said:
            base = self.base_container_name
            said(import_check.secrets, self.task_id, self.vault_secrets, delivery, base, self.env_vars)
            said(import_check.credentials, self.task_id, given)
            if template := said(self._template):
                rendered = said(task_pod.check_variables, template, self.template_vars)
                said(import_check.containers, self.task_id, self.vault_secrets, rendered, base)
                well_formed = import_check.well_formed(self.vault_secrets)
                places = said(located, well_formed, template.team.name) or []
                said(import_check.limits, self.task_id, template.team, asked, places)
        self._settled = import_check.settled(self, self._template().team)

    @classmethod
    def _lockable(cls) -> frozenset[str]:
        return _POD_ARGUMENTS - cls.set_by_package

    def _template(self) -> templates.PodTemplate:
        return task_pod.find_template(self.pod_template, self.team)

    def _login(self) -> VaultLogin:
        return VaultLogin.of_role(self._template().team.vault_role)

    def _located(self) -> list[VaultSecret]:
        return located(self.vault_secrets, self._template().team.name)

    def _is_delivered_by(self, name: str) -> bool:
        return bool(self.vault_secrets) and (self.delivery or config.get("default_delivery")) == name

    # The pod: template and secrets first, then KubernetesPodOperator's own way, then the check.

    def build_pod_request_obj(self, context: Any = None, *, dry_run: bool = False) -> V1Pod:
        template = self._template()
        import_check.require_settled(self, self._settled, template.team)
        task_pod.require_own_team(context, template.team)
        # Checked again, and a copy: what was checked when the task was made may have been changed since.
        self.vault_secrets = [replace(s) if type(s) is VaultSecret else s for s in self.vault_secrets]
        import_check.secrets(self.task_id, self.vault_secrets, self.delivery, self.base_container_name)
        import_check.limits(self.task_id, template.team, (), self._located())
        rendered = task_pod.render(template, self.template_vars, context, self.execution_timeout)
        self._planned = task_pod.TaskPod(template, rendered, self._attached(rendered), self.base_container_name)
        if self.xcom_sidecar_container_security_context is None:
            self.xcom_sidecar_container_security_context = xcom_sidecar.restricted()
        # Set after Airflow rendered its fields: what a template holds is never rendered twice.
        self.pod_template_dict = self._planned.manifest()
        # Set by us: a second build, as after a dry run, finds them so.
        ours = ("pod_template_dict", "xcom_sidecar_container_security_context")
        self._settled |= {name: getattr(self, name) for name in ours}
        pod = super().build_pod_request_obj(context, dry_run=dry_run)
        # KubernetesPodOperator appends the DAG's variables to the template's: the DAG's are meant.
        manifest = merge.once(_serializer().sanitize_for_serialization(pod))
        return PodGenerator.deserialize_model_dict(manifest)

    def _attached(self, rendered: dict[str, Any]) -> dict[str, Any]:
        if self._is_delivered_by("secret"):
            return secret.attach(rendered, self._located(), self.base_container_name)
        if self._is_delivered_by("agent"):
            return agent.attach(rendered, self._located(), self._login(), self.base_container_name)
        return rendered

    def get_or_create_pod(self, pod_request_obj: V1Pod, context: Any) -> V1Pod:
        """Check the final pod, which mutation hooks and callbacks have seen by now, and create it."""
        pod_request_obj = self._checked(pod_request_obj)
        if self._is_delivered_by("agent") and agent.needs_file_key_ref(self.vault_secrets):
            file_key_ref.require(self.client.api_client)
        try:
            pod = super().get_or_create_pod(pod_request_obj, context)
            if self._handover and not self.pod_manager.created and secret.is_gated(pod):
                # Of a worker that died meanwhile. Not finished but replaced: only that worker knew how far it had
                # come, and a second login for one pod would be one that nobody expects.
                self._new_handover(pod_request_obj).discard(pod)
                pod = super().get_or_create_pod(pod_request_obj, context)
        except ApiException as refusal:
            raise file_key_ref.explained(refusal) from refusal
        if self._handover and self.pod_manager.created:
            self.pod = self.pod_manager.created  # on_kill deletes it from now on
            self._handover.deliver(self.pod)
        elif self._handover:
            self._handover.resume(pod)
        return pod

    def _checked(self, pod: V1Pod) -> V1Pod:
        """Return the pod as its manifest has it: what is checked is what is sent, whatever its objects do."""
        manifest = json.loads(json.dumps(_serializer().sanitize_for_serialization(pod)))
        context = self.xcom_sidecar_container_security_context
        sidecar = xcom_sidecar.sidecar(self.hook, context) if self.do_xcom_push else None
        self._planned.check(manifest, _serializer().sanitize_for_serialization(sidecar), self._asked)
        return PodGenerator.deserialize_model_dict(manifest)

    def process_pod_deletion(self, pod: V1Pod, *, reraise: bool = True) -> bool:
        """End the login of an earlier try's pod, which ended while no worker was there, before it goes."""
        if self._handover and pod is not None and not self._handover.is_of(pod):
            earlier = self._new_handover(pod)
            earlier.resume(pod)
            earlier.end(keeps_pod=False)
        return bool(super().process_pod_deletion(pod, reraise=reraise))

    @cached_property
    def _handover(self) -> Any:
        """The worker's part of the delivery; None where the pod logs in itself."""
        return self._new_handover(self.pod_request_obj) if self._is_delivered_by("secret") else None

    def _new_handover(self, pod: V1Pod | None) -> Any:
        waits_seconds = self.schedule_timeout_seconds + self.startup_timeout_seconds
        lives = lifetime.seconds(pod, self.execution_timeout, waits_seconds)
        return delivery.handover().Handover(
            self.client, self._login(), self._located(), self.base_container_name, lives
        )

    # The run: KubernetesPodOperator's, but an agent that gives up ends the task at once, in Vault's words.

    def execute(self, context: Any) -> Any:
        with self._run():
            return super().execute(context)

    def trigger_reentry(self, context: Any, event: dict[str, Any]) -> Any:
        with self._run():
            pod = self._pod_of(event)
            if pod is not None and self._handover:
                self._handover.resume(pod)
            if pod is not None and (problem := self._problem_of(pod)):
                self.pod_manager.delete_pod(pod)
                raise problem
            return super().trigger_reentry(context, event)

    @contextmanager
    def _run(self) -> Iterator[None]:
        """See to it that the pod's login ends with this run, unless the triggerer goes on; sort what it raises."""
        goes_on = False
        try:
            yield
        except TaskDeferred:
            goes_on = True
            raise
        except DeliveryUnavailable:
            raise
        except K8sVaultError as refusal:
            # With what caused it, but not with itself: Airflow would log the same words twice, 30 lines apart.
            raise AirflowFailException(str(refusal)) from refusal.__cause__
        finally:
            if not goes_on:
                self._end_login(keeps_pod=self.on_finish_action != OnFinishAction.DELETE_POD)

    def on_kill(self) -> None:
        super().on_kill()
        if self.on_kill_action != OnKillAction.KEEP_POD:
            self._end_login(keeps_pod=False)

    def _end_login(self, keeps_pod: bool) -> None:
        # Not one that is made only now: then there is no login, and making it may be what failed.
        if handover := vars(self).get("_handover"):
            handover.end(keeps_pod)

    def _pod_of(self, event: dict[str, Any]) -> V1Pod | None:
        try:
            return self.hook.get_pod(event["name"], event["namespace"])
        except ApiException as gone:
            if gone.status != 404:
                raise
            return None

    def _problem_of(self, pod: V1Pod) -> Problem | None:
        if not self._is_delivered_by("agent"):
            return None
        return failure.of_delivery(pod, self._login(), self.base_container_name)

    @cached_property
    def pod_manager(self) -> WatchfulPodManager:
        return WatchfulPodManager(self._problem_of, kube_client=self.client, callbacks=self.callbacks)

    def cleanup(
        self, pod: V1Pod, remote_pod: V1Pod, xcom_result: Any = None, context: Any = None, **kwargs: Any
    ) -> None:
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

    def defer(self, *, trigger: Any, **kwargs: Any) -> Any:
        if type(trigger) is KubernetesPodTrigger:
            request = self.pod.metadata.annotations.get(delivery.REQUEST_ANNOTATION) if self.pod else None
            trigger = VaultPodTrigger.of(trigger, request if self._is_delivered_by("secret") else None)
        super().defer(trigger=trigger, **kwargs)

    def convert_config_file_to_dict(self) -> None:
        """Keep the kubeconfig, which holds a credential, out of the trigger's row in Airflow's database.

        The triggerer reads KUBECONFIG itself, as the worker does; only a `config_file` of the task is sent.
        """
        self._config_dict = None
        if self.config_file:
            super().convert_config_file_to_dict()  # type: ignore[no-untyped-call]


@lru_cache(maxsize=1)
def _serializer() -> ApiClient:
    """A client that only turns models into manifests: it opens no connection."""
    return ApiClient(Configuration())
