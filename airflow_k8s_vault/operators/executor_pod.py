"""The same pod for Airflow's own workers: `executor_config` of tasks that run under KubernetesExecutor."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
from kubernetes.client import ApiClient, Configuration, V1Pod

from airflow_k8s_vault import policy
from airflow_k8s_vault.delivery import VaultLogin, agent
from airflow_k8s_vault.errors import PolicyError, TemplateError
from airflow_k8s_vault.lookups import resolve
from airflow_k8s_vault.operators import import_check, task_pod
from airflow_k8s_vault.operators.task_request import TaskRequest
from airflow_k8s_vault.templates import PodTemplate
from airflow_k8s_vault.vault_secret import VaultSecret

# As JSON, for the guard of the teams' namespaces: other pods there are none of a template.
_MADE: set[str] = set()


def pod_override(
    *,
    pod_template: str,
    team: str | None = None,
    template_vars: dict[str, Any] | None = None,
    vault_secrets: Sequence[VaultSecret] = (),
) -> V1Pod:
    """Return the `pod_override` of a task's `executor_config`: a team's template, with its secrets wired in.

    KubernetesExecutor lays it over its own worker pod: image, resources, placement and secrets are the template's;
    command and arguments stay Airflow's, so the template's image has to hold Airflow, and namespace and service
    account have to be ones in which workers may run. The same arguments give the same bytes: a DAG has no new
    version for it. Raises what VaultPodOperator raises at import, and what it raises of its final pod. With
    Airflow's multi-team on, the executor fails a task whose DAG is not of the template's team (namespace_guard).

    >>> pod_override(pod_template="payments/python").spec.containers[0].name
    'base'
    """
    given: dict[str, Any] = {"pod_template": pod_template, "team": team, "template_vars": template_vars}
    given |= {"vault_secrets": vault_secrets, "delivery": "agent"}
    request = TaskRequest.of(f"pod_override of {pod_template}", given, frozenset())
    with import_check.ErrorCollector() as errors:
        template = import_check.check(request, errors)
    return _built(request, cast(PodTemplate, template))


def is_made_here(pod: Any) -> bool:
    """Whether `pod_override` returned a pod of this content in this process."""
    return _written(pod) in _MADE


def _written(pod: Any) -> str:
    return json.dumps(ApiClient(Configuration()).sanitize_for_serialization(pod), sort_keys=True)


def _require_identity_of_team(template: PodTemplate) -> None:
    team = template.team
    if team.walls.identity == "dag":
        raise PolicyError(
            f"pod_override cannot give team '{team.name}' secrets: with identity: dag ({team.where('identity')}) "
            "each DAG logs in as itself, and this pod is of no DAG. Use VaultPodOperator, or a team for workers."
        )


def _built(request: TaskRequest, template: PodTemplate) -> V1Pod:
    if task_pod.check_variables(template, request.template_vars) is None:
        raise TemplateError(
            f"The template_vars of {request.task_id} hold Airflow's Jinja, which nobody renders here: the "
            "scheduler makes this pod before the task runs. Give the values themselves."
        )
    rendered = task_pod.render(template, request.template_vars, None)
    secrets = resolve(request.vault_secrets, template.team.name)
    manifest = rendered
    if secrets:
        _require_identity_of_team(template)
        login = VaultLogin.of_team(template.team)
        manifest = agent.attach(rendered, secrets, login, task_pod.BASE_CONTAINER)
    policy.check(manifest, template.team, policy.Expected(rendered, manifest, template.where(None)))
    for container in manifest["spec"]["containers"]:
        container.pop("command", None)
        container.pop("args", None)
    pod = PodGenerator.deserialize_model_dict(manifest)
    _MADE.add(_written(pod))
    # For the commands that list what DAGs declare: the manifest itself names no VaultSecret.
    pod.vault_request = {
        "pod_template": request.pod_template,
        "team": request.team,
        "vault_secrets": list(request.vault_secrets),
    }
    return pod
