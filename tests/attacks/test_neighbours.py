"""What the containers of a real pod, and whoever reads the pod, its events and logs, can find of its secrets."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from k8s_vault_devcluster.openbao import OpenBao
from k8s_vault_devcluster.provision import Provisioning
from k8s_vault_devcluster.server import DevCluster
from kubernetes import client, config

from airflow_k8s_vault import VaultSecret, teams, templates
from airflow_k8s_vault.delivery import VaultLogin, agent
from tests import walls
from tests.attacks.conftest import SHIPPED

CANARY = "c4nary-of-the-neighbours"
# Whatever a process can read of the others: their files by every name, their environment, their command lines.
LOOK = """
echo "files: $(find / -name token -o -name tokens -o -name agent.json -o -name '*.env' 2>/dev/null | tr '\\n' ' ')"
echo "vault: $(find /vault /var/run/secrets 2>/dev/null | tr '\\n' ' ')"
echo "roots: $(ls -d /proc/[0-9]*/root/vault/agent 2>/dev/null)"
echo "environments: $(cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -c -e ^AGENT_CONFIG -e ^VAULT_)"
echo "commands: $(cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -c '[-]config=')"
echo "has: ${SECRET:+a variable}$(test -s /vault/secrets/f && echo ' and a file')"
"""


class Ran(NamedTuple):
    """What a pod left behind."""

    pod: str
    events: str
    logs: dict[str, str]
    tokens: list[str]


@pytest.fixture(scope="module")
def ran(openbao: OpenBao, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """A pod of team payments, run to its end: base has the secret, a neighbour and an init container have not."""
    cluster = DevCluster(tmp_path_factory.mktemp("attacked"))
    api = config.new_client_from_config(str(cluster.kubeconfig))
    team = teams.load("payments", SHIPPED)
    try:
        with Provisioning(openbao.admin, api, auth_mount="attacked") as setup:
            setup.login()
            setup.teams(walls.copied(tmp_path_factory.mktemp("templates"), api), ["payments"])
            setup.kv("secret/payments/attacked", {"key": CANARY})
            yield _run(client.CoreV1Api(api), openbao, team)
    finally:
        cluster.stop()


def _run(core: client.CoreV1Api, openbao: OpenBao, team: teams.Team) -> Ran:
    pod = templates.find("payments/etl", SHIPPED).render({})
    base = pod["spec"]["containers"][0] | {"command": ["sh", "-c", LOOK]}
    unasked = {key: value for key, value in base.items() if key != "env"}
    pod["metadata"]["name"] = "attacked"
    pod["spec"]["containers"] = [base, unasked | {"name": "neighbour"}]
    pod["spec"]["initContainers"] = [unasked | {"name": "before"}]
    secret = VaultSecret("secret/payments/attacked", env={"SECRET": "key"}, file="f", key="key")
    login = VaultLogin(openbao.address, team.vault_role, auth_mount="attacked")
    core.create_namespaced_pod(team.namespace, agent.attach(pod, [secret], login))
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and _phase(core, team) not in ("Succeeded", "Failed"):
        time.sleep(0.1)
    logs = {
        name: core.read_namespaced_pod_log("attacked", team.namespace, container=name, _preload_content=False)
        for name in ("base", "neighbour", "before", "vault-agent")
    }
    return Ran(
        core.read_namespaced_pod("attacked", team.namespace, _preload_content=False).data.decode(),
        core.list_namespaced_event(team.namespace, _preload_content=False).data.decode(),
        {name: answer.data.decode() for name, answer in logs.items()},
        _tokens_of_pods(openbao),
    )


def _phase(core: client.CoreV1Api, team: teams.Team) -> Any:
    return core.read_namespaced_pod("attacked", team.namespace).status.phase


def _tokens_of_pods(openbao: OpenBao) -> list[str]:
    accessors = openbao.request("LIST", "auth/token/accessors")["data"]["keys"]
    matches = [openbao.request("POST", "auth/token/lookup-accessor", {"accessor": key}) for key in accessors]
    return [token["data"]["path"] for token in matches if token["data"]["path"].startswith("auth/attacked/")]


def _printed(ran: Ran, container: str) -> dict[str, str]:
    lines = [line.partition(": ") for line in ran.logs[container].splitlines()]
    return {name: result.strip() for name, _, result in lines}


def test_only_the_container_that_was_given_the_secret_has_it(ran: Ran) -> None:
    assert _printed(ran, "base")["has"] == "a variable and a file"
    assert _printed(ran, "neighbour")["has"] == ""
    assert _printed(ran, "before")["has"] == ""


@pytest.mark.parametrize("container", ["base", "neighbour", "before"])
def test_no_container_finds_the_agents_token_or_its_configuration(ran: Ran, container: str) -> None:
    message = _printed(ran, container)

    assert message["files"] == message["roots"] == ""
    assert message["environments"] == message["commands"] == "0"
    assert "agent" not in message["vault"]


def test_the_value_is_in_no_pod_no_event_and_no_log(ran: Ran) -> None:
    assert CANARY not in ran.pod
    assert CANARY not in ran.events
    assert CANARY not in str(ran.logs)


def test_the_token_does_not_outlive_the_pod(ran: Ran) -> None:
    assert ran.tokens == []
