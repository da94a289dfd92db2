"""A team with `identity: dag`: each DAG's pods run as, and log in as, that DAG alone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_k8s_vault import VaultPodOperator, VaultSecret, pod_override
from airflow_k8s_vault.errors import PolicyError
from airflow_k8s_vault.teams import dag_identity

ROOT = Path(__file__).parents[2]
SECRET = VaultSecret("secret/payments/partner", file="partner.key", key="api_key")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "pod_templates"
    shutil.copytree(ROOT / "pod_templates", folder)
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__TEMPLATES_DIR", str(folder))
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__VAULT_ADDR", "https://vault:8200")
    return folder


def built(dag_id: str) -> tuple[VaultPodOperator, Any]:
    with DAG(dag_id, schedule=None):
        task = VaultPodOperator(
            task_id="load", pod_template="payments/python", vault_secrets=[SECRET], cmds=["true"]
        )
    return task, task.build_pod_request_obj(None, dry_run=True)


def test_the_pod_runs_and_logs_in_as_its_dag(folder: Path) -> None:
    team = folder / "payments" / "team.yaml"
    team.write_text(f"{team.read_text()}identity: dag\n")
    (one, pod), (_, other) = built("load.daily"), built("load.hourly")

    name = dag_identity("airflow-payments", "load.daily")
    assert name == pod.spec.service_account_name
    assert name == one._login().role
    assert name != other.spec.service_account_name


def test_a_pod_of_kubernetes_executor_is_of_no_dag_and_gets_no_secrets(folder: Path) -> None:
    team = folder / "payments" / "team.yaml"
    before = len(team.read_text().splitlines())
    team.write_text(f"{team.read_text()}identity: dag\n")

    pod_override(pod_template="payments/python")
    with pytest.raises(
        PolicyError, match=rf"identity: dag \(.*team.yaml, line {before + 1}\) each DAG logs in as itself"
    ):
        pod_override(pod_template="payments/python", vault_secrets=[SECRET])


def test_without_it_the_pod_is_the_teams(folder: Path) -> None:
    task, pod = built("load.daily")

    assert "airflow-payments" == pod.spec.service_account_name
    assert "payments" == task._login().role
