"""One cluster of a cloud for all cases: devcluster, behind an endpoint that takes the cloud's tokens alone."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.faults.fault_environment import FaultEnvironment
from tests.starters.cloud_cluster import CloudCluster
from tests.starters.clouds import TENANT, Clouds

# The Kubernetes connections of both, by the variable that a test sets.
WHO = {"AIRFLOW_CONN_KUBERNETES_DEFAULT": "worker", "K8S_VAULT_TEST_TRIGGERER": "triggerer"}
EXTRA = Path(os.environ.get("PYTHONPATH", "").partition(":")[0]).resolve()
TOKEN_PROGRAM = Path(__file__).parents[2] / "deploy" / "clusters" / "cluster_token.py"


@dataclass
class Cloud:
    environment: FaultEnvironment
    clouds: Clouds
    cluster: CloudCluster
    folder: Path

    def identity(self, who: str) -> dict[str, str]:
        """Return the variables by which a process is this worker, or triggerer, to each of the clouds."""
        return {
            **self.clouds.environment,
            "PATH": f"{EXTRA / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(EXTRA),
            "AWS_ACCESS_KEY_ID": f"AKIA{who.upper()}",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_CONFIG_FILE": str(self.folder / "none"),
            "GOOGLE_APPLICATION_CREDENTIALS": str(self.key_file(who)),
            "AZURE_TENANT_ID": TENANT,
            "AZURE_CLIENT_ID": who,
            "AZURE_CLIENT_SECRET": "x",
        }

    def key_file(self, who: str) -> Path:
        """Return the key of a service account of Google's."""
        file = self.folder / f"{who}.json"
        if not file.exists():
            key = rsa.generate_private_key(65537, 2048)
            pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
            account = {"type": "service_account", "project_id": "project", "private_key_id": "1"}
            email = f"{who}@project.iam.gserviceaccount.com"
            where = {"client_email": email, "token_uri": "https://oauth2.googleapis.com/token"}
            file.write_text(json.dumps({**account, "private_key": pem, **where}))
        return file

    def kubeconfig(self, command: str, arguments: list[str], environment: dict[str, str]) -> dict[str, Any]:
        """Return the kubeconfig of a connection whose tokens that program prints."""
        program: dict[str, Any] = {"apiVersion": "client.authentication.k8s.io/v1", "command": command}
        program |= {"args": arguments, "interactiveMode": "Never"}
        program["env"] = [{"name": name, "value": value} for name, value in environment.items()]
        where = {"server": self.cluster.address, "certificate-authority-data": self.clouds.authority}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "prod", "cluster": where}],
            "users": [{"name": "airflow", "user": {"exec": program}}],
            "contexts": [{"name": "prod", "context": {"cluster": "prod", "user": "airflow"}}],
            "current-context": "prod",
        }

    def by_library(self, cloud: str, *arguments: str) -> Callable[[str], dict[str, Any]]:
        """Return what makes a kubeconfig with deploy/clusters/cluster_token.py."""
        given = [str(TOKEN_PROGRAM), cloud, *arguments]
        return lambda who: self.kubeconfig(sys.executable, given, self.identity(who))


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("cloud")
    with FaultEnvironment(folder / "environment") as environment:
        servers = environment.servers
        files = {"worker": servers.worker_kubeconfig, "triggerer": servers.triggerer_kubeconfig}
        tokens = {
            who: yaml.safe_load(file.read_text())["users"][0]["user"]["token"] for who, file in files.items()
        }
        accounts = {**tokens, **{f"AKIA{who.upper()}": token for who, token in tokens.items()}}
        cluster = CloudCluster(environment.kube.address, accounts, lambda token: clouds.who(token))
        clouds = Clouds(folder, cluster.address.replace("http:", "https:"))
        cluster.serve_tls(clouds.certificates)
        yield Cloud(environment, clouds, cluster, folder)
        cluster.stop()
        clouds.stop()


@pytest.fixture
def connected(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[str], Any]], None]:
    """Have the Kubernetes connections of worker and triggerer lead to the cloud's cluster."""

    def connect(kubeconfig_of: Callable[[str], Any]) -> None:
        for name, who in WHO.items():
            extra = {"kube_config": kubeconfig_of(who)}
            monkeypatch.setenv(name, json.dumps({"conn_type": "kubernetes", "extra": extra}))

    cloud.environment.begin()
    cloud.cluster.refused, cloud.cluster.life_seconds, cloud.clouds.life_seconds = 0, 900, 3600
    cloud.cluster.tokens.clear()
    return connect
