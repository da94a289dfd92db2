"""A real Airflow API server with a database of its own, and the DAGs of a folder in it."""

from __future__ import annotations

import contextlib
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
# Runs code that it is sent, and answers with what that printed, or how it failed.
_SHELL = """\
import contextlib, io, json, os, sys, traceback
answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)
for line in sys.stdin:
    code, sys.argv = json.loads(line)
    printed, error = io.StringIO(), ""
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(code, "code", "exec"), {"__name__": "__main__"})
    except BaseException:
        error = traceback.format_exc()
    print(json.dumps([printed.getvalue(), error]), file=answers)
"""
_AIRFLOW = """\
import sys
from airflow.cli.cli_parser import get_parser

arguments = get_parser().parse_args(sys.argv)
arguments.func(arguments)
"""
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
        self._exits = contextlib.ExitStack()
        self._shell = self._started_shell(home / "shell.log")
        self.run(_AIRFLOW, "db", "migrate")
        if multi_team:
            self.run(_AIRFLOW, "teams", "sync")
        self.run(_SYNC)
        command = [sys.executable, "-m", "airflow", "api-server"]
        self.log = home / "api-server.log"
        self._process = ServerProcess("Airflow's api-server", command, self.log, self.environment)
        self._tokens: dict[str, str] = {}
        self._exits.callback(self._process.stop)
        self._process.wait_until(self._is_ready, 120)

    def _started_shell(self, log: Path) -> subprocess.Popen[str]:
        """Return a Python with this server's settings, which loads Airflow once for all that is run."""
        with open(log, "w") as errors:
            shell = subprocess.Popen(
                [sys.executable, "-c", _SHELL],
                env={**os.environ, **self.environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._exits.callback(shell.communicate)
        return shell

    def run(self, code: str, *arguments: str) -> str:
        """Run Python code with this server's settings and these `sys.argv`; return what it printed."""
        assert self._shell.stdin
        assert self._shell.stdout
        print(json.dumps([code, arguments]), file=self._shell.stdin, flush=True)
        printed, error = json.loads(self._shell.stdout.readline())
        assert not error, error[-4000:]
        return str(printed)

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
        self._exits.close()

    def _is_ready(self) -> bool:
        try:
            return self.ask("/api/v2/version", None).status == 200
        except OSError:
            return False
