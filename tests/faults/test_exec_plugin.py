"""Clusters of cloud providers: the kubeconfig names a program that prints the token, and each process runs it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.faults.case import whole
from tests.faults.fault_environment import FaultEnvironment
from tests.faults.fault_proxy import Fault

CONNECTIONS = ("AIRFLOW_CONN_KUBERNETES_DEFAULT", "K8S_VAULT_TEST_TRIGGERER")


def by_program(connection: str, folder: Path) -> str:
    """Return a connection whose kubeconfig has, for each token, a program that prints it and notes each run."""
    folder.mkdir()
    kubeconfig: dict[str, Any] = yaml.safe_load(
        Path(json.loads(connection)["extra"]["kube_config_path"]).read_text()
    )
    for user in kubeconfig["users"]:
        token = user["user"].pop("token")
        answer = {
            "apiVersion": "client.authentication.k8s.io/v1",
            "kind": "ExecCredential",
            "status": {"token": token},
        }
        program = folder / "get-token"
        program.write_text(f"#!/bin/sh\necho ran >> {folder}/runs\ncat {folder}/answer\n")
        program.chmod(0o700)
        (folder / "answer").write_text(json.dumps(answer))
        user["user"]["exec"] = {
            "apiVersion": answer["apiVersion"],
            "command": str(program),
            "interactiveMode": "Never",
        }
    (folder / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))
    return json.dumps({"conn_type": "kubernetes", "extra": {"kube_config_path": str(folder / "kubeconfig")}})


def test_worker_and_triggerer_reach_a_cluster_whose_tokens_a_program_prints(
    environment: FaultEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in CONNECTIONS:
        monkeypatch.setenv(name, by_program(os.environ[name], tmp_path / name))
    environment.begin()
    try:
        state, result = whole(environment, environment.operator(delivery="agent", deferrable=True))
        left = str(environment.traces(60))
    finally:
        environment.clean()

    assert ("ok", "nothing") == (state, left), result
    assert all((tmp_path / name / "runs").exists() for name in CONNECTIONS)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have a program print the worker's tokens; the file has a line for each of its runs."""
    connection = by_program(os.environ["AIRFLOW_CONN_KUBERNETES_DEFAULT"], tmp_path / "worker")
    monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", connection)
    return tmp_path / "worker" / "runs"


@pytest.mark.parametrize("request_", ["POST /api/v1/namespaces/team-payments/pods", "DELETE .*/pods/"])
def test_a_worker_whose_token_is_refused_asks_for_another(
    environment: FaultEnvironment, runs: Path, request_: str
) -> None:
    environment.begin()
    environment.kube.faults = [Fault(request_, 401)]
    try:
        state, result = whole(environment, environment.operator(delivery="secret"))
        left = str(environment.traces(60))
    finally:
        environment.clean()

    assert ("ok", "nothing") == (state, left), result
    assert len(runs.read_text().splitlines()) == 2


def test_a_worker_that_is_given_no_token_fails_so_that_airflow_tries_again(
    environment: FaultEnvironment, runs: Path
) -> None:
    (runs.parent / "answer").unlink()
    environment.begin()
    operator = environment.operator(delivery="agent")
    state, result = whole(environment, operator)

    assert state == "failed"
    assert result.startswith("DeliveryUnavailable: The Kubernetes API does not take this worker's credentials")
    assert not environment.pods_of(operator)
