"""`airflow k8s-vault secrets list`: who gets which Vault path."""

from __future__ import annotations

import shutil
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


WRITTEN = """\
from airflow.sdk import DAG
from airflow_k8s_vault import VaultFile, VaultPodOperator, VaultSecret

with DAG("payments_tls"):
    VaultPodOperator(
        task_id="serve",
        pod_template="payments/etl",
        vault_secrets=[
            VaultSecret(
                "pki/issue/web",
                engine="dynamic",
                parameters={"common_name": "etl.example.com", "ttl": "24h"},
                files=[VaultFile(".key", key="private_key", mode="0400", directory="/home/app/.tls")],
            ),
            VaultSecret("secret/payments/db", env=["host", "pass-word"], prefix="DB_", version=3),
        ],
    )
"""


def test_it_lists_what_a_task_has_vault_make_with_its_parameters(
    dags: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = Path(shutil.copytree(SHIPPED, tmp_path / "pod_templates"))
    team = copied / "payments/team.yaml"
    team.write_text(f"{team.read_text()}update: [pki/issue/web]\n")
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__TEMPLATES_DIR", str(copied))
    (dags / "load.py").write_text(WRITTEN)

    ran = run("secrets", "list", "--dags", dags, "-o", "json")

    assert [
        (
            "pki/issue/web",
            "below",
            ["/home/app/.tls/.key (mode 0400)"],
            ["common_name=etl.example.com", "ttl=24h"],
        ),
        ("secret/payments/db", "below", ["DB_HOST", "DB_PASS_WORD"], []),
    ] == [(row["path"], row["ceiling"], row["as"], row["parameters"]) for row in ran.json()], ran.err
    assert [("dynamic", ""), ("kv2", 3)] == [(row["engine"], row["version"]) for row in ran.json()]


def test_it_lists_who_gets_a_path(dags: Path) -> None:
    by_path = run("secrets", "list", "--dags", dags, "--by", "path", "-o", "json").json()
    one = run("secrets", "list", "--dags", dags, "--path", "secret/payments/gcp", "-o", "json").json()

    assert ["secret/payments/gcp", "secret/payments/gcp", "secret/payments/warehouse"] == [
        row["path"] for row in by_path
    ]
    assert ["load", "each"] == [row["task"] for row in one]


def test_a_path_that_nobody_gets_is_told_with_the_paths_that_there_are(dags: Path) -> None:
    none = run("secrets", "list", "--dags", dags, "--path", "secret/payments/warehous")
    as_json = run("secrets", "list", "--dags", dags, "--path", "none", "-o", "json")
    slashes = run("secrets", "list", "--dags", dags, "--path", "/secret/payments/gcp/", "-o", "json")

    assert (1, "") == (none.status, none.out)
    assert none.err.endswith(
        f"No task in {dags} gets 'secret/payments/warehous'. Did you mean 'secret/payments/warehouse'?\n"
        "  Paths there: secret/payments/gcp, secret/payments/warehouse.\n"
    )
    assert (1, []) == (as_json.status, as_json.json())
    assert (0, 2) == (slashes.status, len(slashes.json()))


def test_where_no_task_gets_anything_it_says_so_with_status_0(dags: Path) -> None:
    (dags / "load.py").write_text("")

    ran = run("secrets", "list", "--dags", dags)

    assert (0, "") == (ran.status, ran.out)
    assert ran.err.endswith(f"No task in {dags} gets a secret.\n")


HIDDEN = """\
from airflow.sdk import DAG, TaskGroup, task
from airflow_k8s_vault import VaultPodOperator, VaultSecret, pod_override

def secret(name):
    return [VaultSecret(f"secret/payments/{name}", env={"KEY": "key"})]

HOME = {"pod_template": "payments/python"}
OVERRIDE = {"pod_override": pod_override(**HOME, vault_secrets=secret("override"))}
with DAG("hidden", default_args={"vault_secrets": secret("default"), **HOME}):
    VaultPodOperator.partial(task_id="by_default").expand(cmds=[["a"]])
    VaultPodOperator.partial(task_id="expanded").expand(vault_secrets=[secret("one"), secret("two")])
    VaultPodOperator.partial(task_id="kwargs").expand_kwargs([{"vault_secrets": secret("three")}, {"cmds": ["a"]}])
    VaultPodOperator.partial(task_id="own").expand(default_args=[{"vault_secrets": secret("own")}])
    VaultPodOperator.partial(task_id="too").expand_kwargs([{"default_args": {"vault_secrets": secret("four")}}])
    with TaskGroup("group", default_args={"vault_secrets": secret("group")}):
        VaultPodOperator.partial(task_id="in_group").expand(cmds=[["a"]])

    @task(executor_config=OVERRIDE)
    def in_worker(x):
        return []

    in_worker.expand(x=[1])

    @task.vault_pod(vault_secrets=secret("decorated"), **HOME)
    def decorated(x):
        pass

    decorated.expand(x=[1])
    given = in_worker.override(task_id="gives")(1)
    VaultPodOperator.partial(task_id="by_run").expand(vault_secrets=given)
    VaultPodOperator.partial(task_id="by_run_too").expand_kwargs(given)
    VaultPodOperator.partial(task_id="by_its_defaults").expand(default_args=given)
    # What is no operator of ours is nobody's secret, whatever it is mapped over.
    in_worker.override(task_id="plain", executor_config={}).expand_kwargs(given)
"""


def test_it_knows_what_a_task_gets_by_any_way_or_names_the_task(dags: Path) -> None:
    (dags / "load.py").write_text(HIDDEN)

    ran = run("secrets", "list", "--dags", dags, "-o", "json")

    assert [
        ("by_default", "default"),
        ("expanded", "one"),
        ("expanded", "two"),
        ("kwargs", "three"),
        ("kwargs", "default"),
        ("own", "own"),
        ("too", "four"),
        ("group.in_group", "group"),
        ("in_worker", "override"),
        ("decorated", "decorated"),
        ("gives", "override"),
    ] == [(row["task"], row["path"].removeprefix("secret/payments/")) for row in ran.json()]
    message = [line.rpartition(": ")[2] for line in ran.err.splitlines() if "hidden." in line]
    assert [
        "only its run knows the secrets of task 'hidden.by_run'.",
        "only its run knows the secrets of task 'hidden.by_run_too'.",
        "only its run knows the secrets of task 'hidden.by_its_defaults'.",
    ] == message
    assert 1 == ran.status


def test_a_path_over_the_ceiling_is_marked(dags: Path, tmp_path: Path) -> None:
    narrow = Path(shutil.copytree(SHIPPED, tmp_path / "pod_templates"))
    team = narrow / "payments" / "team.yaml"
    team.write_text(team.read_text().replace("secret/payments/*", "secret/payments/warehouse"))

    ran = run("secrets", "list", "--dags", dags / "load.py", "--templates-dir", narrow, "-o", "json")
    unknown = run("secrets", "list", "--dags", dags / "load.py", "--templates-dir", tmp_path, "-o", "json")

    assert ["below", "over", "over"] == [row["ceiling"] for row in ran.json()]
    assert 1 == ran.status
    assert (
        "task 'payments_load.each' asks for secret/payments/gcp, which team 'payments' may not read (" in ran.err
    )
    assert {"unknown"} == {row["ceiling"] for row in unknown.json()}


def test_a_dag_that_cannot_be_imported_is_told_with_status_1(dags: Path) -> None:
    (dags / "broken.py").write_text(DAG.replace("payments/etl", "payments/etk"))

    ran = run("secrets", "list", "--dags", dags, "-o", "json")

    assert 1 == ran.status
    message = ran.err.partition(", could not be imported: ")[2]
    assert "broken.py, line " in ran.err
    assert message.startswith(
        "airflow_k8s_vault.errors.TemplateError: Team 'payments' has no pod template 'etk'.\n"
    )
    assert "Did you mean 'etl'?\n  In DAG '" in message
    assert 3 == len(ran.json())


def test_a_folder_that_is_not_there_is_told_with_status_2(tmp_path: Path) -> None:
    ran = run("secrets", "list", "--dags", tmp_path / "missing")

    assert 2 == ran.status
    assert "Name the folder, or the file, of the DAGs with --dags" in ran.err


def test_it_lists_each_place_where_a_connection_is_looked_for(dags: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = '{"connections_path": ["payments/own", "payments/shared"]}'
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__SECRETS_BACKEND_KWARGS", places)
    expected = DAG.replace('VaultSecret("secret/payments/gcp", file="gcp.json")', 'VaultSecret.connection("bank")')
    (dags / "load.py").write_text(expected)

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
