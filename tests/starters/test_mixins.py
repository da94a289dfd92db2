"""The clouds' own operators: not to be mixed with VaultPodOperator, and kept out of teams' namespaces."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from airflow.exceptions import AirflowClusterPolicyViolation

from airflow_k8s_vault import VaultPodOperator
from airflow_k8s_vault.errors import ArgumentError
from airflow_k8s_vault.operators import namespace_guard

pytest.importorskip("airflow.providers.amazon", reason="make starters")

from airflow.providers.amazon.aws.operators.eks import EksPodOperator
from airflow.providers.google.cloud.operators.kubernetes_engine import (
    GKEStartJobOperator,
    GKEStartKueueJobOperator,
    GKEStartPodOperator,
)

ROOT = Path(__file__).parents[2]
EKS = {"cluster_name": "prod", "region": "eu-west-1"}
GKE = {"cluster_name": "prod", "location": "europe-west1", "project_id": "project"}
STARTERS: list[tuple[Any, dict[str, str]]] = [
    (EksPodOperator, EKS),
    (GKEStartPodOperator, GKE),
    (GKEStartJobOperator, GKE),
    (GKEStartKueueJobOperator, {**GKE, "queue_name": "q"}),
]


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = shutil.copytree(ROOT / "pod_templates", tmp_path / "pod_templates")
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__TEMPLATES_DIR", str(folder))
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__GUARD_TEAM_NAMESPACES", "True")


@pytest.mark.parametrize(("starter", "where"), STARTERS[:2])
def test_a_task_that_mixes_one_is_refused_at_import(starter: Any, where: dict[str, str]) -> None:
    mixed: Any = type("Mixed", (VaultPodOperator, starter), {})

    with pytest.raises(ArgumentError, match="which finds the cluster by itself"):
        mixed(task_id="load", pod_template="payments/etl", **where)


@pytest.mark.parametrize(("starter", "where"), STARTERS)
def test_one_that_aims_at_a_teams_namespace_is_refused_where_the_guard_is_on(
    starter: Any, where: dict[str, str]
) -> None:
    given = {"task_id": "load", "name": "load", "image": "postgres:18", "namespace": "team-payments", **where}
    if starter is EksPodOperator:
        given["pod_name"] = given.pop("name")
    task = starter(**given)

    with pytest.raises(AirflowClusterPolicyViolation, match="namespace 'team-payments' of team 'payments'"):
        namespace_guard.task_policy(task)
