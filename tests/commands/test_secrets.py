"""`airflow k8s-vault secrets list`: who gets which Vault path."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands.test_templates import SHIPPED, run

DAG = """\
from airflow.sdk import DAG
from airflow_k8s_vault import VaultPodOperator, VaultSecret

with DAG("payments_load"):
    VaultPodOperator(
        task_id="load",
        pod_template="payments/etl",
        vault_secrets=[
            VaultSecret("secret/payments/warehouse", env={"KEY": "key"}),
            VaultSecret("secret/payments/gcp", file="gcp.json"),
        ],
    )
    VaultPodOperator.partial(
        task_id="each",
        pod_template="payments/python",
        vault_secrets=[VaultSecret("secret/payments/gcp", file="gcp.json", container=None)],
    ).expand(cmds=[["a"], ["b"]])
    VaultPodOperator(task_id="none", pod_template="payments/python")
"""


@pytest.fixture
def dags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__TEMPLATES_DIR", str(SHIPPED))
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__VAULT_ADDR", "https://vault:8200")
    (tmp_path / "load.py").write_text(DAG)
    return tmp_path


def test_it_lists_what_each_task_gets(dags: Path) -> None:
    rows = run("secrets", "list", "--dags", dags, "-o", "json").json()

    assert [
        ("load", "secret/payments/warehouse", ["KEY"]),
        ("load", "secret/payments/gcp", ["/vault/secrets/gcp.json"]),
        ("each", "secret/payments/gcp", ["/vault/secrets/gcp.json"]),
    ] == [(row["task"], row["path"], row["as"]) for row in rows]
    assert {"payments_load"} == {row["dag"] for row in rows}


def test_it_lists_who_gets_a_path(dags: Path) -> None:
    by_path = run("secrets", "list", "--dags", dags, "--by", "path", "-o", "json").json()
    one = run("secrets", "list", "--dags", dags, "--path", "secret/payments/gcp", "-o", "json").json()

    assert ["secret/payments/gcp", "secret/payments/gcp", "secret/payments/warehouse"] == [
        row["path"] for row in by_path
    ]
    assert ["load", "each"] == [row["task"] for row in one]


def test_a_dag_that_cannot_be_imported_is_told_with_status_1(dags: Path) -> None:
    (dags / "broken.py").write_text(DAG.replace("payments/etl", "payments/etk"))

    ran = run("secrets", "list", "--dags", dags, "-o", "json")

    assert 1 == ran.status
    told = ran.err.partition("broken.py could not be imported: ")[2]
    assert told.startswith("airflow_k8s_vault.errors.TemplateError: Team 'payments' has no pod template 'etk'.\n")
    assert told.endswith("Did you mean 'etl'?\n")
    assert 3 == len(ran.json())


def test_a_folder_that_is_not_there_is_told_with_status_2(tmp_path: Path) -> None:
    ran = run("secrets", "list", "--dags", tmp_path / "missing")

    assert 2 == ran.status
    assert "Name the folder, or the file, of the DAGs with --dags" in ran.err


def test_it_lists_each_place_where_a_connection_is_looked_for(dags: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = '{"connections_path": ["payments/own", "payments/shared"]}'
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__SECRETS_BACKEND_KWARGS", places)
    wanted = DAG.replace('VaultSecret("secret/payments/gcp", file="gcp.json")', 'VaultSecret.connection("bank")')
    (dags / "load.py").write_text(wanted)

    rows = run("secrets", "list", "--dags", dags, "-o", "json").json()

    assert [
        ("secret/payments/own/bank", ["AIRFLOW_CONN_BANK"]),
        ("secret/payments/shared/bank", ["AIRFLOW_CONN_BANK"]),
    ] == [(row["path"], row["as"]) for row in rows if row["engine"] == "connection"]


MAPPED = """\
from airflow.sdk import DAG, task
from airflow_k8s_vault import VaultPodOperator, VaultSecret, pod_override

ONE, TWO = (VaultSecret(f"secret/payments/{name}", file=name) for name in ("one", "two"))

with DAG("mapped"):
    VaultPodOperator.partial(task_id="by_secrets", pod_template="payments/etl").expand(
        vault_secrets=[[ONE], [TWO]]
    )
    VaultPodOperator.partial(task_id="by_kwargs", pod_template="payments/etl").expand_kwargs(
        [{"vault_secrets": [ONE]}, {"vault_secrets": [TWO], "cmds": ["a"]}]
    )

    @task
    def names() -> list[str]:
        return ["one"]

    VaultPodOperator.partial(task_id="by_run", pod_template="payments/etl").expand(vault_secrets=names())
    VaultPodOperator.partial(task_id="by_run_kwargs", pod_template="payments/etl").expand_kwargs(names())

    @task(executor_config={"pod_override": pod_override(pod_template="payments/python", vault_secrets=[TWO])})
    def in_a_worker() -> None: ...

    in_a_worker()
"""


def test_it_lists_mapped_tasks_and_pod_overrides_and_names_those_that_only_a_run_knows(
    dags: Path,
) -> None:
    (dags / "load.py").write_text(MAPPED)

    listed = run("secrets", "list", "--dags", dags, "-o", "json")

    assert [
        ("by_secrets", "secret/payments/one"),
        ("by_secrets", "secret/payments/two"),
        ("by_kwargs", "secret/payments/one"),
        ("by_kwargs", "secret/payments/two"),
        ("in_a_worker", "secret/payments/two"),
    ] == [(row["task"], row["path"]) for row in listed.json()]
    assert 1 == listed.status
    assert "only its run knows the secrets of task 'mapped.by_run'" in listed.err
    assert "only its run knows the secrets of task 'mapped.by_run_kwargs'" in listed.err
