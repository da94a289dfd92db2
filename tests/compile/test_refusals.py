"""What is not compiled: errors with file and line, all of them at once, status 1, and nothing on stdout."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands.test_templates import replaced, run
from tests.compile.conftest import add

WORKERS = "airflow:\n  worker: airflow/airflow-worker\n  triggerer: airflow/airflow-triggerer\n"


def refusal(*words: object) -> str:
    ran = run("compile", *(words or ("kubernetes",)))

    assert (1, "") == (ran.status, ran.out)
    return ran.err


@pytest.mark.parametrize("what", ["kubernetes", "vault"])
@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("payments", "service_account: airflow-payments", "service_account: '*'", "service_account is '*'"),
        ("payments", "namespace: team-payments", "namespace: '*'", "namespace is '*'"),
        ("payments", "vault_role: payments", "vault_role: data-science", "vault_role 'data-science' is team"),
        (
            "payments",
            "team-payments",
            "team-data-science",
            "namespace 'team-data-science' is team 'data-science''s",
        ),
        ("payments", "secret/payments/*", "secret/*", "team.yaml, line 8: 'secret/*' is a whole mount"),
        ("payments", "secret/payments/*", "secret/*/*", "line 8: 'secret/*/*' is a whole mount"),
        ("payments", "secret/payments/*", "secret/pay*/x", "line 8: 'secret/pay*/x' has a wildcard within a name"),
        ("payments", "secret/payments/*", "sys/policies/*", "line 8: 'sys/policies/*' is Vault's own"),
        ("payments", "secret/payments/*", "auth/token/create", "line 8: 'auth/token/create' is Vault's own"),
        ("payments", "secret/payments/*", "identity/entity/*", "line 8: 'identity/entity/*' is Vault's own"),
        ("payments", "secret/payments/*", "cubbyhole/mine", "line 8: 'cubbyhole/mine' is Vault's own"),
    ],
)
def test_what_is_wider_than_a_team_is_refused_with_file_and_line(
    folder: Path, what: str, file: str, old: str, new: str, message: str
) -> None:
    replaced(folder / file / "team.yaml", old, new)

    assert message in refusal(what)


def test_a_whole_mount_is_compiled_where_the_platform_allows_it(folder: Path) -> None:
    replaced(folder / "payments/team.yaml", "secret/payments/*", "payments/*")
    add(folder / "platform.yaml", "whole_mounts: [payments]")

    assert 0 == run("compile", "kubernetes").status


def test_all_mistakes_are_told_at_once(folder: Path) -> None:
    replaced(folder / "payments/team.yaml", "secret/payments/*", "sys/*")
    replaced(folder / "data-science/team.yaml", "team-data-science", "team-payments")
    replaced(folder / "platform.yaml", WORKERS, "")
    message = refusal()

    assert "'sys/*' is Vault's own" in message
    assert "namespace 'team-payments' is team 'data-science''s as well" in message
    assert "airflow is missing" in message


def test_an_unknown_team_is_told_the_known_ones(folder: Path) -> None:
    assert "Teams: data-science, payments. Did you mean 'payments'?" in refusal("kubernetes", "--team", "paiments")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("egress: [{cidr: 10.0.0.0/8, namespace: a}]", "egress[0] names either a cidr or a namespace."),
        ("egress: [{ports: [1]}]", "egress[0] names either a cidr or a namespace."),
        ("token_bound_cidrs: [10.0.0.0/8]", "10.0.0.0/8 is not within the platform's 10.1.0.0/16"),
        ("identity: dag", "with identity: dag each DAG has an account: give --dags."),
    ],
)
def test_a_mistake_in_the_walls_is_refused(folder: Path, keys: str, message: str) -> None:
    add(folder / "platform.yaml", "token_bound_cidrs: [10.1.0.0/16]")
    add(folder / "payments/team.yaml", keys)

    assert message in refusal()


def test_egress_needs_to_know_where_vault_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__VAULT_ADDR", "https://vault.example.com")
    add(folder / "payments/team.yaml", "egress: []")
    message = refusal()
    add(folder / "platform.yaml", "vault_cidrs: [192.0.2.7/32]")

    assert "vault_addr names 'vault.example.com'" in message
    assert 0 == run("compile", "kubernetes").status


def test_a_role_needs_an_audience(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__VAULT_TOKEN_AUDIENCE", "")

    assert "vault_token_audience is empty" in refusal()


LATE = """
from airflow.sdk import DAG, task
from airflow_k8s_vault import VaultPodOperator, VaultSecret

with DAG("late"):
    secret = VaultSecret("secret/payments/{{ params.x }}", env={"A": "a"})
    VaultPodOperator(task_id="load", pod_template="payments/etl", vault_secrets=[secret])
"""
MAPPED = """
from airflow.sdk import DAG, task
from airflow_k8s_vault import VaultPodOperator

@task
def paths():
    return []

with DAG("mapped"):
    VaultPodOperator.partial(task_id="load", pod_template="payments/etl").expand(vault_secrets=paths())
"""


def test_dags_that_do_not_import_or_whose_secrets_only_a_run_knows_are_all_named_and_nothing_is_printed(
    folder: Path, tmp_path: Path
) -> None:
    """In a process of its own: Airflow's loggers hold the stream itself."""
    (dags := tmp_path / "dags").mkdir()
    (dags / "broken.py").write_text("import airflow.sdk as dag\nraise ValueError('no such thing')\n")
    (dags / "late.py").write_text(LATE)
    (dags / "mapped.py").write_text(MAPPED)
    command = [Path(sys.executable).parent / "airflow", "k8s-vault", "compile", "vault", "--dags", dags]
    ran = subprocess.run(command, capture_output=True, text=True)

    assert (1, "") == (ran.returncode, ran.stdout)
    assert f"{dags}/broken.py, line 2, could not be imported: ValueError: no such thing" in ran.stderr
    assert f"{dags}/late.py, line 7, could not be imported" in ran.stderr
    assert "path 'secret/payments/{{ params.x }}' holds Jinja" in ran.stderr
    assert "In DAG 'late'." in ran.stderr
    assert f"{dags}/mapped.py: only its run knows the secrets of task 'mapped.load'." in ran.stderr
