"""Mapped tasks: what they say is checked at import, and what is wrong for good is never tried again."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from airflow_k8s_vault import VaultPodOperator, VaultSecret, errors
from airflow_k8s_vault.errors import K8sVaultError
from airflow_k8s_vault.operators import vault_pod_task

ROOT = Path(__file__).parents[2]
OVER_THE_CEILING = [VaultSecret("secret/other/x", env={"A": "b"})]
INVALID: dict[str, dict[str, Any]] = {
    "sets namespace": {"namespace": "x"},
    "asks for secret/other/x": {"vault_secrets": OVER_THE_CEILING},
    "Did you mean 'python'": {"pod_template": "payments/pyhton"},
    "Did you mean 'payments'": {"pod_template": "payment/python"},
    "memroy is no variable": {"pod_template": "payments/etl", "template_vars": {"memroy": "1Gi"}},
    "delivery is 'agnet'": {"delivery": "agnet"},
    "cmds is one text": {"cmds": "psql"},
    "cmds looks like": {"cmds": ["psql", "postgres://etl:hunter2hunter2@db/x"]},
    "vault_secret is no argument.*Did you mean 'vault_secrets'": {"vault_secret": []},
}


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__TEMPLATES_DIR", str(ROOT / "pod_templates"))
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__VAULT_ADDR", "https://vault:8200")
    with DAG("mapped", schedule=None), warnings.catch_warnings():
        # Airflow's "was never mapped" would hide why.
        warnings.simplefilter("error", UserWarning)
        yield


def partial(**given: Any) -> Any:
    return VaultPodOperator.partial(
        **{"task_id": "m", "pod_template": "payments/python", "cmds": ["true"], **given}
    )


@pytest.mark.parametrize("reason", INVALID)
def test_what_partial_says_is_checked_at_import(reason: str) -> None:
    with pytest.raises(K8sVaultError, match=reason) as refused:
        partial(**INVALID[reason]).expand(env_vars=[{"B": "1"}])

    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("reason", [reason for reason in INVALID if "cmds" not in reason])
def test_what_expand_says_is_checked_at_import_for_each_task(reason: str) -> None:
    (name, value), *others = reversed(INVALID[reason].items())
    given = {"task_id": "m", "cmds": ["true"], **dict(others)}
    if name != "pod_template":
        given.setdefault("pod_template", "payments/python")

    with pytest.raises(K8sVaultError, match=reason):
        VaultPodOperator.partial(**given).expand(**{name: [value]})
    with pytest.raises(K8sVaultError, match=reason):
        VaultPodOperator.partial(**given).expand_kwargs([{name: value}])


@pytest.mark.parametrize("reason", INVALID)
def test_what_only_the_run_tells_fails_it_for_good(reason: str) -> None:
    earlier = EmptyOperator(task_id="earlier")
    later = VaultPodOperator.partial(task_id="m").expand_kwargs(earlier.output)

    with pytest.raises(K8sVaultError, match=reason) as refused:
        later.unmap({"pod_template": "payments/python", **INVALID[reason]})
    assert isinstance(refused.value, AirflowFailException)


def test_every_error_that_only_a_change_of_the_dag_mends_can_fail_a_task_for_good() -> None:
    from airflow_k8s_vault.operators import for_good

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, K8sVaultError)]
    for kind in kinds:
        with pytest.raises(kind) as raised, for_good.where(True):
            raise kind("our words")

        assert isinstance(raised.value, AirflowFailException) is (not kind.__name__.endswith("Unavailable"))
        assert "our words" == str(raised.value)
        with pytest.raises(kind) as raised, for_good.where(False):
            raise kind("our words")
        assert type(raised.value) is kind


def test_what_is_right_or_not_known_yet_imports_and_runs() -> None:
    earlier = EmptyOperator(task_id="earlier")
    written = partial(task_id="a").expand(env_vars=[{"B": "1"}, {"B": "2"}])
    partial(task_id="b", template_vars={}).expand(env_vars=earlier.output)
    partial(task_id="c").expand(vault_secrets=earlier.output)
    VaultPodOperator.partial(task_id="d").expand(pod_template=["payments/python", "payments/etl"])
    VaultPodOperator.partial(task_id="e").expand_kwargs(earlier.output)
    VaultPodOperator.partial(task_id="f").expand_kwargs(
        [{"pod_template": "payments/etl"}, {"pod_template": "data-science/python"}]
    )
    # What another task returns stands for any value of a variable.
    partial(task_id="g", pod_template="payments/etl", template_vars={"memory": earlier.output}).expand(
        env_vars=[{"A": "1"}]
    )

    assert "payments/python" == written.unmap({"env_vars": {"B": "1"}}).pod_template


def test_all_tasks_of_an_expansion_are_told_in_one_error() -> None:
    with pytest.raises(K8sVaultError) as refused:
        VaultPodOperator.partial(task_id="m", cmds=["true"]).expand(pod_template=["payments/a", "payments/b"])

    assert "template 'a'" in str(refused.value)
    assert "template 'b'" in str(refused.value)


def test_default_arguments_of_dag_and_group_count_for_a_mapped_task() -> None:
    from airflow.sdk import TaskGroup

    with (
        TaskGroup("g", default_args={"namespace": "x"}),
        pytest.raises(K8sVaultError, match="sets namespace") as message,
    ):
        partial().expand(env_vars=[{"A": "1"}])

    assert "Task 'g.m'" in str(message.value)


def test_a_mapped_function_is_checked_at_import() -> None:
    @vault_pod_task(pod_template="payments/python", vault_secrets=OVER_THE_CEILING)
    def count(number: int) -> int:
        return number

    with pytest.raises(K8sVaultError, match="asks for secret/other/x"):
        count.expand(number=[1, 2])
    count.override(vault_secrets=[]).expand(number=[1, 2])
