"""Which delivery `default_delivery = auto` comes to: by what the cluster can do, or by what the pod shows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kubernetes.client import V1Pod

from airflow_k8s_vault import config
from airflow_k8s_vault.delivery import agent, secret, version_without_file_key_ref
from airflow_k8s_vault.operators.decision import Decision


def decided(task: Any, decision: Decision, dry_run: bool = False) -> Decision:
    """Return the decision with "agent" or "secret" for "auto", any other as it is.

    Asks the cluster for its version where the task has variables, the team's file leaves both deliveries open, and
    this is no dry run; says in the task's log what was taken. Raises DeliveryUnavailable where there is no answer.
    """
    if decision.delivery != config.AUTO:
        return decision
    allowed = decision.template.team.walls.deliveries
    if len(allowed) == 1:
        return replace(decision, delivery=allowed[0])
    if dry_run or not agent.needs_file_key_ref(decision.secrets):
        return replace(decision, delivery="agent")
    version = version_without_file_key_ref(task.client.api_client)
    chosen = "secret" if version else "agent"
    why = f"the cluster is {version}, older than 1.35" if version else "the cluster takes variables from the agent"
    task.log.info("Secrets are delivered by %s: [k8s_vault] default_delivery is auto, and %s.", chosen, why)
    return replace(decision, delivery=chosen)


def of_pod(decision: Decision, pod: V1Pod) -> Decision:
    """Return the decision by which this pod of the task was made, whatever the cluster has become since."""
    if decision.delivery is None or config.get("default_delivery") != config.AUTO:
        return decision
    return replace(decision, delivery="secret" if secret.LABEL in (pod.metadata.labels or {}) else "agent")
