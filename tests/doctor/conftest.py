"""One cluster and one Vault with the repository's teams, on which each test plants one fault and takes it away."""

from __future__ import annotations

import json
import shutil
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from k8s_vault_devcluster.demo.environment import Environment

from airflow_k8s_vault import config
from airflow_k8s_vault.commands import doctor, team_sources
from airflow_k8s_vault.compile import kubernetes_objects
from tests import walls
from tests.doctor.world import World

ROOT = Path(__file__).parents[2]
DAG = """\
from datetime import timedelta
from airflow.sdk import DAG
from airflow_k8s_vault import VaultPodOperator, VaultSecret

with DAG("declares", schedule=None):
    VaultPodOperator(
        task_id="load",
        pod_template="payments/etl",
        execution_timeout=timedelta(hours=2),
        vault_secrets=[
            VaultSecret("secret/payments/partner", file="partner.key", key="api_key"),
            VaultSecret("database/creds/payments-rw", engine="dynamic", env={"PGUSER": "username"}),
        ],
        cmds=["psql"],
    )
"""


@pytest.fixture(scope="package")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    folder = tmp_path_factory.mktemp("doctor")
    shutil.copytree(ROOT / "pod_templates", folder / "pod_templates")
    team = folder / "pod_templates" / "payments" / "team.yaml"
    team.write_text(team.read_text().replace("secrets:\n", "secrets:\n  - old/payments/*\n"))
    with walls.AgentEnvironment(folder / "servers", folder / "pod_templates", print) as servers:
        yield servers


@pytest.fixture
def world(servers: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """The chain as it should be: settings, rights of Airflow's accounts, secrets and a DAG that declares them."""
    (tmp_path / "declares.py").write_text(DAG)
    world = World(servers, tmp_path / "declares.py", monkeypatch)
    world.setting("templates_dir", str(servers.templates_dir))
    world.setting("vault_addr", servers.vault.address)
    world.setting("vault_auth_mount", servers.auth_mount)
    monkeypatch.setenv("VAULT_TOKEN", servers.vault.token)
    world.connection(servers.kubeconfig)
    for source in team_sources(servers.templates_dir):
        for compiled in kubernetes_objects(source):
            if compiled["kind"] in ("Role", "RoleBinding"):
                world.make(compiled)
    return world


@pytest.fixture
def examine(world: World, capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Run `airflow k8s-vault doctor` for payments, and return what it prints as JSON, with the exit status."""

    def run(**options: Any) -> dict[str, Any]:
        config.reload()
        given = {"team": ["payments"], "dags": None, "from_": "here", "task": None, "leases": False}
        given |= {"conn_id": "kubernetes_default", "wait": 0}
        capsys.readouterr()
        status = 0
        try:
            doctor.run(Namespace(output="json", **{**given, **options}))
        except SystemExit as end:
            status = int(end.code or 0)
        return {**json.loads(capsys.readouterr().out or "{}"), "status": status}

    return run
