"""One Airflow API server for all tests of the page, with DAGs of two teams."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.page.server import ApiServer

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def templates_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page") / "pod_templates"
    shutil.copytree(ROOT / "pod_templates", folder)
    return folder


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, templates_dir: Path) -> Iterator[ApiServer]:
    settings = {
        "AIRFLOW__K8S_VAULT__TEMPLATES_DIR": str(templates_dir),
        "AIRFLOW__K8S_VAULT__VAULT_ADDR": "https://vault.invalid:8200",
        "KUBECONFIG": "/nonexistent/kubeconfig",
    }
    server = ApiServer(
        tmp_path_factory.mktemp("airflow"), Path(__file__).parent / "dags", settings, multi_team=True
    )
    yield server
    server.stop()
