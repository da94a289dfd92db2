"""What the clouds' hooks find of a cluster, as the kubeconfig of a connection."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.faults.case import whole
from tests.faults.worker import Process
from tests.starters.clouds import GKE, REGION
from tests.starters.conftest import Cloud

pytest.importorskip("airflow.providers.amazon", reason="make starters")

from airflow.providers.amazon.aws.hooks.eks import EksHook
from airflow.providers.google.cloud.hooks.kubernetes_engine import GKEHook


@pytest.fixture
def known(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """Let this process be the worker to the clouds, with connections of theirs."""
    for name, value in cloud.identity("worker").items():
        monkeypatch.setenv(name, value)
    key = {"key_path": str(cloud.key_file("worker")), "project": "project"}
    google = {"conn_type": "google_cloud_platform", "extra": key}
    monkeypatch.setenv("AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT", json.dumps(google))
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps({"conn_type": "aws"}))
    return cloud


def test_the_kubeconfig_of_amazons_hook_is_good_while_its_credentials_file_is_there(
    known: Cloud, connected: Any
) -> None:
    hook = EksHook(aws_conn_id="aws_default", region_name=REGION)
    with hook.generate_config_file_with_credentials("prod", "team-payments") as (kubeconfig, _):
        content = yaml.safe_load(Path(kubeconfig).read_text())
        connected(lambda who: content)
        inside, message = whole(known.environment, known.environment.operator())
    outside, reason = whole(known.environment, known.environment.operator())
    left = str(known.environment.traces(60))
    known.environment.clean()

    assert ("ok", "nothing") == (inside, left), message
    assert outside == "failed"
    assert "does not take this worker's credentials" in reason


def test_a_cluster_that_googles_hook_finds_takes_the_tokens_of_googles_library(
    known: Cloud, connected: Any
) -> None:
    def cluster_of() -> tuple[str, str]:
        cluster = GKEHook(location="europe-west1").get_cluster(name="prod", project_id="project")
        return cluster.endpoint, cluster.master_auth.cluster_ca_certificate

    # In a process of its own: gRPC does not outlive a fork.
    state, (endpoint, authority) = Process(cluster_of).outcome()
    made = known.by_library("gke")

    def kubeconfig(who: str) -> Any:
        content = made(who)
        content["clusters"][0]["cluster"] = {
            "server": f"https://{endpoint}",
            "certificate-authority-data": authority,
        }
        return content

    connected(kubeconfig)
    ended, message = whole(known.environment, known.environment.operator(deferrable=True))
    left = str(known.environment.traces(60))
    known.environment.clean()

    assert (state, ended, left) == ("ok", "ok", "nothing"), message
    assert GKE not in " ".join(known.clouds.requests)
