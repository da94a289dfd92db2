"""How long credentials live with delivery `agent`: as long as the task, renewed, or not at all."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from airflow_k8s_vault import VaultSecret
from airflow_k8s_vault.delivery.agent import configuration
from airflow_k8s_vault.errors import VaultError
from tests.faults.endings import HELD, LONG
from tests.faults.fault_environment import NAMESPACE, FaultEnvironment
from tests.faults.worker import run, wait_until

pytestmark = pytest.mark.integration

DATABASE_ROLE, MINUTES = "database/roles/payments-rw", {"execution_timeout": timedelta(minutes=10)}
# Not the shell around it, which is process 1.
KILL_AGENT = "for p in /proc/[0-9]*; do read -r _ name < $p/status; [ $name != bao ] || kill -9 ${p#/proc/}; done"


@contextlib.contextmanager
def changed(environment: FaultEnvironment, path: str, **changes: Any) -> Iterator[None]:
    """Have a role of Vault otherwise for a while."""
    before = environment.vault_admin.request("GET", path)["data"]
    environment.vault_admin.request("POST", path, {**before, **changes})
    try:
        yield
    finally:
        environment.vault_admin.request("POST", path, before)


@pytest.fixture
def login_role(environment: FaultEnvironment) -> str:
    return f"auth/{environment.servers.auth_mount}/role/payments"


def test_a_lease_that_is_shorter_than_the_task_is_refused_with_both_figures(environment: FaultEnvironment) -> None:
    environment.begin()
    task = environment.operator("true", delivery="agent", **MINUTES)

    with changed(environment, DATABASE_ROLE, default_ttl=60, max_ttl=120):
        state, message = run(task).outcome()

    assert (state, message.partition(":")[0]) == ("failed", "AirflowFailException")
    # Some of the 120 s are spent before the agent asks.
    assert re.search(r"the lease of 'database/creds/payments-rw' lives for 1[0-2]\d s at most", message)
    assert (
        "the task may run for 600 s: raise its max_ttl in Vault, or lower the task's execution_timeout." in message
    )
    assert not environment.started(task)
    assert str(environment.traces()) == "nothing"


def test_a_login_that_is_shorter_than_the_task_is_refused_with_both_figures(
    environment: FaultEnvironment, login_role: str
) -> None:
    environment.begin()
    task = environment.operator("true", delivery="agent", **MINUTES)

    with changed(environment, login_role, token_ttl=60, token_max_ttl=120):
        state, message = run(task).outcome()

    assert state == "failed"
    assert "the login, and with it every lease, lives for 1" in message
    assert not environment.started(task)
    assert str(environment.traces()) == "nothing"


def test_a_lease_lives_as_long_as_the_task_may_and_its_login_no_longer_than_its_role_says(
    environment: FaultEnvironment, login_role: str
) -> None:
    environment.begin()
    before = set(leases(environment))
    process = run(environment.operator("sleep 4", delivery="agent", execution_timeout=timedelta(minutes=20)))

    wait_until(lambda: set(leases(environment)) - before)
    (lease,) = set(leases(environment)) - before
    wait_until(lambda: lifetime(environment, lease) > 1190)
    token = wait_until(lambda: new_token(environment))
    role_ttl = environment.vault_admin.request("GET", login_role)["data"]["token_ttl"]
    wait_until(lambda: ttl_of(environment, token) <= role_ttl)

    assert process.outcome()[0] == "ok"
    assert str(environment.traces()) == "nothing"


def test_a_lease_is_renewed_while_a_task_without_a_limit_runs(environment: FaultEnvironment) -> None:
    environment.begin()
    with changed(environment, DATABASE_ROLE, default_ttl=3, max_ttl=600):
        task = environment.operator(delivery="agent", execution_timeout=None, **HELD)
        process = run(task)
        wait_until(environment.servers.roles_left)
        first = environment.servers.roles_left()
        wait_until(lambda: environment.vault.count("/v1/sys/leases/renew") > 1)

        assert first == environment.servers.roles_left()
        environment.run_in(
            wait_until(lambda: environment.running(task))["metadata"]["name"], "base", "touch /tmp/end"
        )
        assert process.outcome()[0] == "ok"
    assert environment.leases() == 1
    assert str(environment.traces()) == "nothing"


def test_a_file_changes_in_the_running_pod_when_its_secret_does(
    environment: FaultEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment.begin()
    monkeypatch.setattr(configuration, "_RENDER_INTERVAL", "1s")
    secret = VaultSecret("secret/payments/rotated", file="rotated", key="word")
    environment.servers.setup.kv("secret/payments/rotated", {"word": "before"})
    wait = "until grep -q after /vault/secrets/rotated; do sleep 0.1; done"
    script = f"grep -q before /vault/secrets/rotated && touch /tmp/seen && {wait}"
    task = environment.operator(secrets=[secret], delivery="agent", cmds=["sh", "-c", script], **MINUTES)
    # An agent that reads so often is another one: the policies are compiled for it.
    with environment.configured():
        process = run(task)
        pod = wait_until(lambda: environment.running(task))["metadata"]["name"]
        wait_until(lambda: environment.run_in(pod, "base", "ls /tmp/seen"))
        environment.servers.setup.kv("secret/payments/rotated", {"word": "after"})
        outcome = process.outcome()
        # Before the policies are compiled as they were: the next test's agent reads as rarely as others.
        monkeypatch.undo()

    assert outcome[0] == "ok"
    assert str(environment.traces()) == "nothing"


def test_a_file_gets_a_new_login_when_the_lease_of_the_old_one_cannot_be_renewed(
    environment: FaultEnvironment,
) -> None:
    environment.begin()
    secret = VaultSecret("database/creds/payments-rw", engine="dynamic", file="login", key="username")
    script = 'cd /vault/secrets; first=$(cat login); while [ "$(cat login)" = "$first" ]; do sleep 1; done'
    task = environment.operator(secrets=[secret], delivery="agent", cmds=["sh", "-c", script], **MINUTES)

    with changed(environment, DATABASE_ROLE, default_ttl=2, max_ttl=4):
        state, _ = run(task).outcome()

    assert state == "ok"
    assert environment.leases() >= 2
    assert str(environment.traces()) == "nothing"


def test_a_variable_with_a_long_name_arrives(environment: FaultEnvironment) -> None:
    environment.begin()
    name = f"A{'_LONG' * 30}"
    secret = VaultSecret("secret/payments/partner", env={name: "api_key"})
    task = environment.operator(
        secrets=[secret], delivery="agent", cmds=["sh", "-c", f'test -n "${name}"'], **MINUTES
    )

    assert run(task).outcome() == ("ok", None)


def test_a_login_ends_with_a_pod_that_gets_two_seconds_while_its_agent_is_about_to_be_started_again(
    environment: FaultEnvironment,
) -> None:
    environment.begin()
    task = environment.operator(delivery="agent", **LONG)
    process = run(task)
    pod = wait_until(lambda: environment.running(task))["metadata"]["name"]

    environment.run_in(pod, "vault-agent", KILL_AGENT)
    environment.core.delete_namespaced_pod(pod, NAMESPACE, grace_period_seconds=1)

    assert process.outcome()[0] == "failed"
    assert str(environment.traces()) == "nothing"


def leases(environment: FaultEnvironment) -> list[str]:
    try:
        result = environment.vault_admin.request("LIST", "sys/leases/lookup/database/creds/payments-rw")
    except VaultError:
        return []  # 404: there is none
    return list(result["data"]["keys"])


def lifetime(environment: FaultEnvironment, lease: str) -> int:
    body = {"lease_id": f"database/creds/payments-rw/{lease}"}
    return int(environment.vault_admin.request("PUT", "sys/leases/lookup", body)["data"]["ttl"])


def new_token(environment: FaultEnvironment) -> str:
    return next((token for token in environment._tokens() if token not in environment._known_tokens), "")


def ttl_of(environment: FaultEnvironment, accessor: str) -> int:
    body = {"accessor": accessor}
    return int(environment.vault_admin.request("POST", "auth/token/lookup-accessor", body)["data"]["ttl"])
