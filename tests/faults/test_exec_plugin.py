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
