"""What VaultPodOperator itself builds passes the check of the final pod; what is changed afterwards does not."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import ApiClient, models

from airflow_k8s_vault import VaultPodOperator, VaultSecret, templates
from airflow_k8s_vault.delivery import POD_LABELS, VaultLogin, agent
from airflow_k8s_vault.errors import PolicyError
from airflow_k8s_vault.policy import Expected, check

SHIPPED = Path(__file__).parents[2] / "pod_templates"
SECRETS = [
    VaultSecret("secret/payments/warehouse", env={"WAREHOUSE_KEY": "key"}),
    VaultSecret("secret/payments/gcp", file="gcp.json"),
]


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__TEMPLATES_DIR", str(SHIPPED))
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__VAULT_ADDR", "https://vault:8200")


def built(**given: Any) -> tuple[dict[str, Any], Expected]:
    task = VaultPodOperator(task_id="load", pod_template="payments/etl", vault_secrets=SECRETS, **given)
    pod = ApiClient().sanitize_for_serialization(task.build_pod_request_obj(None, dry_run=True))
    rendered = templates.find("payments/etl", SHIPPED).render(task.template_vars)
    rendered["metadata"]["annotations"] = pod["metadata"]["annotations"]
    rendered["metadata"]["labels"] |= POD_LABELS
    attached = agent.attach(rendered, SECRETS, VaultLogin(address="https://vault:8200", role="payments"))
    return pod, Expected(rendered, attached, "pod_templates/payments/etl.yaml.j2")


def test_the_operators_pod_passes() -> None:
    pod, expected = built(
        template_vars={"memory": "1Gi", "cpu": 1},
        cmds=["psql"],
        arguments=["-c", "select 1"],
        env_vars={"BATCH": "1"},
        labels={"tier": "batch"},
    )

    check(pod, templates.find("payments/etl", SHIPPED).team, expected, requested=["cmds"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image", "alpine:3.24.2"),
        ("namespace", "team-data-science"),
        ("service_account_name", "default"),
        ("hostnetwork", True),
        ("env_vars", [{"name": "WAREHOUSE_KEY", "value": "x"}]),
    ],
)
def test_an_attribute_that_is_changed_after_the_task_was_made_is_refused(name: str, value: Any) -> None:
    _, expected = built()
    task = VaultPodOperator(task_id="load", pod_template="payments/etl", vault_secrets=SECRETS)
    changed = copy.copy(task)
    setattr(changed, name, _as_models(name, value))
    pod = ApiClient().sanitize_for_serialization(changed.build_pod_request_obj(None, dry_run=True))

    with pytest.raises(PolicyError):
        check(pod, templates.find("payments/etl", SHIPPED).team, expected)


def _as_models(name: str, value: Any) -> Any:
    return [models.V1EnvVar(**item) for item in value] if name == "env_vars" else value
