"""The servers that pods run on: our own where the environment names none, and what both teams need on them.

Needed by the demo, and by the tests of doctor, faults, attacks, canary and integration.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Self

import psycopg2
from kubernetes import client, config

from airflow_k8s_vault.compile import Account
from k8s_vault_devcluster import private_file
from k8s_vault_devcluster.demo.airflow_home import Airflow
from k8s_vault_devcluster.openbao import OpenBao, VaultAdmin
from k8s_vault_devcluster.postgres import PostgreSQL, make_database
from k8s_vault_devcluster.provision import Provisioning, with_token
from k8s_vault_devcluster.server import DevCluster

TEAMS = ("payments", "data-science")
_TABLE = "create table payments (amount integer not null, loaded_by text not null)"
Tell = Callable[[str], None]


class Environment:
    """PostgreSQL, Vault and a cluster. Use it as a context manager: leaving it stops and undoes all it made.

    With KUBECONFIG set, pods run there and reach this machine at K8S_VAULT_TEST_HOST; with VAULT_ADDR and
    VAULT_TOKEN set, that Vault is used, under an auth mount of the demo's own.
    """

    cluster_class: ClassVar[type[DevCluster]] = DevCluster

    def __init__(self, folder: Path, templates_dir: Path, tell: Tell) -> None:
        self.folder, self.templates_dir, self.tell = folder, templates_dir, tell
        self.host = os.environ.get("K8S_VAULT_TEST_HOST", "127.0.0.1")
        self.canary = f"canary-{secrets.token_hex(12)}"
        # Of section [k8s_vault], where they are not as Provisioning has them.
        self.settings: dict[str, str] = {}
        # Whose secrets the compiled policies allow; None: the ceilings.
        self.compiled_dags: Path | None = None
        # None where the environment names a Vault.
        self.openbao: OpenBao | None = None
        self._exits = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undo_on_error:
            undo_on_error.callback(self.close)
            self._start()
            undo_on_error.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._exits.close()

    def _start(self) -> None:
        self.postgres = PostgreSQL(self.folder, host=self.host)
        self._exits.callback(self.postgres.stop)
        self.tell(f"PostgreSQL listens on {self.postgres.host}:{self.postgres.port}")
        self.vault = VaultAdmin.from_environment() or self._own_vault()
        self.kubeconfig = Path(os.environ["KUBECONFIG"]) if "KUBECONFIG" in os.environ else self._own_cluster()
        self.api = config.new_client_from_config(str(self.kubeconfig))
        self.tell(f"Vault is {self.vault.address}, Kubernetes is {self.api.configuration.host}")
        self._before_teams()
        self._set_up_teams()

    def _before_teams(self) -> None:
        """For those whose pods reach Vault by another way: they name it in `settings`."""

    def _own_vault(self) -> VaultAdmin:
        server = self.openbao = OpenBao(self.folder, host=self.host, audit_log=self.folder / "audit.log")
        self._exits.callback(server.stop)
        return server.admin

    def _own_cluster(self) -> Path:
        cluster = self.cluster_class(self.folder / "cluster", host=self.host)
        self._exits.callback(cluster.stop)
        return cluster.kubeconfig

    def _set_up_teams(self) -> None:
        with psycopg2.connect(self.postgres.uri()) as connection, connection.cursor() as cursor:
            cursor.execute(_TABLE)
        self.auth_mount = "kubernetes" if "VAULT_ADDR" not in os.environ else f"demo-{secrets.token_hex(4)}"
        setup = self.setup = Provisioning(self.vault, self.api, self.auth_mount, self.settings)
        self._exits.callback(setup.undo)
        setup.login()
        self.sources = setup.teams(self.templates_dir, dags=self.compiled_dags)
        worker, triggerer = self.sources[0].worker, self.sources[0].triggerer
        self.worker_kubeconfig = self._acting_as(worker)
        self.triggerer_kubeconfig = self._acting_as(triggerer)
        place = {"host": self.host, "port": self.postgres.port, "database": "postgres"}
        setup.kv("secret/payments/warehouse", place)
        setup.kv("secret/payments/partner", {"api_key": self.canary})
        setup.database_login("payments-rw", self.postgres.uri(), ["insert on payments"])
        self.tell(f"Vault knows teams {' and '.join(TEAMS)} (auth/{self.auth_mount}, KV, database engine)")

    def _acting_as(self, account: Account) -> Path:
        token = self.setup.account(account)
        return with_token(self.kubeconfig, token, self.folder / f"kubeconfig-{account.name}")

    def roles_left(self) -> list[str]:
        """Return the PostgreSQL logins that Vault made and that are still there."""
        with psycopg2.connect(self.postgres.uri()) as connection, connection.cursor() as cursor:
            cursor.execute(r"select rolname from pg_roles where rolname like 'v-%'")
            return [name for (name,) in cursor.fetchall()]

    def rows(self) -> int:
        """Return how many rows the DAG wrote with such a login."""
        with psycopg2.connect(self.postgres.uri()) as connection, connection.cursor() as cursor:
            cursor.execute(r"select count(*) from payments where loaded_by like 'v-%'")
            return int(cursor.fetchone()[0])

    def core(self) -> client.CoreV1Api:
        return client.CoreV1Api(self.api)


class AirflowEnvironment(Environment):
    """Everything the demo runs on: an Environment, and an Airflow beside it."""

    def __init__(self, folder: Path, templates_dir: Path, dags: Path, tell: Tell, *, least: bool = False) -> None:
        """least: whether the teams' policies in Vault allow what the DAGs declare, and not the ceilings."""
        super().__init__(folder, templates_dir, tell)
        self.dags = dags
        self.compiled_dags = dags if least else None

    def _start(self) -> None:
        super()._start()
        self.airflow = self._start_airflow()

    def _start_airflow(self) -> Airflow:
        uri = make_database(self.postgres.uri(), "airflow").replace("postgresql://", "postgresql+psycopg2://")
        # The triggerer has rights of its own, and fewer.
        triggerer = {"triggerer": {"KUBECONFIG": str(self.triggerer_kubeconfig)}}
        airflow = Airflow(self.folder / "airflow", self.dags, uri, self._settings(), triggerer)
        self._exits.callback(airflow.stop)
        self.tell("Airflow makes its tables, which takes 10 seconds, and then starts")
        airflow.start()
        return airflow

    def plan(self) -> tuple[bool, str]:
        """Run `airflow k8s-vault plan` and return whether there is no difference, and what it printed."""
        least = ("--dags", str(self.dags)) if self.compiled_dags else ()
        return self.airflow.printed("k8s-vault", "plan", *least, environment=self._administrator())

    def shell_environment(self) -> Path:
        """Write a file for a shell to source, for this Airflow's commands as the administrator of all."""
        file = self.folder / "environment"
        variables = {**self.airflow.environment, **self._administrator()}
        lines = (f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
        private_file.write(file, "".join(lines))
        return file

    def _administrator(self) -> dict[str, str]:
        return {
            "KUBECONFIG": str(self.kubeconfig),
            "VAULT_ADDR": self.vault.address,
            "VAULT_TOKEN": self.vault.token,
            **({"VAULT_CACERT": self.vault.cacert} if self.vault.cacert else {}),
        }

    def _settings(self) -> dict[str, str]:
        """Return the environment variables of Airflow beside its own."""
        settings = {
            "KUBECONFIG": str(self.worker_kubeconfig),
            "AIRFLOW__K8S_VAULT__TEMPLATES_DIR": str(self.templates_dir),
        }
        # As the teams were compiled: pods that say otherwise are not admitted.
        compiled = {f"AIRFLOW__K8S_VAULT__{name.upper()}": value for name, value in self.setup.settings.items()}
        return {**settings, **{name: value for name, value in compiled.items() if value}}
