"""Whose pods a task may have, and who may run what in a team's namespace."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_k8s_vault import VaultPodOperator, VaultSecret
from airflow_k8s_vault.errors import PolicyError, SecretSpecError, TemplateError
from airflow_k8s_vault.operators import namespace_guard
from airflow_k8s_vault.operators.executor_pod import pod_override

ROOT = Path(__file__).parents[2]
PASSWORD = VaultSecret("secret/payments/warehouse", env={"PGPASSWORD": "password"})


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__TEMPLATES_DIR", str(ROOT / "pod_templates"))
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__VAULT_ADDR", "https://vault:8200")


def run_of(team: str | None) -> dict[str, Any]:
    """Return the part of a task's context that names its team, as Airflow's task runner gives it."""
    ti = SimpleNamespace(dag_id="d", task_id="load", try_number=1, map_index=-1)
    dag = SimpleNamespace(parent_dag=None)
    return {"dag_run": SimpleNamespace(team_name=team), "ti": ti, "run_id": "r", "dag": dag}


def test_the_team_may_stand_beside_the_template() -> None:
    assert VaultPodOperator(task_id="load", pod_template="etl", team="payments").team == "payments"

    with pytest.raises(TemplateError, match="of team 'payments', and the task's team is 'data-science'"):
        VaultPodOperator(task_id="load", pod_template="payments/etl", team="data-science")


@pytest.mark.parametrize("team", ["data-science", None])
def test_with_multi_team_a_run_gets_no_pod_of_another_team(
    monkeypatch: pytest.MonkeyPatch, team: str | None
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", "True")
    task = VaultPodOperator(task_id="load", pod_template="payments/etl")

    with pytest.raises(PolicyError, match="names a pod template of team 'payments'"):
        task.build_pod_request_obj(run_of(team), dry_run=True)


@pytest.mark.parametrize(("multi_team", "team"), [("True", "payments"), ("False", "data-science")])
def test_a_run_gets_the_pods_of_its_own_team(monkeypatch: pytest.MonkeyPatch, multi_team: str, team: str) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", multi_team)
    task = VaultPodOperator(task_id="load", pod_template="payments/etl")

    assert task.build_pod_request_obj(run_of(team), dry_run=True).metadata.namespace == "team-payments"


def test_airflow_loads_the_guard_as_a_cluster_policy() -> None:
    from airflow import settings

    assert namespace_guard in settings.get_policy_plugin_manager().get_plugins()


def test_a_worker_of_kubernetes_executor_gets_the_same_pod() -> None:
    pod = pod_override(pod_template="payments/python", vault_secrets=[PASSWORD])

    base = next(container for container in pod.spec.containers if container.name == "base")
    assert base.image == "python:3.12-slim"
    assert base.command is None
    assert [c.name for c in pod.spec.init_containers] == ["vault-agent"]
    assert "PGPASSWORD" in [variable.name for variable in base.env]


def test_a_pod_override_is_held_to_the_teams_limits_too() -> None:
    with pytest.raises(PolicyError, match="secret/risk/x"):
        pod_override(pod_template="payments/python", vault_secrets=[VaultSecret("secret/risk/x", file="x")])
    with pytest.raises(SecretSpecError):
        pod_override(pod_template="payments/python", vault_secrets=[VaultSecret("x", file="x")])
