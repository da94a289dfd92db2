"""A team with `identity: dag` in pods that run: each DAG logs in as itself, and gets its own paths alone."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from kubernetes import client

from airflow_k8s_vault import VaultSecret
from airflow_k8s_vault.commands import plan
from airflow_k8s_vault.teams import dag_identity
from tests import walls
from tests.faults.worker import WatchedOperator, context, run, wait_until

pytestmark = pytest.mark.integration
NAMESPACE = "team-payments"
DAG_FILE = """
from airflow.sdk import DAG
from airflow_k8s_vault import VaultPodOperator, VaultSecret

for name in ("load.daily", "load.hourly"):
    with DAG(name, schedule=None):
        VaultPodOperator(
            task_id="main",
            pod_template="payments/python",
            vault_secrets=[
                VaultSecret(f"secret/payments/{name}", env={"KEY": "key"}),
                VaultSecret("database/creds/payments-rw", engine="dynamic", env={"PGUSER": "username"}),
            ],
        )
"""


class _ProxiedEnvironment(walls.PreparedEnvironment):
    """Team payments has identity: dag, and two DAGs."""

    def _before_teams(self) -> None:
        super()._before_teams()
        file = self.templates_dir / "payments/team.yaml"
        file.write_text(f"{file.read_text()}identity: dag\n")
        self.compiled_dags = self.folder / "dags"
        self.compiled_dags.mkdir()
        (self.compiled_dags / "load.py").write_text(DAG_FILE)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_ProxiedEnvironment]:
    folder = tmp_path_factory.mktemp("servers")
    templates_dir = Path(shutil.copytree(walls.SHIPPED, folder / "pod_templates"))
    (folder / "servers").mkdir()
    with (
        _ProxiedEnvironment(folder / "servers", templates_dir, lambda line: None) as made,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name in ("load.daily", "load.hourly"):
            made.setup.kv(f"secret/payments/{name}", {"key": f"of {name}"})
        for name, value in {**made.setup.settings, "templates_dir": str(templates_dir)}.items():
            patch.setenv(f"AIRFLOW__K8S_VAULT__{name.upper()}", value)
        worker = {"conn_type": "kubernetes", "extra": {"kube_config_path": str(made.worker_kubeconfig)}}
        patch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", json.dumps(worker))
        patch.setenv("K8S_VAULT_TEST_WORKER_LOG", str(folder / "workers.log"))
        yield made


def task(dag_id: str, path: str, *more: VaultSecret, **arguments: Any) -> WatchedOperator:
    with DAG(dag_id, schedule=None):
        return WatchedOperator(
            task_id="main",
            pod_template="payments/python",
            vault_secrets=[VaultSecret(path, env={"KEY": "key"}), *more],
            cmds=["sh", "-c", f'test "$KEY" = "of {dag_id}"'],
            **arguments,
        )


def account(dag_id: str) -> str:
    return dag_identity("airflow-payments", dag_id)


@pytest.mark.parametrize(
    ("dag_id", "delivery"), [("load.daily", "agent"), ("load.hourly", "agent"), ("load.hourly", "secret")]
)
def test_each_dag_logs_in_as_itself_gets_its_own_path_and_is_named_by_the_audit_log(
    servers: _ProxiedEnvironment, dag_id: str, delivery: str
) -> None:
    path = f"secret/payments/{dag_id}"

    assert ("ok", None) == run(task(dag_id, path, delivery=delivery)).outcome(), Path(
        os.environ["K8S_VAULT_TEST_WORKER_LOG"]
    ).read_text()
    if servers.openbao is not None:
        entries = map(json.loads, (servers.folder / "audit.log").read_text().splitlines())
        logins = [
            entry["auth"]["metadata"]
            for entry in entries
            if entry["type"] == "response" and entry["request"]["path"] == path.replace("/", "/data/", 1)
            if "metadata" in entry.get("auth", {})
        ]
        assert {(account(dag_id), account(dag_id))} == {(m["role"], m["service_account_name"]) for m in logins}


def test_renewal_lease_check_and_revocation_need_no_more_than_the_least_policy(
    servers: _ProxiedEnvironment,
) -> None:
    """The lease lives for ten minutes, and the task may run for twenty: the agent asks Vault before it starts."""
    login = VaultSecret("database/creds/payments-rw", engine="dynamic", env={"PGUSER": "username"})
    operator = task("load.daily", "secret/payments/load.daily", login, execution_timeout=timedelta(minutes=20))

    assert ("ok", None) == run(operator).outcome()
    wait_until(lambda: not servers.roles_left())
    if servers.openbao is not None:
        entries = [json.loads(line) for line in (servers.folder / "audit.log").read_text().splitlines()]
        ours = [e for e in entries if e.get("auth", {}).get("metadata", {}).get("role") == account("load.daily")]
        kinds = {"/".join(entry["request"]["path"].split("/")[:3]) for entry in ours}
        assert {
            "auth/token/renew-self",
            "auth/token/revoke-self",
            "sys/leases/renew",
        } <= kinds
        assert [account("load.daily")] == sorted(
            {policy for entry in ours for policy in entry["auth"]["policies"]}
        )
        assert [] == [entry["error"] for entry in ours if entry.get("error")]


def test_a_pod_that_asks_for_the_path_of_another_dag_is_refused_by_vault(servers: _ProxiedEnvironment) -> None:
    state, message = run(task("load.daily", "secret/payments/load.hourly")).outcome()

    assert state == "failed"
    assert f"refused to give role '{account('load.daily')}' a secret (403)" in message


def test_a_pod_that_says_it_is_one_dag_and_runs_as_another_is_not_admitted(servers: _ProxiedEnvironment) -> None:
    operator = task("load.daily", "secret/payments/load.daily")
    made: Any = operator.build_pod_request_obj(context(operator), dry_run=True)
    pod = client.ApiClient().sanitize_for_serialization(made)
    pod["metadata"]["name"] = "other"
    text = json.dumps(pod).replace(account("load.daily"), account("load.hourly"))
    worker = client.CoreV1Api(servers.setup.acting_as(servers.sources[1].worker))

    worker.create_namespaced_pod(NAMESPACE, pod, dry_run="All")
    with pytest.raises(client.ApiException) as refused:
        worker.create_namespaced_pod(NAMESPACE, json.loads(text), dry_run="All")

    assert "Pods of a DAG run as that DAG's service account" in str(refused.value.body)


def test_plan_shows_no_difference(servers: _ProxiedEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(servers.kubeconfig))
    monkeypatch.setenv("VAULT_ADDR", servers.vault.address)
    monkeypatch.setenv("VAULT_TOKEN", servers.vault.token)
    differences, compared = plan.compare(servers.sources)

    assert [] == list(differences)
    # Of each DAG a service account, a role and a policy at least.
    assert compared > 6


def test_a_dag_that_is_not_compiled_yet_is_told_to_compile_and_apply(servers: _ProxiedEnvironment) -> None:
    new, role = task("load.weekly", "secret/payments/load.weekly"), account("load.weekly")
    of_kubernetes = run(new).outcome()
    assert servers.compiled_dags is not None
    (servers.compiled_dags / "load.py").write_text(
        DAG_FILE.replace('("load.daily"', '("load.weekly", "load.daily"')
    )
    servers.setup.teams(servers.templates_dir, ["payments"], servers.compiled_dags)
    servers.vault.request("DELETE", f"auth/{servers.auth_mount}/role/{role}")
    of_vault = run(new).outcome()

    assert ("failed", "failed") == (of_kubernetes[0], of_vault[0])
    assert (
        f"Namespace '{NAMESPACE}' has no service account '{role}': compile and apply "
        "(airflow k8s-vault compile kubernetes --team payments --dags DIR)."
    ) in of_kubernetes[1]
    assert f"refused role '{role}' on auth/{servers.auth_mount}" in of_vault[1]
    assert "compile and apply (airflow k8s-vault compile vault --team payments --dags DIR)." in of_vault[1]
