"""The pod of a task: template and secrets first, then KubernetesPodOperator's own way, then the check."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
from kubernetes.client import ApiClient, Configuration, V1Pod

from airflow_k8s_vault import config, templates
from airflow_k8s_vault.delivery import agent, secret
from airflow_k8s_vault.delivery.login import VaultLogin
from airflow_k8s_vault.lookups import located
from airflow_k8s_vault.operators import import_check, mutation_hook, task_pod, xcom_sidecar
from airflow_k8s_vault.templates import merge
from airflow_k8s_vault.vault_secret import VaultSecret


class BuildsPod(KubernetesPodOperator):
    """The part of VaultPodOperator that makes the request for a pod, and checks it before it is sent."""

    # Set where the task is made (vault_pod).
    if TYPE_CHECKING:
        pod_template: str
        team: str | None
        template_vars: dict[str, Any]
        vault_secrets: list[VaultSecret]
        delivery: str | None
        _asked: list[str]
        _settled: dict[str, object]

    def _template(self) -> templates.PodTemplate:
        return task_pod.find_template(self.pod_template, self.team)

    def _login(self) -> VaultLogin:
        return VaultLogin.of_role(self._template().team.vault_role)

    def _located(self) -> list[VaultSecret]:
        return located(self.vault_secrets, self._template().team.name)

    def _is_delivered_by(self, name: str) -> bool:
        return bool(self.vault_secrets) and (self.delivery or config.get("default_delivery")) == name

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
        with mutation_hook.watched() as hooked:
            pod = super().build_pod_request_obj(context, dry_run=dry_run)
        self._planned = self._planned.after_hook(hooked)
        # KubernetesPodOperator appends the DAG's variables to the template's: the DAG's are meant.
        manifest = merge.once(_serializer().sanitize_for_serialization(pod))
        return PodGenerator.deserialize_model_dict(manifest)

    def _attached(self, rendered: dict[str, Any]) -> dict[str, Any]:
        if self._is_delivered_by("secret"):
            return secret.attach(rendered, self._located(), self.base_container_name)
        if self._is_delivered_by("agent"):
            return agent.attach(rendered, self._located(), self._login(), self.base_container_name)
        return rendered

    def _checked(self, pod: V1Pod) -> V1Pod:
        """Return the pod as its manifest has it: what is checked is what is sent, whatever its objects do."""
        manifest = json.loads(json.dumps(_serializer().sanitize_for_serialization(pod)))
        context = self.xcom_sidecar_container_security_context
        sidecar = xcom_sidecar.sidecar(self.hook, context) if self.do_xcom_push else None
        self._planned.check(manifest, _serializer().sanitize_for_serialization(sidecar), self._asked)
        return PodGenerator.deserialize_model_dict(manifest)


@lru_cache(maxsize=1)
def _serializer() -> ApiClient:
    """A client that only turns models into manifests: it opens no connection."""
    return ApiClient(Configuration())
