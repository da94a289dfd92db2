"""An agent that gave up has revoked its token: what it had rendered until then must not start a main process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from k8s_vault_devcluster.openbao import OpenBao
from k8s_vault_devcluster.provision import Provisioning
from kubernetes import client, config

from airflow_k8s_vault import VaultSecret, teams, templates
from airflow_k8s_vault.delivery import VaultLogin, agent
from tests import walls
from tests.attacks.conftest import SHIPPED
from tests.devcluster.mishaps import MishapCluster

SECRETS = [
    VaultSecret("secret/payments/first", env={"FIRST": "key"}),
    VaultSecret("secret/payments/late", file="late", key="key"),
]


@pytest.fixture
def setup(
    openbao: OpenBao, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[client.CoreV1Api, Provisioning, teams.Team]]:
    cluster = MishapCluster(tmp_path_factory.mktemp("second"))
    api = config.new_client_from_config(str(cluster.kubeconfig))
    team = teams.load("payments", SHIPPED)
    try:
        # A pause of 10 s before the agent's third start shows nothing.
        api.call_api(
            "/devcluster/kubelet",
            "POST",
            header_params={"Content-Type": "application/json"},
            body={"backoffSeconds": 0.5},
            response_types_map={},
            auth_settings=["BearerToken"],
        )
        with Provisioning(openbao.admin, api, auth_mount="second") as provisioning:
            provisioning.login()
            provisioning.teams(walls.copied(tmp_path_factory.mktemp("templates"), api), ["payments"])
            provisioning.kv("secret/payments/first", {"key": "old"})
            yield client.CoreV1Api(api), provisioning, team
    finally:
        cluster.stop()


def _until(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        if value := look():
            return value
        time.sleep(0.05)
    raise AssertionError("it did not come to that")


def _gave_up(pod: Any) -> bool:
    agents = pod.status.init_container_statuses or []
    return bool(agents and (agents[0].state.terminated or agents[0].restart_count))


def test_nothing_that_an_agent_rendered_before_it_gave_up_is_used(
    openbao: OpenBao, setup: tuple[client.CoreV1Api, Provisioning, teams.Team]
) -> None:
    core, provisioning, team = setup
    pod = templates.find("payments/etl", SHIPPED).render({})
    pod["metadata"]["name"] = "second"
    pod["spec"]["containers"][0]["command"] = ["sh", "-c", 'echo "first is $FIRST"']
    login = VaultLogin(openbao.address, team.vault_role, auth_mount="second")
    core.create_namespaced_pod(team.namespace, agent.attach(pod, SECRETS, login))

    def read() -> Any:
        return core.read_namespaced_pod("second", team.namespace)

    _until(lambda: _gave_up(read()))
    # The first secret is gone, as a revoked lease would be; the second one has arrived.
    openbao.request("DELETE", "secret/data/payments/first")
    provisioning.kv("secret/payments/late", {"key": "here"})
    before = _restarts(read())
    # The start after next is the first that sees nothing but this.
    _until(lambda: _started(pod := read()) or _restarts(pod) > before + 2)
    log = core.read_namespaced_pod_log("second", team.namespace, container="base") if _started(read()) else ""

    assert "first is old" not in log


def _restarts(pod: Any) -> int:
    return int(pod.status.init_container_statuses[0].restart_count)


def _started(pod: Any) -> bool:
    status = (pod.status.container_statuses or [None])[0]
    return bool(status and (status.state.terminated or status.state.running))
