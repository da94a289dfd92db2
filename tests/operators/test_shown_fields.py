"""Airflow's page of a task shows which pod it gets and from where, by names alone."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.execution_time.task_runner import _serialize_rendered_fields

from airflow_k8s_vault import VaultPodOperator, VaultSecret
from airflow_k8s_vault.errors import TemplateError

ROOT = Path(__file__).parents[2]
SECRETS = [
    VaultSecret("secret/payments/warehouse", env={"PGPASSWORD": "password"}),
    VaultSecret("secret/payments/partner", file="partner.key", key="api_key"),
    VaultSecret.connection("warehouse"),
]


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__TEMPLATES_DIR", str(ROOT / "pod_templates"))
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__VAULT_ADDR", "https://vault:8200")
    places = {"connections_path": "payments/connections"}
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__SECRETS_BACKEND_KWARGS", json.dumps(places))


def page(task: Any) -> dict[str, Any]:
    """Return what Airflow sends to its page once it has rendered the fields of a task."""
    ti = SimpleNamespace(dag_id="d", task_id="t", try_number=1, map_index=-1)
    context = {"ti": ti, "run_id": "r", "memory": "1Gi", "dag": SimpleNamespace(parent_dag=None)}
    task.render_template_fields(context)
    return dict(_serialize_rendered_fields(context.get("task", task)))


def test_the_page_shows_template_team_paths_image_and_namespace() -> None:
    shown = page(VaultPodOperator(task_id="load", pod_template="payments/etl", vault_secrets=SECRETS))

    assert "payments/etl" == shown["pod_template"]
    assert "payments" == shown["team"]
    assert "postgres:18" == shown["image"]
    assert "team-payments" == shown["namespace"]
    assert [
        "secret/payments/warehouse: PGPASSWORD (password)",
        "secret/payments/partner: /vault/secrets/partner.key (api_key)",
        "warehouse: AIRFLOW_CONN_WAREHOUSE (connection)",
    ] == shown["vault_paths"]


def test_the_page_of_a_mapped_task_shows_the_same() -> None:
    with DAG("mapped", schedule=None):
        partial = VaultPodOperator.partial(task_id="load", vault_secrets=SECRETS)
        mapped = partial.expand(pod_template=["payments/etl"])

    unmapped = mapped.unmap({"pod_template": "payments/etl"})

    assert "postgres:18" == page(unmapped)["image"]


def test_what_the_page_shows_is_no_argument_of_the_task() -> None:
    """The pod has what the template gives when it is built, also where the template has changed by then."""
    task = VaultPodOperator(task_id="load", pod_template="etl", team="payments", vault_secrets=SECRETS)
    page(task)
    again = copy.copy(task)
    shown = page(again)

    pod = again.build_pod_request_obj(dry_run=True)

    assert "postgres:18" == shown["image"]
    assert "postgres:18" == pod.spec.containers[0].image
    assert (again.image, again.namespace) == (None, None)


def test_a_template_that_cannot_be_rendered_hides_nothing_else() -> None:
    task = VaultPodOperator(
        task_id="load", pod_template="payments/etl", template_vars={"memory": "{{ memory }}{{ memory }}"}
    )

    shown = page(task)

    assert "payments/etl" == shown["pod_template"]
    assert shown["image"] is None


def training(threads: str, is_native: bool = False) -> Any:
    """Return what the page shows of a task with such a variable, and its base container."""
    with DAG("train", schedule=None, render_template_as_native_obj=is_native) as dag:
        values = {"threads": threads}
        task = VaultPodOperator(task_id="t", pod_template="data-science/python", template_vars=values)
    ti = SimpleNamespace(dag_id="d", task_id="t", try_number=1, map_index=-1)
    task.render_template_fields({"ti": ti, "run_id": "r", "dag": dag, "params": {"threads": 4, "word": "four"}})
    shown = dict(_serialize_rendered_fields(task))
    return shown, task.build_pod_request_obj(dry_run=True).spec.containers[0]


@pytest.mark.parametrize("is_native", [False, True])
def test_a_variable_that_airflow_renders_to_text_is_cast_to_its_declared_type(is_native: bool) -> None:
    shown, container = training("{{ params.threads }}", is_native)

    assert "4" == next(variable.value for variable in container.env if variable.name == "OMP_NUM_THREADS")
    assert container.image == shown["image"]


def test_text_that_does_not_spell_the_type_is_refused_with_the_way_out() -> None:
    with pytest.raises(TemplateError) as refused:
        training("{{ params.word }}")

    assert "threads: 'four' is no integer." in str(refused.value)
    assert "threads was Jinja" in str(refused.value)
    assert "of type str" in str(refused.value)
    assert "render_template_as_native_obj=True" in str(refused.value)


def test_text_that_the_dag_itself_gives_is_not_cast() -> None:
    with pytest.raises(TemplateError, match="threads: '4' is no integer"):
        training("4")
