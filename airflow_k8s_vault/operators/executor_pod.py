"""The same pod for Airflow's own workers: `executor_config` of tasks that run under KubernetesExecutor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
from kubernetes.client import V1Pod

from airflow_k8s_vault.delivery import agent
from airflow_k8s_vault.delivery.login import VaultLogin
from airflow_k8s_vault.lookups import located
from airflow_k8s_vault.operators import import_check, task_pod
from airflow_k8s_vault.vault_secret import VaultSecret


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
    account have to be ones in which workers may run. Raises what VaultPodOperator raises at import.

    >>> pod_override(pod_template="payments/python").spec.containers[0].name
    'base'
    """
    template = task_pod.find_template(pod_template, team)
    name = f"pod_override of {template.name}"
    import_check.secrets(name, vault_secrets, None, "base")
    found = located(vault_secrets, template.team.name)
    import_check.limits(name, template.team, (), found)
    manifest = task_pod.render(template, template_vars or {}, None)
    if vault_secrets:
        manifest = agent.attach(manifest, found, VaultLogin.of_role(template.team.vault_role), "base")
    for container in manifest["spec"]["containers"]:
        container.pop("command", None)
        container.pop("args", None)
    pod = PodGenerator.deserialize_model_dict(manifest)
    # For the commands that list what DAGs declare: the manifest itself names no VaultSecret.
    pod.vault_request = {"pod_template": pod_template, "team": team, "vault_secrets": list(vault_secrets)}
    return pod
