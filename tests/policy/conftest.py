"""A pod as the operator builds it for a team that opens everything a team can open: the hardest case to hold."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_k8s_vault import VaultSecret, templates
from airflow_k8s_vault.delivery import VaultLogin, agent
from airflow_k8s_vault.policy import Expected
from airflow_k8s_vault.teams import OPENABLE, Platform, Team

SHIPPED = Path(__file__).parents[2] / "pod_templates"
SECRETS = [
    VaultSecret("secret/payments/warehouse", env={"WAREHOUSE_KEY": "key"}),
    VaultSecret("secret/payments/gcp", file="gcp.json", key="service_account"),
]
XCOM = {
    "name": "airflow-xcom-sidecar",
    "image": "alpine:3.24.2",
    "command": ["sh", "-c", 'trap "exit 0" INT; while true; do sleep 1; done;'],
    "volumeMounts": [{"name": "xcom", "mountPath": "/airflow/xcom"}],
    "resources": {"requests": {"cpu": "1m", "memory": "10Mi"}},
    "securityContext": {
        "allowPrivilegeEscalation": False,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    },
}


@pytest.fixture(scope="session")
def team() -> Team:
    """Team payments, with all openable arguments open."""
    result = templates.find("payments/etl", SHIPPED).team
    return replace(result, overridable=OPENABLE, platform=Platform(overridable=OPENABLE))


@pytest.fixture(scope="session")
def expected(team: Team) -> Expected:
    rendered = templates.find("payments/etl", SHIPPED).render({})
    rendered["spec"]["activeDeadlineSeconds"] = 3600
    rendered["spec"]["volumes"] = [
        {"name": "work", "emptyDir": {}},
        {"name": "keys", "secret": {"secretName": "etl-keys"}},
    ]
    rendered["spec"]["containers"][0]["volumeMounts"] = [{"name": "keys", "mountPath": "/keys", "readOnly": True}]
    login = VaultLogin(address="https://vault:8200", role=team.vault_role)
    attached = agent.attach(rendered, SECRETS, login)
    return Expected(rendered, attached, "pod_templates/payments/etl.yaml.j2", XCOM)


@pytest.fixture
def final(expected: Expected) -> dict[str, Any]:
    """The pod after KubernetesPodOperator: its name and labels, and what a DAG may rightly set."""
    pod = copy.deepcopy(expected.manifest)
    pod["metadata"] |= {"name": "load-x1y2z3"}
    pod["metadata"]["labels"] |= {"dag_id": "payments", "task_id": "load", "try_number": "1", "tier": "batch"}
    pod["metadata"]["annotations"] = {"owner": "etl"}
    base = pod["spec"]["containers"][0]
    base["command"], base["args"] = ["psql"], ["-f", "load.sql"]
    base["env"].append({"name": "BATCH", "value": "1000"})
    base["volumeMounts"].append({"name": "scratch", "mountPath": "/scratch"})
    pod["spec"]["volumes"].append({"name": "scratch", "emptyDir": {}})
    pod["spec"]["activeDeadlineSeconds"] = 600
    pod["spec"]["hostNetwork"] = False
    pod["spec"]["initContainers"].append(
        {
            "name": "wait",
            "image": "python:3.12-slim",
            "command": ["python", "--version"],
            "securityContext": XCOM["securityContext"],
        }
    )
    return pod
