"""The agent in a pod of devcluster, with a Vault whose certificate only the configured CA vouches for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from k8s_vault_devcluster.openbao import OpenBao, VaultAdmin
from k8s_vault_devcluster.provision import Provisioning
from k8s_vault_devcluster.server import DevCluster
from kubernetes import client, config

from airflow_k8s_vault import templates
from airflow_k8s_vault.delivery import agent, failure
from airflow_k8s_vault.delivery.login import VaultLogin
from airflow_k8s_vault.vault_secret import VaultSecret
from tests import walls

TEMPLATES = Path(__file__).parents[2] / "pod_templates"
SECRET = VaultSecret("secret/payments/partner", env={"API_KEY": "api_key"})


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VaultAdmin]:
    folder = tmp_path_factory.mktemp("tls-vault")
    server = OpenBao(folder, tls_dir=folder / "tls")
    yield VaultAdmin(server.address, server.root_token, str(server.cacert))
    server.stop()


@pytest.fixture(scope="module")
def core(vault: VaultAdmin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[client.CoreV1Api]:
    cluster = DevCluster(tmp_path_factory.mktemp("cluster"))
    api = config.new_client_from_config(str(cluster.kubeconfig))
    with Provisioning(vault, api) as setup:
        setup.login()
        setup.teams(walls.copied(tmp_path_factory.mktemp("templates"), api), ["payments"])
        setup.kv("secret/payments/partner", {"api_key": "over tls"})
        yield client.CoreV1Api(api)
    cluster.stop()


def run(core: client.CoreV1Api, name: str, login: VaultLogin) -> Any:
    """Run a pod that prints its variable; return it when it ended, or when its agent gave up."""
    pod = templates.find("payments/etl", TEMPLATES).render({})
    pod["metadata"]["name"] = name
    pod["spec"]["containers"][0]["command"] = ["sh", "-c", 'echo "got $API_KEY"']
    core.create_namespaced_pod("team-payments", agent.attach(pod, [SECRET], login))
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        result = core.read_namespaced_pod(name, "team-payments")
        if result.status.phase in ("Succeeded", "Failed") or failure.delivery_failure(result, login, "base"):
            return result
        time.sleep(0.1)
    raise AssertionError(f"the pod neither ended nor failed: {result.status}")


def test_the_agent_trusts_the_configured_ca(core: client.CoreV1Api, vault: VaultAdmin) -> None:
    login = VaultLogin(vault.address, "payments", cacert=Path(str(vault.cacert)).read_text())

    pod = run(core, "trusting", login)

    assert pod.status.phase == "Succeeded"
    log = core.read_namespaced_pod_log("trusting", "team-payments", container="base", _preload_content=False)
    assert b"got over tls" in log.data


def test_a_certificate_that_nobody_vouches_for_stops_the_pod(core: client.CoreV1Api, vault: VaultAdmin) -> None:
    login = VaultLogin(vault.address, "payments")

    problem = failure.delivery_failure(run(core, "doubting", login), login, "base")

    assert "certificate signed by unknown authority" in str(problem)
    assert "Set [k8s_vault] vault_cacert" in str(problem)
