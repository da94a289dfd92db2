"""The demo's DAGs and teams on a real cluster and Vault, and an API server: what the page shows is what ran."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from k8s_vault_devcluster.demo.environment import Environment
from k8s_vault_devcluster.server import DevCluster

from tests.page.server import ApiServer

ROOT = Path(__file__).parents[2]
# A pod that fails and is kept, then one that runs until it is deleted.
WAITS = """\
from datetime import timedelta
from airflow.sdk import DAG
from airflow_k8s_vault import VaultPodOperator, VaultSecret

with DAG("waits", schedule=None):
    common = {"pod_template": "payments/etl", "execution_timeout": timedelta(minutes=10), "cmds": ["sleep", "600"]}
    absent = VaultSecret("secret/payments/absent", file="a")
    present = VaultSecret("secret/payments/partner", file="partner.key", key="api_key")
    missing = VaultPodOperator(task_id="missing", vault_secrets=[absent], on_finish_action="keep_pod", **common)
    runs = VaultPodOperator(task_id="runs", vault_secrets=[present], trigger_rule="all_done", **common)
    missing >> runs
"""
# One process for all: each would import Airflow anew.
_TEST = """\
import sys
from airflow.dag_processing.dagbag import DagBag

bag = DagBag(sys.argv[1], bundle_path=sys.argv[1], bundle_name="demo")
for dag_id in sys.argv[2:]:
    bag.get_dag(dag_id).test()
"""


class DemoCluster(Environment):
    """The demo's servers. The page's API server has the rights of Airflow's worker in the cluster."""

    def _own_cluster(self) -> Path:
        cluster = self.cluster = DevCluster(self.folder / "cluster", host=self.host)
        self._exits.callback(cluster.stop)
        return cluster.kubeconfig

    @contextlib.contextmanager
    def hanging(self) -> Iterator[None]:
        """The API server answers nobody, and hangs nobody up."""
        os.kill(self.cluster.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.cluster.pid, signal.SIGCONT)


class Demo:
    """servers: see DemoCluster. server: Airflow's API server with the demo's DAGs. templates_dir: the page's."""

    def __init__(self, folder: Path) -> None:
        self.templates_dir = folder / "pod_templates"
        shutil.copytree(ROOT / "pod_templates", self.templates_dir)
        # For the pod that is kept: the demo's teams leave that closed.
        _replace(self.templates_dir / "platform.yaml", "overridable:\n", "overridable:\n  - on_finish_action\n")
        _replace(
            self.templates_dir / "payments" / "team.yaml", "overridable: [", "overridable: [on_finish_action, "
        )
        dags = folder / "dags" / "demo"
        shutil.copytree(ROOT / "dags", dags, ignore=shutil.ignore_patterns("__pycache__"))
        (dags / "waits.py").write_text(WAITS)
        self.servers = DemoCluster(folder / "servers", self.templates_dir, print)
        self.servers.__enter__()
        settings = {
            "KUBECONFIG": str(self.servers.worker_kubeconfig),
            "AIRFLOW__K8S_VAULT__TEMPLATES_DIR": str(self.templates_dir),
            **{f"AIRFLOW__K8S_VAULT__{name.upper()}": text for name, text in self.servers.setup.settings.items()},
        }
        self._dags, self._log = dags, folder / "dags.log"
        self.server = ApiServer(folder / "airflow", dags.parent, settings)
        self._running: list[subprocess.Popen[bytes]] = []

    def close(self) -> None:
        for process in self._running:
            # With the processes of its tasks.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        # Nobody waits for a `sleep` that hears no signal.
        self.servers.core().delete_collection_namespaced_pod("team-payments", grace_period_seconds=0)
        self.server.stop()
        self.servers.close()

    def start(self, *dag_ids: str) -> None:
        """Run the DAGs' tasks one after the other, in a process of its own, as `airflow dags test` does."""
        command = [sys.executable, "-c", _TEST, str(self._dags), *dag_ids]
        environment = {**os.environ, **self.server.environment}
        with self._log.open("wb") as log:
            started = subprocess.Popen(
                command, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        self._running.append(started)

    def task(self, dag_id: str, task_id: str) -> str:
        """Return the query of the task's tab, in the DAG's one run."""
        (run,) = self.server.ask(f"/api/v2/dags/{dag_id}/dagRuns", "admin").json()["dag_runs"]
        return urlencode({"dag_id": dag_id, "run_id": run["dag_run_id"], "task_id": task_id})

    def failed(self, dag_id: str, task_id: str, seconds: float = 120) -> str:
        """Return the query of the tab of a task, once it says why the task failed."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(ValueError, KeyError):
                tab = self.task(dag_id, task_id)
                if self.server.get(f"/task.json?{tab}").json()["failure"]:
                    return tab
            time.sleep(0.5)
        raise AssertionError(self._log.read_text()[-4000:])

    def pod(self, dag_id: str, task_id: str, is_there: Callable[[Any], bool], seconds: float = 90) -> Any:
        """Return the task's pod once it is as it should be."""
        deadline, selector = time.monotonic() + seconds, f"dag_id={dag_id},task_id={task_id}"
        while time.monotonic() < deadline:
            for pod in self.servers.core().list_namespaced_pod("team-payments", label_selector=selector).items:
                if is_there(pod):
                    return pod
            time.sleep(0.2)
        raise AssertionError(self._log.read_text()[-4000:])


def _replace(file: Path, before: str, after: str) -> None:
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))
