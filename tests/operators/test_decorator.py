"""`@task.vault_pod`: what it sets itself, and what becomes of what the function returns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, task

from airflow_k8s_vault.errors import ArgumentError, PolicyError

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[DAG]:
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__TEMPLATES_DIR", str(ROOT / "pod_templates"))
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__VAULT_ADDR", "https://vault:8200")
    with DAG("decorated", schedule=None) as dag:
        yield dag


def made(function: Any, **given: Any) -> Any:
    return task.vault_pod(pod_template="payments/python", **given)(function)().operator


def counts() -> int:
    return 1


def prints() -> None:
    def inner() -> int:
        return 1

    print(inner(), lambda: 2)
    if inner():
        return
    return None  # noqa: RET501


@pytest.mark.parametrize("name", ["cmds", "arguments"])
def test_an_argument_that_the_decorator_sets_itself_is_told_so(name: str) -> None:
    with pytest.raises(ArgumentError, match=f"{name}: @task.vault_pod makes the command itself"):
        made(prints, **{name: ["a"]})


def test_a_misspelt_argument_of_the_decorator_is_told_with_the_one_that_was_meant() -> None:
    with pytest.raises(
        ArgumentError, match=r"vault_secret is no argument of @task.vault_pod\. Did you mean 'vault_se"
    ):
        made(prints, vault_secret=[])


@pytest.mark.parametrize("name", ["name", "namespace", "random_name_suffix"])
def test_what_the_decorator_sets_by_itself_is_locked_where_the_dag_sets_it(name: str) -> None:
    with pytest.raises(PolicyError, match=f"sets {name}"):
        made(prints, **{name: None})


def test_what_a_function_returns_is_pushed() -> None:
    assert made(counts).do_xcom_push is True
    assert made(prints).do_xcom_push is False


@pytest.mark.parametrize("given", [{"do_xcom_push": False}, {"default_args": {"do_xcom_push": False}}])
def test_what_a_function_returns_is_not_pushed_where_the_dag_says_so(given: dict[str, Any]) -> None:
    assert made(counts, **given).do_xcom_push is False


def test_arguments_of_the_dags_other_tasks_do_not_reach_the_command() -> None:
    with DAG("defaults", schedule=None, default_args={"arguments": ["x"], "cmds": ["y"], "retries": 2}):
        function = made(prints)

    assert (["placeholder-command"], [], 2) == (function.cmds, function.arguments, function.retries)
