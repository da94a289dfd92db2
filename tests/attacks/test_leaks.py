"""What stays behind in Airflow: the trigger's row, the rendered fields."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.providers.cncf.kubernetes.triggers.pod import KubernetesPodTrigger

from airflow_k8s_vault import VaultPodOperator, VaultSecret
from airflow_k8s_vault.operators import VaultPodTrigger
from tests.attacks.conftest import Manifest, make

TOKEN = "c4nary7"
KUBECONFIG = json.dumps({"users": [{"name": "airflow", "user": {"token": TOKEN}}]})


def _trigger(**settings: Any) -> KubernetesPodTrigger:
    return KubernetesPodTrigger(
        pod_name="load",
        pod_namespace="team-payments",
        trigger_start_time=datetime.now(UTC),
        base_container_name="base",
        **settings,
    )


@pytest.mark.parametrize("name", ["kube_config", "extra__kubernetes__kube_config"])
def test_a_kubeconfig_in_the_connection_stays_out_of_the_triggers_row(name: str) -> None:
    trigger = VaultPodTrigger.of(_trigger(connection_extras={name: KUBECONFIG, "namespace": "x"}))

    assert TOKEN not in str(trigger.serialize())


def test_a_connection_without_a_credential_reaches_the_triggerer_as_it_is() -> None:
    extras = {"in_cluster": True, "xcom_sidecar_container_image": "alpine:3.24.2"}

    trigger = VaultPodTrigger.of(_trigger(connection_extras=extras))

    assert trigger.serialize()[1]["connection_extras"] == extras


def test_jinja_in_what_a_dag_sets_is_rendered_once_and_never_in_the_agents_configuration(
    created: Callable[[VaultPodOperator], Manifest],
) -> None:
    secret = VaultSecret("secret/payments/warehouse", env={"A": "key"})
    task = make(vault_secrets=[secret], arguments=["{{ word }}"], env_vars={"NOTE": "{{ word }}"})
    context: Any = {"word": "{{ other }}"}
    task.render_template_fields(context)

    manifest = created(task)

    agent = next(item for item in manifest["spec"]["initContainers"] if item["name"] == "vault-agent")
    assert 'with secret \\"secret/payments/warehouse\\"' in str(agent["env"][0]["value"])
    assert manifest["spec"]["containers"][0]["args"] == ["{{ other }}"]
