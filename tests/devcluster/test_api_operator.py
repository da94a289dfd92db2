"""An unmodified KubernetesPodOperator, run by Airflow's own `dags test`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from k8s_vault_devcluster.server import DevCluster

from tests.devcluster.conftest import Api


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of an Airflow of its own, its database made."""
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).parent / "dags"),
    }
    airflow("db", "migrate", environment=environment)
    return environment


def airflow(*arguments: str, environment: dict[str, str]) -> str:
    command = [str(Path(sys.executable).parent / "airflow"), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    return done.stdout + done.stderr


@pytest.mark.timeout(240)
def test_it_fetches_logs_and_xcom_and_notices_failure(
    devcluster: DevCluster, api: Api, namespace: str, space: str, home: dict[str, str]
) -> None:
    environment = {**home, "KUBECONFIG": str(devcluster.kubeconfig), "DEVCLUSTER_TEST_NAMESPACE": namespace}

    log = airflow("dags", "test", "devcluster_operator", environment=environment)

    assert "[base] made it" in log
    assert "[base] answer 42" in log
    ends = [line for line in log.splitlines() if "Task instance state updated" in line and "new_state=" in line]
    assert [state for line in ends for state in ("success", "failed") if f"new_state={state}" in line][-2:] == [
        "success",
        "failed",
    ]
    assert api("GET", f"{space}/pods")["items"] == []
