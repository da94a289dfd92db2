"""`airflow k8s-vault dev`, as a shell runs it."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest


def airflow(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "XDG_STATE_HOME": str(folder)}
    command = [str(Path(sys.executable).parent / "airflow"), "k8s-vault", "dev", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90)


@pytest.mark.timeout(120)
def test_up_prints_exports_that_a_shell_evaluates_and_down_leaves_nothing(tmp_path: Path) -> None:
    up = airflow(tmp_path, "up")
    try:
        status = json.loads(airflow(tmp_path, "status", "--output", "json").stdout)
        state = tmp_path / "airflow-k8s-vault" / "state.json"
        mode = stat.S_IMODE(state.stat().st_mode)
        pids = [int(server["identity"].partition(":")[0]) for server in json.loads(state.read_text())["servers"]]
    finally:
        down = airflow(tmp_path, "down")

    lines = up.stdout.splitlines()
    assert [line.partition("=")[0] for line in lines] == [
        "export KUBECONFIG",
        "export VAULT_ADDR",
        "export VAULT_TOKEN",
        "export POSTGRES_URI",
    ]
    assert "devcluster is ready after" in up.stderr
    assert status["running"] is True
    assert {server["state"] for server in status["servers"]} == {"running"}
    assert mode == 0o600
    assert down.returncode == 0, down.stderr
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
    assert not state.exists()
