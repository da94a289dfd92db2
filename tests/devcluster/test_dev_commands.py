"""`airflow k8s-vault dev`, as a shell runs it."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.devcluster.test_process import running
from tests.faults.worker import wait_until

UP = """\
from argparse import Namespace
from k8s_vault_devcluster import commands
commands.up(Namespace(folder={!r}))
"""


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
        known = json.loads(state.read_text())
        pids = [server["pid"] for server in known["servers"]]
        shown = running(known["vault_token"]) + running(urlsplit(known["postgres_uri"]).password)
    finally:
        down = airflow(tmp_path, "down")

    lines = up.stdout.splitlines()
    assert [line.partition("=")[0] for line in lines] == [
        "export KUBECONFIG",
        "export VAULT_ADDR",
        "export VAULT_TOKEN",
        "export POSTGRES_URI",
        "export VAULT_POSTGRES_URI",
    ]
    assert "devcluster is ready after" in up.stderr
    assert status["running"] is True
    assert {server["state"] for server in status["servers"]} == {"running"}
    assert mode == 0o600
    assert shown == []
    assert down.returncode == 0, down.stderr
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
    assert not state.exists()


def test_servers_whose_starter_was_killed_before_it_knew_of_them_stop(tmp_path: Path) -> None:
    up = subprocess.Popen([sys.executable, "-c", UP.format(str(tmp_path))], stderr=subprocess.PIPE, text=True)
    assert up.stderr
    assert "OpenBao is ready" in up.stderr.readline()

    up.kill()
    up.wait()

    wait_until(lambda: not running(str(tmp_path)))
    assert not (tmp_path / "state.json").exists()


def test_up_takes_no_folder_that_others_may_write_to(tmp_path: Path) -> None:
    folder = tmp_path / "airflow-k8s-vault"
    folder.mkdir()
    folder.chmod(0o777)

    up = airflow(tmp_path, "up")

    assert 2 == up.returncode
    assert f"{folder} is another user's, or others may write to it" in up.stderr
