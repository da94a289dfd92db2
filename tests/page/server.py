"""A real Airflow API server with a database of its own, and the DAGs of a folder in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from k8s_vault_devcluster.process import ServerProcess, free_port

# What the simple auth manager knows: who may do what, in which team. `nobody` has no role, and so no right.
USERS = {
    "admin": "admin",
    "of_payments": "viewer:payments",
    "of_science": "viewer:data-science",
    "nobody": ":payments",
}
PASSWORD = "letmein"
_SYNC = """\
from airflow.dag_processing.dagbag import DagBag
from airflow.dag_processing.dagbag import sync_bag_to_db
from airflow.dag_processing.bundles.manager import DagBundlesManager

DagBundlesManager().sync_bundles_to_db()
for bundle in DagBundlesManager().get_all_dag_bundles():
    bag = DagBag(bundle.path, bundle_path=bundle.path, bundle_name=bundle.name)
    assert not bag.import_errors, bag.import_errors
    sync_bag_to_db(bag, bundle.name, None)
"""


class Answer(NamedTuple):
    status: int
    text: str
    headers: Mapping[str, str]

    def json(self) -> Any:
        return json.loads(self.text)


def _bundles(dags: Path, multi_team: bool) -> list[dict[str, Any]]:
    classpath = "airflow.dag_processing.bundles.local.LocalDagBundle"
    return [
        {"name": team.name, "classpath": classpath, "kwargs": {"path": str(team)}}
        | ({"team_name": team.name} if multi_team else {})
        for team in sorted(dags.iterdir())
        if team.is_dir() and not team.name.startswith("__")
    ]


class ApiServer:
    """Started by the constructor; `get` asks as a user, or as nobody who is logged in.

    dags: a folder with one sub-folder for each team. multi_team: whether Airflow knows these teams.
    """

    def __init__(self, home: Path, dags: Path, settings: Mapping[str, str], *, multi_team: bool = False) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.url = f"http://127.0.0.1:{free_port()}"
        passwords = home / "passwords.json"
        passwords.write_text(json.dumps(dict.fromkeys(USERS, PASSWORD)))
        self.environment = {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
            "AIRFLOW__CORE__MULTI_TEAM": str(multi_team),
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(_bundles(dags, multi_team)),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__FERNET_KEY": "",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(
                f"{name}:{role if multi_team else role.partition(':')[0]}" for name, role in USERS.items()
            ),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": self.url.rpartition(":")[2],
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__SECRET_KEY": "not a secret in tests",
            "AIRFLOW__API_AUTH__JWT_SECRET": "not a secret in tests either, and long enough for its algorithm",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
            **settings,
        }
        self.run("-m", "airflow", "db", "migrate")
        if multi_team:
            self.run("-m", "airflow", "teams", "sync")
        self.run("-c", _SYNC)
        command = [sys.executable, "-m", "airflow", "api-server"]
        self.log = home / "api-server.log"
        self._process = ServerProcess("Airflow's api-server", command, self.log, self.environment)
        self._tokens: dict[str, str] = {}
        self._process.wait_until(self._is_ready, 120)

    def run(self, *arguments: str) -> str:
        """Run Python with this server's settings; return what it printed."""
        done = subprocess.run(
            [sys.executable, *arguments], env={**os.environ, **self.environment}, capture_output=True, text=True
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
        return done.stdout

    def get(self, path: str, user: str | None = "admin", method: str = "GET", **headers: str) -> Answer:
        """Ask for a path below /k8s-vault with the session cookie that a browser of that user has."""
        return self.ask(f"/k8s-vault{path}", user, method, **headers)

    def ask(self, path: str, user: str | None, method: str = "GET", **headers: str) -> Answer:
        request = urllib.request.Request(f"{self.url}{path}", method=method, headers=headers)
        if user is not None:
            request.add_header("Cookie", f"_token={self.token(user)}")
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return Answer(response.status, response.read().decode(), dict(response.headers))
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read().decode(), dict(error.headers))

    def token(self, user: str) -> str:
        if user not in self._tokens:
            body = json.dumps({"username": user, "password": PASSWORD}).encode()
            headers = {"Content-Type": "application/json"}
            request = urllib.request.Request(f"{self.url}/auth/token", body, headers)
            with urllib.request.urlopen(request, timeout=60) as response:
                self._tokens[user] = json.loads(response.read())["access_token"]
        return self._tokens[user]

    def stop(self) -> None:
        self._process.stop()

    def _is_ready(self) -> bool:
        try:
            return self.ask("/api/v2/version", None).status == 200
        except OSError:
            return False
