"""The servers that pods run on: our own where the environment names none, and what both teams need on them."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Self

import psycopg2
from kubernetes import client, config

from airflow_k8s_vault.compile import Account
from k8s_vault_devcluster import kubeconfigs
from k8s_vault_devcluster.openbao import OpenBao
from k8s_vault_devcluster.postgres import PostgreSQL
from k8s_vault_devcluster.provision import Provisioning
from k8s_vault_devcluster.server import DevCluster
from k8s_vault_devcluster.vault_admin import VaultAdmin

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
        return kubeconfigs.with_token(self.kubeconfig, token, self.folder / f"kubeconfig-{account.name}")

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
