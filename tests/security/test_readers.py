"""What those get who may read Secrets of a team's namespace, run commands in its pods, or log in elsewhere."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
from kubernetes import client, config, stream

from airflow_k8s_vault.errors import VaultError
from tests.faults.endings import LONG
from tests.faults.fault_environment import NAMESPACE, FaultEnvironment
from tests.faults.worker import run, wait_until

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module", params=["agent", "secret"])
def running(environment: FaultEnvironment, request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """A delivery, and the pod of a task that has its secrets by it and runs."""
    operator = environment.operator(delivery=request.param, **LONG)
    process = run(operator)
    yield request.param, wait_until(lambda: environment.running(operator))["metadata"]["name"]
    process.kill(15)
    process.outcome()
    environment.traces()


def test_secrets_of_the_namespace_hold_values_with_delivery_secret_alone(
    environment: FaultEnvironment, running: tuple[str, str]
) -> None:
    delivery, _ = running
    secrets = environment.core.list_namespaced_secret(NAMESPACE).items
    texts = [base64.b64decode(text).decode() for secret in secrets for text in (secret.data or {}).values()]
    result = any(environment.servers.canary in text for text in texts)

    assert result == (delivery == "secret")


def test_whoever_may_run_commands_in_the_pod_has_its_values(
    environment: FaultEnvironment, running: tuple[str, str]
) -> None:
    _, pod = running
    core = client.CoreV1Api(config.new_client_from_config(str(environment.servers.kubeconfig)))
    look = ["cat", "/vault/secrets/partner.key"]
    run_in_pod = core.connect_get_namespaced_pod_exec
    message = stream.stream(run_in_pod, pod, NAMESPACE, container="base", command=look, stdout=True, stderr=True)
    result = environment.servers.canary in message

    assert result


@pytest.mark.parametrize(
    ("namespace", "account", "audience", "gets_in"),
    [
        (NAMESPACE, "airflow-payments", "vault", True),
        ("team-data-science", "airflow-data-science", "vault", False),
        (NAMESPACE, "default", "vault", False),
        (NAMESPACE, "airflow-payments", "other", False),
    ],
)
def test_a_role_is_bound_to_the_teams_account_namespace_and_audience(
    environment: FaultEnvironment, namespace: str, account: str, audience: str, gets_in: bool
) -> None:
    body = {"spec": {"audiences": [audience]}}
    token = environment.core.create_namespaced_service_account_token(account, namespace, body).status.token
    got_in = True
    try:
        login = {"role": "payments", "jwt": token}
        answer = environment.vault_admin.request("POST", f"auth/{environment.servers.auth_mount}/login", login)
        accessor = answer["auth"]["accessor"]
        environment.vault_admin.request("POST", "auth/token/revoke-accessor", {"accessor": accessor})
    except VaultError:
        got_in = False

    assert got_in == gets_in
