"""What Airflow learns of the package."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import airflow
import jsonschema
from airflow.providers_manager import ProvidersManager

from airflow_k8s_vault.provider import get_provider_info


def test_the_provider_info_has_airflows_shape() -> None:
    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())

    jsonschema.validate(get_provider_info(), schema)


def test_airflow_lists_the_provider_under_the_name_of_its_distribution() -> None:
    assert "airflow-k8s-vault" in ProvidersManager().providers


def test_every_name_that_the_provider_info_gives_can_be_imported() -> None:
    info = get_provider_info()
    paths = [*info["cli"], *info["secrets-backends"], *(row["class-name"] for row in info["task-decorators"])]

    for path in paths:
        module, _, name = path.rpartition(".")
        assert hasattr(import_module(module), name), path
