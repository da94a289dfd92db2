"""The page of "who gets what" over many tasks: what a request costs beside Airflow's own list of DAGs."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.row import Row
from tests.page.server import ApiServer

DAGS, TASKS_A_DAG = 40, 50
_DAG = """\
from airflow.sdk import DAG
from airflow_k8s_vault import VaultPodOperator, VaultSecret

for number in range({dags}):
    with DAG(f"load_{{number:03}}", schedule=None):
        for task in range({tasks}):
            VaultPodOperator(
                task_id=f"task_{{task:03}}",
                pod_template="payments/python",
                vault_secrets=[VaultSecret(f"secret/payments/source-{{task}}", env={{"TOKEN": "token"}})],
            )
"""


def run() -> list[Row]:
    """Return the rows: 2,000 tasks in 40 DAGs on SQLite, each request the median of nine."""
    with tempfile.TemporaryDirectory() as folder:
        dags = Path(folder) / "dags" / "payments"
        dags.mkdir(parents=True)
        (dags / "many.py").write_text(_DAG.format(dags=DAGS, tasks=TASKS_A_DAG))
        settings = {
            "AIRFLOW__K8S_VAULT__TEMPLATES_DIR": str(Path(__file__).parents[2] / "pod_templates"),
            "AIRFLOW__K8S_VAULT__VAULT_ADDR": "https://vault.invalid:8200",
        }
        server = ApiServer(Path(folder) / "home", dags.parent, settings)
        try:
            first = _seconds(lambda: _rows(server), 1)
            own = _seconds(lambda: _rows(server), 9)
            search = _seconds(lambda: server.get("/secrets?q=source-7+load_03"), 9)
            peer = _seconds(lambda: server.ask(f"/api/v2/dags?limit={DAGS}", "admin"), 9)
        finally:
            server.stop()
    count = f"{DAGS * TASKS_A_DAG:,} tasks"
    expected, limit = "below 1 s", 1.0
    return [
        Row(f"who gets what, {count}, the first request", None, first, "s", expected, first < limit),
        Row(
            f"who gets what, {count}",
            peer,
            own,
            "s",
            expected,
            own < limit,
            f"peer: Airflow's list of {DAGS} DAGs",
        ),
        Row(f"a search in {count}", None, search, "s", expected, search < limit),
    ]


def _rows(server: ApiServer) -> None:
    assert DAGS * TASKS_A_DAG == json.loads(server.get("/secrets.json").text)["count"]


def _seconds(work: Callable[[], object], times: int) -> float:
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return sorted(taken)[len(taken) // 2]
