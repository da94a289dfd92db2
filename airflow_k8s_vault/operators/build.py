"""The pod of a task: template and secrets first, then KubernetesPodOperator's own way, then the check."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from airflow.providers.cncf.kubernetes.kubernetes_helper_functions import create_unique_id
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
from kubernetes.client import ApiClient, Configuration, V1Pod

from airflow_k8s_vault.delivery import (
    LEAST_GRACE_SECONDS,
    REQUEST_ANNOTATION,
    VaultLogin,
    agent,
    require_expanded,
    secret,
)
from airflow_k8s_vault.errors import PolicyError
from airflow_k8s_vault.operators import (
    airflow_secrets,
    auto_delivery,
    frozen_arguments,
    mutation_hook,
    shown_fields,
    task_pod,
    xcom_sidecar,
)
from airflow_k8s_vault.operators.decision import Decision, decide
from airflow_k8s_vault.templates import without_repeats
from airflow_k8s_vault.vault_secret import VaultSecret

_SET_BY_A_BUILD = ("pod_template_dict", "xcom_sidecar_container_security_context")


class BuildsPod(KubernetesPodOperator):
    """The part of VaultPodOperator that makes the request for a pod, and checks it before it is sent."""

    # Set where the task is made (vault_pod).
    if TYPE_CHECKING:
        pod_template: str
        team: str | None
        template_vars: dict[str, Any]
        vault_secrets: list[VaultSecret]
        delivery: str | None
        # Names of the variables that are Jinja in the DAG.
        _templated: frozenset[str]
        _set_by_dag: Sequence[str]
        _frozen: dict[str, object]
        # All text of the arguments as the DAG has them, before Airflow renders it.
        _written: str
        # The manifest that passed the final check.
        _sent: dict[str, Any]

    @cached_property
    def _decision(self) -> Decision:
        """What this run goes by: made anew by each build, and once where a resumed task builds nothing."""
        return auto_delivery.decided(self, decide(self))

    def _login(self) -> VaultLogin:
        return self._decision.login

    def _resolved_secrets(self) -> Sequence[VaultSecret]:
        return self._decision.secrets

    def _is_delivered_by(self, name: str) -> bool:
        return self._decision.delivery == name

    def build_pod_request_obj(self, context: Any = None, *, dry_run: bool = False) -> V1Pod:
        shown_fields.hide(self)
        self._decision = decision = auto_delivery.decided(self, decide(self, context), dry_run)
        template = decision.template
        frozen_arguments.require_unchanged(self, self._frozen, template.team)
        task_pod.require_own_team(context, template.team)
        values = template.typed(self.template_vars, self._templated)
        rendered = task_pod.render(template, values, context, decision.execution_timeout)
        self._planned = task_pod.TaskPod(template, rendered, self._attached(rendered), task_pod.BASE_CONTAINER)
        user = xcom_sidecar.user(rendered, task_pod.BASE_CONTAINER, template.team.agent)
        self.xcom_sidecar_container_security_context = xcom_sidecar.restricted_context(user)
        # Set after Airflow rendered its fields: what a template holds is never rendered twice.
        self.pod_template_dict = self._planned.manifest()
        # From here on they are the package's: a second build, as after a dry run, sets them anew.
        self._frozen = {name: value for name, value in self._frozen.items() if name not in _SET_BY_A_BUILD}
        with mutation_hook.watched_mutations() as hooked:
            pod = super().build_pod_request_obj(context, dry_run=dry_run)
        self._planned = self._planned.after_hook(hooked)
        named = [*task_pod.running_task(context).values(), *self._get_ti_pod_labels(context).values()]
        self._run_names = "\n".join([*map(str, named), create_unique_id(task_id=self.task_id, unique=False)])
        # KubernetesPodOperator appends the DAG's variables to the template's: the DAG's are meant.
        manifest = without_repeats(_serializer().sanitize_for_serialization(pod))
        return PodGenerator.deserialize_model_dict(manifest)

    def _attached(self, rendered: dict[str, Any]) -> dict[str, Any]:
        decision = self._decision
        if decision.delivery == "secret":
            # Outside of a run there is no request, and no Secret that is named after it.
            rendered["metadata"]["annotations"].setdefault(REQUEST_ANNOTATION, "none")
            return secret.attach(rendered, decision.secrets, task_pod.BASE_CONTAINER)
        if decision.delivery == "agent":
            return agent.attach(rendered, decision.secrets, decision.login, task_pod.BASE_CONTAINER)
        return rendered

    def _checked(self, pod: V1Pod) -> V1Pod:
        """Return the pod as its manifest has it: what is checked is what is sent, whatever its objects do."""
        manifest = manifest_of(pod)
        require_expanded(manifest)
        context = self.xcom_sidecar_container_security_context
        sidecar = xcom_sidecar.xcom_container(self.hook, context) if self.do_xcom_push else None
        if sidecar is not None:
            xcom_sidecar.require_image(sidecar, self._decision.template.team)
        xcom = _serializer().sanitize_for_serialization(sidecar)
        self._planned.check(manifest, xcom, self._set_by_dag)
        by_platform = self._planned.by_platform(xcom)
        airflow_secrets.require_none(
            self.task_id, manifest, self._decision.template, by_platform, self._run_names, self._written_text()
        )
        self._require_grace(manifest)
        self._sent = manifest
        return PodGenerator.deserialize_model_dict(manifest)

    def _written_text(self) -> str:
        """Return all that the DAG's file says of the task."""
        return self._written

    def _require_grace(self, manifest: dict[str, Any]) -> None:
        least, seconds = LEAST_GRACE_SECONDS, manifest["spec"].get("terminationGracePeriodSeconds")
        if self._is_delivered_by("agent") and seconds is not None and seconds < least:
            raise PolicyError(
                f"The pod of task '{self.task_id}' has {seconds} s to end (termination_grace_period, or the "
                f"template's terminationGracePeriodSeconds): the Vault agent needs {least} s to end its login."
            )


def manifest_of(pod: V1Pod) -> dict[str, Any]:
    """Return the v1 Pod manifest, of plain text and numbers, of the client's object."""
    manifest: dict[str, Any] = json.loads(json.dumps(_serializer().sanitize_for_serialization(pod)))
    return manifest


@lru_cache(maxsize=1)
def _serializer() -> ApiClient:
    """A client that only turns models into manifests: it opens no connection."""
    return ApiClient(Configuration())
