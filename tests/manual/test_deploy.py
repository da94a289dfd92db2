"""The examples in deploy/ name what is there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from airflow_k8s_vault import VaultSecretsBackend
from airflow_k8s_vault.commands import get_cli_commands
from airflow_k8s_vault.config import SETTINGS
from tests.manual import reference

DEPLOY = Path(__file__).parents[2] / "deploy"
VALUES = yaml.safe_load((DEPLOY / "helm" / "values.yaml").read_text())


def test_the_values_for_the_chart_name_settings_that_there_are() -> None:
    assert set(VALUES["config"]["k8s_vault"]) <= {setting.name for setting in SETTINGS}


def test_the_backend_of_the_values_can_be_made_with_its_arguments() -> None:
    arguments = json.loads(VALUES["config"]["secrets"]["backend_kwargs"])
    given = {name: value for name, value in arguments.items() if name != "verify"}

    assert "airflow_k8s_vault.VaultSecretsBackend" == VALUES["config"]["secrets"]["backend"]
    assert VaultSecretsBackend(**given).settings.auth_type == "kubernetes"


def test_the_chart_s_mounts_are_of_its_volumes() -> None:
    assert {mount["name"] for mount in VALUES["volumeMounts"]} == {volume["name"] for volume in VALUES["volumes"]}


def test_the_pipelines_call_commands_that_there_are() -> None:
    (group,) = get_cli_commands()
    known = {command.name for command in group.subcommands}  # type: ignore[union-attr]

    for file in (DEPLOY / "ci").iterdir():
        yaml.safe_load(file.read_text())
        assert set(re.findall(r"airflow k8s-vault ([a-z]+)", file.read_text())) <= known | {"plan"}


def test_the_dashboard_shows_every_metric() -> None:
    """To write it anew: python -m tests.manual.reference"""
    assert reference.dashboard() == reference.DASHBOARD.read_text()
