"""`airflow k8s-vault dev airflow`: an Airflow on what `dev up` runs, with a folder of DAGs, until Ctrl-C.

Needed by `dev airflow`.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from airflow_k8s_vault import config
from airflow_k8s_vault.errors import ConfigError
from k8s_vault_devcluster.commands import DevError, folder_of, reports_errors, running_state, say
from k8s_vault_devcluster.demo.airflow_home import Airflow
from k8s_vault_devcluster.postgres import make_database

_DATABASE = "airflow"
_START_SECONDS = 180
_LOOK_SECONDS = 1
# What the exports of `dev up` open is the administrator's: no worker, and so no DAG, may find it around.
_OF_THE_ADMINISTRATOR = ("VAULT_TOKEN", "BAO_TOKEN", "POSTGRES_URI", "VAULT_POSTGRES_URI")


@reports_errors
def run(arguments: argparse.Namespace) -> None:
    """Start scheduler, API server, DAG processor and triggerer, say where they are, and stop them on Ctrl-C."""
    folder, dags = folder_of(arguments), Path(arguments.dags).absolute()
    state = running_state(folder)
    if state is None:
        raise DevError('Nothing runs that it could use. First: eval "$(airflow k8s-vault dev up)"')
    if not dags.is_dir():
        raise DevError(f"There is no folder {dags}: name the one that holds the DAGs.")
    settings = k8s_vault_settings(state)
    for name in _OF_THE_ADMINISTRATOR:
        os.environ.pop(name, None)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with _only_one(folder) as lock:
        airflow = Airflow(folder / "airflow", dags, _database(state), settings, port=arguments.port)
        lock.write_text(airflow.url)
        try:
            _serve(airflow, folder)
        except KeyboardInterrupt:
            say("Stopping Airflow…")
        finally:
            airflow.stop()


def k8s_vault_settings(state: dict[str, Any]) -> dict[str, str]:
    """Return what Airflow's components get in the environment: the cluster, and section [k8s_vault] as it is here.

    Raises DevError where templates_dir is not set. vault_addr is always that of `dev up`, which has a new port
    each time.
    """
    values = {"KUBECONFIG": state["kubeconfig"], "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True"}
    try:
        with config.replaced("vault_addr", state["vault_addr"]):
            values |= {setting.environment_variable: config.get(setting.name) for setting in config.SETTINGS}
    except ConfigError as error:
        raise DevError(f"{error}\n  A folder to start with: airflow k8s-vault templates init") from error
    return values


def _serve(airflow: Airflow, folder: Path) -> None:
    say("Airflow makes its tables and starts, which takes up to a minute on two cores.")
    airflow.start()
    airflow.wait_until_it_answers(_START_SECONDS)
    say(f"Airflow is at {airflow.url} ({airflow.login}), its page of secrets at {airflow.url}/plugin/k8s-vault.")
    say(f"Its logs are in {airflow.home}. A new DAG is paused, and read within half a minute. Ctrl-C stops it.")
    while running_state(folder):
        if ended := airflow.ended():
            raise DevError(f"{', '.join(ended)} ended by itself: see the logs in {airflow.home}.")
        time.sleep(_LOOK_SECONDS)
    say("The servers of `dev up` are gone: Airflow stops, too.")


def _database(state: dict[str, Any]) -> str:
    """Return the SQLAlchemy URI of Airflow's tables, which are kept until `dev down`: each worker has it."""
    return make_database(state["postgres_uri"], _DATABASE).replace("postgresql://", "postgresql+psycopg2://")


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[Path]:
    """Hold the file that names the Airflow of this folder; raise DevError where another process does."""
    path = folder / "airflow.lock"
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DevError(f"An Airflow runs on these servers already: {path.read_text()}") from None
        yield path
