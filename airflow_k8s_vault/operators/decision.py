"""What one build of a pod goes by: decided once, from what the task says then, and passed on as one value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from airflow_k8s_vault import config
from airflow_k8s_vault.delivery import VaultLogin
from airflow_k8s_vault.lookups import resolve
from airflow_k8s_vault.operators import import_check, plain, task_pod
from airflow_k8s_vault.operators.task_request import TaskRequest
from airflow_k8s_vault.teams import dag_identity
from airflow_k8s_vault.templates import PodTemplate
from airflow_k8s_vault.vault_secret import VaultSecret

_READ = ("pod_template", "team", "vault_secrets", "delivery")


@dataclass(frozen=True)
class Decision:
    """The template, with its team and role; the secrets, with their paths resolved; how they are delivered.

    delivery: "agent" or "secret", or "auto" until the cluster has been asked; None without secrets.
    execution_timeout: exactly a timedelta, or None.
    """

    template: PodTemplate
    secrets: Sequence[VaultSecret]
    delivery: str | None
    execution_timeout: timedelta | None

    @property
    def login(self) -> VaultLogin:
        """Where the team's pods log in. Raises ConfigError where the settings are not complete."""
        return VaultLogin.of_team(self.template.team)


def decide(task: Any, context: Any = None) -> Decision:
    """Return the decision for a VaultPodOperator as it is now: rendered by Airflow, perhaps changed by a hook.

    context: Airflow's of the running task; None outside of a run.
    Raises what the check at import raises for its secrets: what was checked then may have been changed since.
    """
    request = TaskRequest.of(task.task_id, {name: getattr(task, name, None) for name in _READ}, frozenset())
    with import_check.ErrorCollector() as errors:
        errors(import_check.shapes, request)
        errors(import_check.secrets, request)
    template = _for_dag(task_pod.find_template(str(request.pod_template), request.team), _dag_id(task, context))
    resolved = resolve(request.vault_secrets, template.team.name)
    import_check.limits(request, template.team, resolved)
    delivery = (request.delivery or config.get("default_delivery")) if resolved else None
    return Decision(template, resolved, delivery, plain.span(task.execution_timeout))


def _dag_id(task: Any, context: Any) -> str:
    """Return the id under which Airflow's server knows the DAG, as far as a run says it."""
    # As exactly str: an id that is written otherwise than it is would be another DAG's.
    return plain.text(task_pod.running_task(context)["dag_id"] or task.dag_id) or ""


def _for_dag(template: PodTemplate, dag_id: str) -> PodTemplate:
    """Return the template as this DAG's pods have it: with `identity: dag`, an account and role of its own."""
    team = template.team
    if team.walls.identity != "dag":
        return template
    name = dag_identity(team.service_account, dag_id)
    return replace(template, team=replace(team, service_account=name, vault_role=name))
