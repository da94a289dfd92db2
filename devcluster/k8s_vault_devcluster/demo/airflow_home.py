"""A real Airflow in a home of its own: API server, scheduler with LocalExecutor, DAG processor and triggerer.

Needed by the demo, by `dev airflow` and by the integration tests of DAGs.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from airflow_k8s_vault.errors import K8sVaultError
from k8s_vault_devcluster import private_file
from k8s_vault_devcluster.process import ServerProcess, free_port

COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
# Tasks, parsers and triggers are forks of these components. On two cores it matters that the Kubernetes client,
# seconds of imports, is loaded once before the fork and not in each of them.
_PRELOAD = """\
import sys

if sys.argv[1:2] and sys.argv[1] in ("scheduler", "dag-processor", "triggerer"):
    import airflow.providers.cncf.kubernetes.operators.pod
"""
_USER, _PASSWORDS = "admin", "passwords.json"
_FINAL = {"success", "failed", "skipped", "upstream_failed", "removed"}


class Airflow:
    """Started by the constructor, ready when `wait_until_ready` returns, gone after `stop`.

    `database_uri` is a SQLAlchemy URI of an empty PostgreSQL database; `settings` are further environment
    variables (AIRFLOW__SECTION__OPTION), `of_component` those of single components, `port` that of the UI (None:
    a free one). Its one user is `admin`: pods, and all users of this machine, reach it. The password is
    random, in a file of the home that its owner alone can read, and kept from one start to the next.
    """

    def __init__(
        self,
        home: Path,
        dags: Path,
        database_uri: str,
        settings: Mapping[str, str],
        of_component: Mapping[str, Mapping[str, str]] | None = None,
        port: int | None = None,
    ) -> None:
        self.home, self._of_component = home, of_component or {}
        self.url = f"http://127.0.0.1:{port or free_port()}"
        self.logs = home / "logs"
        self._token = ""
        self._client = httpx.Client(base_url=self.url, timeout=30)
        self.environment = {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__FERNET_KEY": "",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{_USER}:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / _PASSWORDS),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": self.url.rpartition(":")[2],
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(16),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database_uri,
            "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
            # Two cores that start everything at once import slowly: no reason to give a DAG up.
            "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "120",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
            **settings,
        }
        home.mkdir(parents=True, exist_ok=True)
        self._password = _password(home / _PASSWORDS)
        self._processes: list[ServerProcess] = []

    @property
    def login(self) -> str:
        """How to log in, for the terminal of who started it."""
        return f"user {_USER}, password in {self.home / _PASSWORDS}"

    def start(self) -> None:
        """Make the tables, then start the four components."""
        migrated, printed = self.printed("db", "migrate")
        if not migrated:
            raise K8sVaultError(f"airflow db migrate failed:\n{printed[-2000:]}")
        settings = self.home / "config" / "airflow_local_settings.py"
        settings.parent.mkdir(exist_ok=True)
        settings.write_text(_PRELOAD)
        for name in COMPONENTS:
            log, environment = self.home / f"{name}.log", {**self.environment, **self._of_component.get(name, {})}
            self._processes.append(ServerProcess(f"Airflow's {name}", self._command(name), log, environment))

    def printed(self, *arguments: str, environment: Mapping[str, str] | None = None) -> tuple[bool, str]:
        """Run one `airflow` command with more variables; return whether it succeeded, and what it printed."""
        variables = {**os.environ, **self.environment, **(environment or {})}
        done = subprocess.run(self._command(*arguments), env=variables, capture_output=True, text=True)
        return done.returncode == 0, (done.stdout if done.returncode == 0 else done.stdout + done.stderr).strip()

    def wait_until_ready(self, dag_ids: tuple[str, ...], timeout_seconds: float = 120) -> None:
        """Wait for the API server and for the DAGs to be parsed; raise K8sVaultError with import errors."""
        self.wait_until_it_answers(timeout_seconds)
        known: set[str] = set()
        deadline = time.monotonic() + timeout_seconds
        while not known.issuperset(dag_ids):
            known = {dag["dag_id"] for dag in self.get("/api/v2/dags")["dags"]}
            errors = self.get("/api/v2/importErrors")["import_errors"]
            if errors or time.monotonic() > deadline:
                message = "\n".join(error["stack_trace"] for error in errors) or f"only {sorted(known)} are there"
                raise K8sVaultError(f"Airflow could not read the DAGs {', '.join(dag_ids)}:\n{message}")
            time.sleep(0.5)

    def wait_until_it_answers(self, timeout_seconds: float = 120) -> None:
        """Wait for the API server; raise ServerDidNotStart with its log's end where it never answers."""
        self._processes[0].wait_until(lambda: self._answers("/api/v2/version"), timeout_seconds)

    def ended(self) -> list[str]:
        """Return the names of the components that ended by themselves."""
        return [process.name for process in self._processes if not process.running()]

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Start a run of the DAG now and return its run id."""
        body = {"logical_date": None, "conf": dict(conf or {})}
        run = self._request("POST", f"/api/v2/dags/{dag_id}/dagRuns", body)
        return str(run["dag_run_id"])

    def task_instances(self) -> Iterator[dict[str, Any]]:
        """Yield the task instances of all runs as Airflow's REST API has them, 100 in a request."""
        path, got, total = "/api/v2/dags/~/dagRuns/~/taskInstances?order_by=id&limit=100", 0, 1
        while got < total:
            answer = self.get(f"{path}&offset={got}")
            yield from answer["task_instances"]
            got, total = got + 100, answer["total_entries"]

    def watch(
        self, runs: Mapping[str, str], seen: Callable[[str, str, str], None], timeout_seconds: float = 180
    ) -> dict[str, list[dict[str, Any]]]:
        """Call `seen(dag_id, task_id, state)` at each change until all runs ended; return all task instances."""
        states: dict[tuple[str, str], str] = {}
        deadline = time.monotonic() + timeout_seconds
        while True:
            result: dict[str, list[dict[str, Any]]] = {dag_id: [] for dag_id in runs}
            for ti in self.task_instances():
                if runs.get(ti["dag_id"]) == ti["dag_run_id"]:
                    result[ti["dag_id"]].append(ti)
            for dag_id, instances in result.items():
                for ti in instances:
                    state, key = ti["state"] or "waiting", (dag_id, ti["task_id"])
                    if states.get(key) != state:
                        states[key] = state
                        seen(dag_id, ti["task_id"], state)
            if states and set(states.values()) <= _FINAL:
                return result
            if time.monotonic() > deadline:
                raise K8sVaultError(f"The runs did not end within {timeout_seconds:g} s: {states}")
            time.sleep(0.5)

    def get(self, path: str) -> dict[str, Any]:
        return self._request("GET", path)

    def stop(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.stop(grace_seconds=5)
        self._processes = []

    def _command(self, *arguments: str) -> list[str]:
        return [str(Path(sys.executable).parent / "airflow"), *arguments]

    def token(self) -> str:
        """Return a token of the API's administrator."""
        if not self._token:
            login = {"username": _USER, "password": self._password}
            self._token = self._answer(self._client.post("/auth/token", json=login))["access_token"]
            self._client.headers["Authorization"] = f"Bearer {self._token}"
        return self._token

    def _answers(self, path: str) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return bool(self.get(path))
        return False

    def _request(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        self.token()
        return self._answer(self._client.request(method, path, json=body))

    @staticmethod
    def _answer(reply: httpx.Response) -> dict[str, Any]:
        return dict(reply.raise_for_status().json())


def _password(file: Path) -> str:
    """Return the password of the one user, made where there is none."""
    if not file.exists():
        private_file.write(file, json.dumps({_USER: secrets.token_urlsafe(12)}))
    return str(json.loads(file.read_text())[_USER])
