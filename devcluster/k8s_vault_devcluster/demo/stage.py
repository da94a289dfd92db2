"""The demo's stage: the servers that pods run on, and an Airflow beside them."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psycopg2

from k8s_vault_devcluster.demo.airflow_home import Airflow
from k8s_vault_devcluster.demo.ground import TEAMS, Ground, Tell

__all__ = ["TEAMS", "Stage"]


class Stage(Ground):
    """Everything the demo runs on: see Ground."""

    def __init__(self, folder: Path, templates_dir: Path, dags: Path, tell: Tell) -> None:
        super().__init__(folder, templates_dir, tell)
        self.dags = dags

    def _start(self) -> None:
        super()._start()
        self.airflow = self._start_airflow()

    def _start_airflow(self) -> Airflow:
        connection = psycopg2.connect(self.postgres.uri())
        connection.autocommit = True
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute("create database airflow")
        uri = self.postgres.uri("airflow").replace("postgresql://", "postgresql+psycopg2://")
        airflow = Airflow(self.folder / "airflow", self.dags, uri, self._settings())
        self._exits.callback(airflow.stop)
        self.tell("Airflow makes its tables, which takes 10 seconds, and then starts")
        airflow.start()
        return airflow

    def _settings(self) -> dict[str, str]:
        """Return the environment variables of Airflow beside its own."""
        settings = {
            "KUBECONFIG": str(self.kubeconfig),
            "AIRFLOW__K8S_VAULT__TEMPLATES_DIR": str(self.templates_dir),
            "AIRFLOW__K8S_VAULT__VAULT_ADDR": self.vault.address,
            "AIRFLOW__K8S_VAULT__VAULT_AUTH_MOUNT": self.auth_mount,
        }
        if self.vault.cacert:
            settings["AIRFLOW__K8S_VAULT__VAULT_CACERT"] = self.vault.cacert
        return settings
