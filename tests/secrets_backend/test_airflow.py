"""Airflow itself reads through the backend: a DAG run, a worker, the API server, the command line, an option.

Each runs in a process of its own, with one Airflow home for all; requests to Vault are counted at the proxy.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.cli.cli_parser import get_parser
from k8s_vault_devcluster.openbao import OpenBao

from tests.vault.conftest import AppRole, make_approle
from tests.vault.mounts import mount_kv
from tests.vault.proxy import FaultyProxy

pytestmark = pytest.mark.integration

DAG = """
import json, logging, os
from airflow.sdk import BaseHook, Connection, Variable, dag, task


@dag(schedule=None)
def reads_secrets():
    @task(templates_dict={"greeting": "{{ var.value.greeting }}", "host": "{{ conn.warehouse.host }}"})
    def look(templates_dict=None):
        for _ in range(5):
            connection = BaseHook.get_connection("warehouse")
        found = {
            **templates_dict,
            "password": connection.password,
            "variable": Variable.get("settings", deserialize_json=True),
        }
        logging.getLogger(__name__).info("in the log: %s %s", found["greeting"], connection.password)
        logging.getLogger(__name__).info("in the log too: %s", connection.extra_dejson)
        print("printed:", connection.extra_dejson["key"], json.dumps(connection.extra_dejson), sep="\\n")
        with open(os.environ["FOUND"], "w") as file:
            json.dump(found, file)

    look()


reads_secrets()
"""


KEY = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0\nBKcwggSjAgEAAoIBAQDsec=\n-----END KEY-----\n"


@pytest.fixture(scope="module")
def vault(openbao: OpenBao) -> Iterator[tuple[FaultyProxy, AppRole]]:
    """A mount with what the DAG reads, and a proxy that counts."""
    mount = f"airflow-{uuid.uuid4().hex[:6]}"
    mount_kv(openbao, mount)
    secrets: dict[str, dict[str, Any]] = {
        "config/sql": {"value": "sqlite:////from/vault.db"},
        "connections/only_in_vault": {"conn_uri": "http://user:vault-pass@vault-host"},
    }
    for team in ("", "payments/"):
        name = team.strip("/") or "shared"
        secrets[f"variables/{team}greeting"] = {"value": f"hello-{name}"}
        secrets[f"variables/{team}settings"] = {"value": json.dumps({"team": name})}
        fields = {
            "conn_type": "postgres",
            "host": f"{name}-host",
            "password": f"pass-{name}",
            "extra": {"a": "extra-1", "key": KEY},
        }
        secrets[f"connections/{team}warehouse"] = fields
    for path, data in secrets.items():
        openbao.request("POST", f"{mount}/data/{path}", {"data": data})
    proxy = FaultyProxy(openbao.address)
    yield proxy, make_approle(openbao, mount)
    proxy.stop()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An Airflow home with a database and the DAG."""
    folder = tmp_path_factory.mktemp("airflow")
    (folder / "dags").mkdir()
    (folder / "dags" / "reads_secrets.py").write_text(DAG)
    environment = {**os.environ, "AIRFLOW_HOME": str(folder)}
    subprocess.run(
        [program("airflow"), "db", "migrate"], env=environment, check=True, capture_output=True, timeout=240
    )
    return folder


def program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


