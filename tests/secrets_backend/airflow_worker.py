"""Run one task as an Airflow worker does: a supervisor forks the task process, which speaks to it over a socket.

Only the API server is played here, at the HTTP client's transport: it says which team the run is of, and has no
connections. Usage: python airflow_worker.py DAG_FILE DAG_ID TASK_ID TEAM LOG_FILE; exits with the task's status.
"""

from __future__ import annotations

import sys
from pathlib import Path
from uuid import uuid4

import httpx
from airflow.sdk.api.client import Client
from airflow.sdk.api.datamodels._generated import BundleInfo, TaskInstance
from airflow.sdk.execution_time.supervisor import supervise_task

NOW = "2026-01-01T00:00:00Z"


def api_server(dag_id: str, team: str) -> httpx.MockTransport:
    run = {"dag_id": dag_id, "run_id": "r", "run_type": "manual", "state": "running", "team_name": team or None}
    run |= dict.fromkeys(
        ("logical_date", "data_interval_start", "data_interval_end", "start_date", "end_date"), NOW
    )
    run |= {"run_after": NOW, "consumed_asset_events": [], "partition_key": None}

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/run"):
            return httpx.Response(200, json={"dag_run": run, "max_tries": 0, "should_retry": False})
        if request.url.path.startswith(("/connections/", "/variables/")):
            print("ASKED THE API SERVER", request.url.path)
            return httpx.Response(404, json={"detail": {"reason": "not_found"}})
        return httpx.Response(200, json={"ok": True})

    return httpx.MockTransport(answer)


def main(dag_file: str, dag_id: str, task_id: str, team: str, log_file: str) -> int:
    ti = TaskInstance(id=uuid4(), task_id=task_id, dag_id=dag_id, run_id="r", try_number=1, dag_version_id=uuid4())
    return supervise_task(
        ti=ti,
        bundle_info=BundleInfo(name="dags-folder", version=None),
        dag_rel_path=Path(dag_file).name,
        token="",
        client=Client(base_url="http://api-server", token="", transport=api_server(dag_id, team)),
        log_path=log_file,
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
