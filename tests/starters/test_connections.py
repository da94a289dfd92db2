"""A task in a cloud's cluster: its Kubernetes connection names the cloud's program, or the cloud's library."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.faults.case import whole
from tests.starters.clouds import REGION
from tests.starters.conftest import EXTRA, Cloud

pytest.importorskip("airflow.providers.amazon", reason="make starters")

Connect = Callable[[Callable[[str], Any]], None]
WAYS = ("aws", "eks", "gke", "aks")


def by_aws(cloud: Cloud, who: str, folder: Path) -> dict[str, Any]:
    """Return the kubeconfig that `aws eks update-kubeconfig` writes, for another account each."""
    file = folder / who
    command = [str(EXTRA / "bin" / "aws"), "eks", "update-kubeconfig", "--name", "prod", "--region", REGION]
    identity = cloud.identity(who)
    subprocess.run([*command, "--kubeconfig", str(file)], env=identity, check=True, capture_output=True)
    content: dict[str, Any] = yaml.safe_load(file.read_text())
    program = content["users"][0]["user"]["exec"]
    program["env"] = [{"name": name, "value": value} for name, value in identity.items()]
    return content


def kubeconfigs(cloud: Cloud, way: str, folder: Path) -> Callable[[str], Any]:
    if way == "aws":
        return lambda who: by_aws(cloud, who, folder)
    return cloud.by_library(way, *(["prod", REGION] if way == "eks" else []))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("delivery", ["agent", "secret"])
@pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "deferred"])
def test_a_task_runs_in_a_cloud_s_cluster_and_leaves_nothing(
    cloud: Cloud, connected: Connect, tmp_path: Path, way: str, delivery: str, deferrable: bool
) -> None:
    connected(kubeconfigs(cloud, way, tmp_path))
    try:
        state, message = whole(
            cloud.environment, cloud.environment.operator(delivery=delivery, deferrable=deferrable)
        )
        left = str(cloud.environment.traces(60))
    finally:
        cloud.environment.clean()

    assert ("ok", "nothing") == (state, left), message
    assert 0 == cloud.cluster.refused


@pytest.mark.parametrize("delivery", ["agent", "secret"])
@pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "deferred"])
@pytest.mark.parametrize("way", ["gke", "eks"], ids=["that ends when it says so", "that ends before"])
def test_a_task_outlives_the_token_that_it_began_with(
    cloud: Cloud, connected: Connect, tmp_path: Path, way: str, delivery: str, deferrable: bool
) -> None:
    connected(kubeconfigs(cloud, way, tmp_path))
    cloud.clouds.life_seconds = cloud.cluster.life_seconds = 6
    try:
        operator = cloud.environment.operator("sleep 15", delivery=delivery, deferrable=deferrable)
        state, message = whole(cloud.environment, operator)
        cloud.clouds.life_seconds = cloud.cluster.life_seconds = 900
        left = str(cloud.environment.traces(60))
    finally:
        cloud.environment.clean()

    assert ("ok", "nothing") == (state, left), message
    assert len(cloud.cluster.tokens) > 1
