"""The demo's environment: the servers that pods run on, and an Airflow beside them."""

from __future__ import annotations

import shlex
from pathlib import Path

from k8s_vault_devcluster import private_file
from k8s_vault_devcluster.demo.airflow_home import Airflow
from k8s_vault_devcluster.demo.environment import TEAMS, Environment, Tell
from k8s_vault_devcluster.postgres import make_database

__all__ = ["TEAMS", "AirflowEnvironment"]


class AirflowEnvironment(Environment):
    """Everything the demo runs on: see Environment."""

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
        return self.airflow.told("k8s-vault", "plan", *least, environment=self._administrator())

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