@pytest.fixture
def airflow(home: Path, vault: tuple[FaultyProxy, AppRole]) -> Callable[..., str]:
    """Run a command with the backend configured; return all that it printed. Fails where it fails."""
    proxy, role = vault
    proxy.seen.clear()
    kwargs = {"url": proxy.address, "mount_point": role.mount, **role.settings}

    def run(*command: str, status: int = 0, **environment: str) -> str:
        secret_id = {"AIRFLOW__SECRETS__BACKEND_KWARG__SECRET_ID": kwargs.pop("secret_id")}
        settings = {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
            "AIRFLOW__SECRETS__BACKEND": "airflow_k8s_vault.VaultSecretsBackend",
            "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps(kwargs),
        }
        done = subprocess.run(
            command,
            env={**os.environ, **settings, **secret_id, **environment},
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert status == done.returncode, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout + done.stderr

    return run


def test_a_dag_run_reads_connections_and_variables(
    airflow: Callable[..., str], vault: tuple[FaultyProxy, AppRole], tmp_path: Path
) -> None:
    proxy, _ = vault

    airflow(program("airflow"), "dags", "test", "reads_secrets", FOUND=str(tmp_path / "found"))
    result = json.loads((tmp_path / "found").read_text())

    assert result == {
        "greeting": "hello-shared",
        "host": "shared-host",
        "password": "pass-shared",
        "variable": {"team": "shared"},
    }
    assert proxy.count("login") == 1
    assert proxy.count("connections/warehouse") == 1


def test_a_worker_reads_what_is_its_teams(
    airflow: Callable[..., str], vault: tuple[FaultyProxy, AppRole], home: Path, tmp_path: Path
) -> None:
    proxy, _ = vault
    worker = Path(__file__).with_name("airflow_worker.py")
    log_file = tmp_path / "task.log"

    out = airflow(
        *(sys.executable, str(worker), str(home / "dags" / "reads_secrets.py")),
        *("reads_secrets", "look", "payments", str(log_file)),
        FOUND=str(tmp_path / "found"),
        AIRFLOW__CORE__MULTI_TEAM="True",
    )
    result, log = json.loads((tmp_path / "found").read_text()), log_file.read_text()

    assert (result["host"], result["password"]) == ("payments-host", "pass-payments")
    assert result["variable"] == {"team": "payments"}
    assert "ASKED THE API SERVER" not in out
    assert "in the log: *** ***" in log
    assert "printed:" in log
    for secret in ("hello-payments", "pass-payments", "extra-1", *KEY.splitlines()[1:3]):
        assert secret not in log + out
    assert proxy.count("login") == 1
    assert proxy.count("connections/payments/warehouse") == 1
    assert proxy.count("connections/warehouse") == 0


API_SERVER = """
import os
os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
import httpx
from airflow.api_fastapi.execution_api.app import InProcessExecutionAPI
api = httpx.Client(transport=InProcessExecutionAPI().transport, base_url="http://in-process")
for path in ("connections/only_in_vault", "variables/greeting", "connections/none"):
    print("ANSWER", api.get(path).status_code, api.get(path).text)
from airflow.sdk.execution_time.supervisor import ensure_secrets_backend_loaded
print("SEARCH", [type(backend).__name__ for backend in ensure_secrets_backend_loaded()])
"""


def test_the_api_server_answers_workers_from_vault(airflow: Callable[..., str]) -> None:
    out = airflow(sys.executable, "-c", API_SERVER)
    answers = [line.split(" ", 2)[1:] for line in out.splitlines() if line.startswith("ANSWER")]

    assert [status for status, _ in answers] == ["200", "200", "404"]
    assert json.loads(answers[0][1])["host"] == "vault-host"
    assert json.loads(answers[1][1])["value"] == "hello-shared"
    assert "SEARCH ['VaultSecretsBackend', 'EnvironmentVariablesBackend', 'MetastoreBackend']" in out


def test_the_command_line_shows_a_connection(airflow: Callable[..., str]) -> None:
    out = airflow(program("airflow"), "connections", "get", "only_in_vault", "-o", "json")

    assert "vault-host" in out


def test_a_secret_option_of_the_configuration_costs_one_login_and_one_read(
    airflow: Callable[..., str], vault: tuple[FaultyProxy, AppRole]
) -> None:
    proxy, _ = vault
    code = "from airflow.configuration import conf; print('IS', conf.get('database', 'sql_alchemy_conn'))"

    out = airflow(sys.executable, "-c", code, AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_SECRET="sql")

    assert "IS sqlite:////from/vault.db" in out
    assert (proxy.count("login"), proxy.count("config/sql"), len(proxy.seen)) == (1, 1, 2)


def test_a_wrong_setting_is_told_at_once(airflow: Callable[..., str]) -> None:
    code = "import airflow.configuration"

    out = airflow(sys.executable, "-c", code, AIRFLOW__SECRETS__BACKEND_KWARG__MOUNT_PIONT="x", status=1)

    assert "mount_piont (AIRFLOW__SECRETS__BACKEND_KWARG__MOUNT_PIONT) is no setting" in out
    assert "Did you mean 'mount_point'?" in out


def test_airflow_lists_it_as_a_secrets_backend(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = get_parser().parse_args(["providers", "secrets", "-o", "plain"])
    arguments.func(arguments)

    assert "airflow_k8s_vault.secrets_backend.VaultSecretsBackend" in capsys.readouterr().out
