"""Settings are the platform's: what a DAG file writes into the environment of its process changes none of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

# What a DAG file tries before it uses the package, and what it would gain.
TRIES = {
    "a folder of templates of its own": 'os.environ["AIRFLOW__K8S_VAULT__TEMPLATES_DIR"] = "/tmp/mine"',
    "an agent image of its own": 'os.environ["AIRFLOW__K8S_VAULT__VAULT_AGENT_IMAGE"] = "mine"',
    "a Vault of its own": 'os.environ["AIRFLOW__K8S_VAULT__VAULT_ADDR"] = "http://mine"',
    "another delivery": 'os.environ["AIRFLOW__K8S_VAULT__DEFAULT_DELIVERY"] = "secret"',
    "a guard that is off": 'os.environ["AIRFLOW__K8S_VAULT__GUARD_TEAM_NAMESPACES"] = "False"',
    "multi-team off": 'os.environ["AIRFLOW__CORE__MULTI_TEAM"] = "False"',
    "other paths": 'os.environ["AIRFLOW__K8S_VAULT__SECRETS_BACKEND_KWARGS"] = "{}"',
    "a setting that Airflow holds": 'conf.set("k8s_vault", "vault_addr", "http://mine")',
    "another current directory": 'os.chdir("/")',
}
SHOW = """
import dataclasses, json
from airflow_k8s_vault import VaultSecret, config
from airflow_k8s_vault.lookups import resolve
from airflow_k8s_vault.operators import task_pod
seen = {setting.name: config.get(setting.name) for setting in config.SETTINGS}
seen |= {"multi_team": config.multi_team(), "paths": resolve([VaultSecret.connection("w")], "payments")[0].path}
seen |= {"template": task_pod.find_template("payments/etl").folder.root.as_posix()}
print("SEEN", json.dumps(seen))
"""


def seen_by_a_dag_file(before: str, folder: Path, **environment: str) -> dict[str, Any]:
    """Return the settings as a DAG file sees them that runs the line before it looks."""
    file = folder / "dag.py"
    file.write_text(f"# airflow dag\nimport json, os\nfrom airflow.configuration import conf\n{before}\n{SHOW}")
    # As Airflow does: it has been imported before it imports DAG files.
    script = f"from airflow.dag_processing.dagbag import DagBag; print(DagBag({str(file)!r}).import_errors)"
    settings = {
        "AIRFLOW__K8S_VAULT__TEMPLATES_DIR": "pod_templates",
        "AIRFLOW__K8S_VAULT__VAULT_ADDR": "https://vault:8200",
        "AIRFLOW__K8S_VAULT__GUARD_TEAM_NAMESPACES": "True",
        "AIRFLOW__CORE__MULTI_TEAM": "True",
        "AIRFLOW__SECRETS__BACKEND": "airflow.providers.hashicorp.secrets.vault.VaultBackend",
        "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps({"token": "t", "connections_path": "payments"}),
        **environment,
    }
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "AIRFLOW__K8S_VAULT__SECRETS_BACKEND_KWARGS": "", **settings},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    matches = [line for line in done.stdout.splitlines() if line.startswith("SEEN ")]
    assert matches, done.stdout + done.stderr
    return dict(json.loads(matches[0].removeprefix("SEEN ")))


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return seen_by_a_dag_file("", tmp_path_factory.mktemp("dags"))


def test_all_that_a_dag_file_can_set_by_a_line_changes_no_setting(
    untouched: dict[str, Any], tmp_path: Path
) -> None:
    # In one process: each start of Airflow takes seconds.
    assert untouched == seen_by_a_dag_file("\n".join(TRIES.values()), tmp_path)


def test_a_dag_file_sets_nothing_that_the_platform_has_left_out(tmp_path: Path) -> None:
    lines = [
        'os.environ["AIRFLOW__SECRETS__BACKEND"] = "airflow_k8s_vault.VaultSecretsBackend"',
        "from airflow_k8s_vault import VaultSecret",
        "from airflow_k8s_vault.errors import ConfigError",
        "from airflow_k8s_vault.lookups import resolve",
        "try:",
        '    resolve([VaultSecret.connection("w")], "payments")',
        "except ConfigError as refused:",
        '    print("SEEN", json.dumps({"refused": str(refused)}))',
    ]

    seen = seen_by_a_dag_file("\n".join(lines), tmp_path, AIRFLOW__SECRETS__BACKEND="")

    assert seen["refused"].startswith("There is no secrets backend here")


def test_a_relative_folder_is_the_one_from_where_airflow_was_started(untouched: dict[str, Any]) -> None:
    assert str(ROOT / "pod_templates") == untouched["templates_dir"]
