"""The examples in deploy/ name what is there."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema.validators import validator_for

from airflow_k8s_vault import VaultSecretsBackend
from airflow_k8s_vault.commands import get_cli_commands
from airflow_k8s_vault.config import SETTINGS
from airflow_k8s_vault.policy import shape_mistakes
from tests.manual import reference

DEPLOY = Path(__file__).parents[2] / "deploy"
# The folder of Airflow's chart, as `helm pull apache-airflow/airflow --untar` leaves it.
CHART = os.environ.get("AIRFLOW_CHART")
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


def test_volumes_and_mounts_are_a_pod_s_and_hold_what_the_settings_name() -> None:
    base = {"name": "scheduler", "image": "airflow:3", "volumeMounts": VALUES["volumeMounts"]}
    pod = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [base], "volumes": VALUES["volumes"]}}
    mounted = [mount["mountPath"] for mount in VALUES["volumeMounts"]]
    settings, backend = VALUES["config"]["k8s_vault"], json.loads(VALUES["config"]["secrets"]["backend_kwargs"])
    sources = next(volume for volume in VALUES["volumes"] if volume["name"] == "pod-templates")["projected"][
        "sources"
    ]
    files = [item["path"] for source in sources for item in source["configMap"]["items"]]

    assert [] == shape_mistakes(pod)
    for file in (settings["templates_dir"], settings["vault_cacert"], backend["verify"]):
        assert any(f"{file}/".startswith(f"{folder}/") for folder in mounted), file
    assert ["platform.yaml", "payments/team.yaml"] == [
        file for file in files if file.endswith(("platform.yaml", "team.yaml"))
    ]
    assert len(set(files)) == len(files)


def test_what_the_chart_writes_into_airflow_cfg_is_text() -> None:
    assert [] == [
        value for section in VALUES["config"].values() for value in section.values() if type(value) is not str
    ]


def chart_errors(values: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a chart's schema says against the values; keys at the top it takes whatever they are called."""
    kind = validator_for(schema)
    kind.check_schema(schema)
    yield from (f"{error.json_path}: {error.message}" for error in kind(schema).iter_errors(values))
    yield from (f"$: the chart has no '{key}'" for key in values if key not in schema["properties"])


@pytest.mark.skipif(not CHART, reason="AIRFLOW_CHART names no folder: helm pull apache-airflow/airflow --untar")
def test_airflow_s_chart_takes_the_values_by_its_own_schema() -> None:
    schema = json.loads((Path(str(CHART)) / "values.schema.json").read_text())

    assert [] == list(chart_errors(VALUES, schema))


def test_a_value_that_a_chart_does_not_take_is_an_error() -> None:
    account = {"type": "object", "properties": {"create": {"type": "boolean"}}, "additionalProperties": False}
    schema = {"$schema": "http://json-schema.org/draft-07/schema", "properties": {"account": account}}

    assert [] == list(chart_errors({"account": {"create": True}}, schema))
    for wrong in ({"account": {"create": "yes"}}, {"account": {"made": True}}, {"acount": {}}):
        assert 1 == len(list(chart_errors(wrong, schema)))


def test_the_pipelines_call_commands_that_there_are() -> None:
    (group,) = get_cli_commands()
    known = {command.name for command in group.subcommands}  # type: ignore[union-attr]

    for file in (DEPLOY / "ci").iterdir():
        yaml.safe_load(file.read_text())
        assert set(re.findall(r"airflow k8s-vault ([a-z]+)", file.read_text())) <= known | {"plan"}


def test_the_dashboard_shows_every_metric() -> None:
    """To write it anew: python -m tests.manual.reference"""
    assert reference.dashboard() == reference.DASHBOARD.read_text()
