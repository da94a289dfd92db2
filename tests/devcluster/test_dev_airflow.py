"""`airflow k8s-vault dev airflow`: an Airflow on the servers of `dev up`."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from k8s_vault_devcluster import commands, dev_airflow
from k8s_vault_devcluster.demo.airflow_home import COMPONENTS, Airflow
from k8s_vault_devcluster.openbao import VaultAdmin
from k8s_vault_devcluster.process import free_port
from k8s_vault_devcluster.provision import Provisioning
from kubernetes import config

from airflow_k8s_vault.config import SETTINGS
from tests import walls
from tests.faults.worker import wait_until

ROOT = Path(__file__).parents[2]
STATE = {"kubeconfig": "/state/kubeconfig", "vault_addr": "http://127.0.0.1:1"}
DAG = """\
from airflow.sdk import DAG
from airflow_k8s_vault import VaultPodOperator, VaultSecret

with DAG("report", is_paused_upon_creation=False):
    VaultPodOperator(
        task_id="report",
        pod_template="payments/python",
        vault_secrets=[VaultSecret("secret/payments/feed", env={"FEED_USER": "user"})],
        cmds=["sh", "-c", 'test "$FEED_USER" = joe'],
    )
"""


@pytest.mark.parametrize(
    ("running", "dags", "message"),
    [(False, ".", 'First: eval "$(airflow k8s-vault dev up)"'), (True, "nope", "There is no folder")],
)
def test_it_says_what_it_needs(
    running: bool,
    dags: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(dev_airflow, "running_state", lambda folder: STATE if running else None)

    with pytest.raises(SystemExit) as ended:
        dev_airflow.run(Namespace(folder=str(tmp_path), dags=str(tmp_path / dags), port=None))

    assert 2 == ended.value.code
    assert message in capsys.readouterr().err


def test_it_has_the_settings_of_the_shell_and_the_vault_of_dev_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__TEMPLATES_DIR", "/srv/pod_templates")
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__VAULT_ADDR", "http://of.an.earlier.up:8200")
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__DEFAULT_DELIVERY", "secret")

    settings = dev_airflow.k8s_vault_settings(STATE)

    assert {setting.environment_variable for setting in SETTINGS} < set(settings)
    assert "/srv/pod_templates" == settings["AIRFLOW__K8S_VAULT__TEMPLATES_DIR"]
    assert STATE["vault_addr"] == settings["AIRFLOW__K8S_VAULT__VAULT_ADDR"]
    assert "secret" == settings["AIRFLOW__K8S_VAULT__DEFAULT_DELIVERY"]


@pytest.fixture
def templates_dir(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT / "pod_templates", tmp_path / "pod_templates"))


@pytest.fixture
def state(tmp_path: Path, templates_dir: Path) -> Iterator[dict[str, str]]:
    """What `dev up` runs, with the teams set up on it."""
    arguments = Namespace(folder=str(tmp_path / "servers"))
    commands.up(arguments)
    try:
        state = commands.running_state(tmp_path / "servers")
        assert state is not None
        api = config.new_client_from_config(state["kubeconfig"])
        walls.prepare(templates_dir, api)
        setup = Provisioning(VaultAdmin(state["vault_addr"], state["vault_token"]), api)
        setup.login()
        setup.teams(templates_dir)
        setup.kv("secret/payments/feed", {"user": "joe"})
        yield state
    finally:
        commands.down(arguments)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_dag_of_its_folder_runs_and_an_interrupt_leaves_nothing(
    tmp_path: Path, state: dict[str, str], templates_dir: Path
) -> None:
    """Only in `make faults`: Airflow takes half a minute to start, and tests/integration starts the same parts."""
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "report.py").write_text(DAG)
    environment = {
        **os.environ,
        "VAULT_TOKEN": state["vault_token"],
        "AIRFLOW__K8S_VAULT__TEMPLATES_DIR": str(templates_dir),
    }
    command = [sys.executable, "-m", "airflow", "k8s-vault", "dev", "airflow", str(tmp_path / "dags")]
    # Of the same home, and so with the same password.
    airflow = Airflow(tmp_path / "servers" / "airflow", tmp_path / "dags", "", {}, port=free_port())
    command += ["--folder", str(tmp_path / "servers"), "--port", airflow.url.rpartition(":")[2]]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr
        assert any(line.startswith(f"Airflow is at {airflow.url} ") for line in process.stderr)
        wait_until(lambda: airflow.get("/api/v2/dags")["dags"], 60)
        ended = airflow.watch({"report": airflow.trigger("report")}, lambda *_: None)
        environments = environments_in(tmp_path)
        with pytest.raises(urllib.error.HTTPError) as unknown:
            urllib.request.urlopen(f"{airflow.url}/auth/token", timeout=10)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)

    assert ["success"] == [instance["state"] for instance in ended["report"]]
    assert len(environments) >= len(COMPONENTS)
    superuser = str(urlsplit(state["postgres_uri"]).password)
    for known in (state["vault_token"], superuser):
        assert [] == [environment for environment in environments if known in environment]
    assert unknown.value.code in (401, 403)
    assert [] == environments_in(tmp_path)


def environments_in(folder: Path) -> list[str]:
    """Return the environment of each process of the Airflow whose home is in the folder."""
    matches = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            environment = (process / "environ").read_bytes().decode(errors="replace")
            if f"AIRFLOW_HOME={folder}/" in environment:
                matches.append(environment)
    return matches
