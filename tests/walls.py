"""Teams' files for tests: both deliveries, and the administrator of the cluster passes the admission policies."""

from __future__ import annotations

import shutil
from pathlib import Path

from k8s_vault_devcluster.demo.environment import Environment
from kubernetes import client

from airflow_k8s_vault import teams
from tests.devcluster.mishaps import MishapCluster

SHIPPED = Path(__file__).parents[1] / "pod_templates"


class PreparedEnvironment(Environment):
    """Servers on which all teams use both deliveries, and the administrator may look into their pods."""

    deliveries = "[agent, secret]"

    def _before_teams(self) -> None:
        prepare(self.templates_dir, self.api, self.deliveries)


class AgentEnvironment(PreparedEnvironment):
    """The same with delivery `agent` alone."""

    deliveries = "[agent]"
    cluster_class = MishapCluster


def copied(to: Path, api: client.ApiClient) -> Path:
    """Return a copy of the shipped templates that is prepared."""
    templates_dir = Path(shutil.copytree(SHIPPED, to / "pod_templates"))
    prepare(templates_dir, api)
    return templates_dir


def prepare(templates_dir: Path, api: client.ApiClient, deliveries: str = "[agent, secret]") -> None:
    """Let all teams of a copy of the templates use these deliveries, and let the tests look into their pods."""
    review = client.AuthenticationV1Api(api).create_self_subject_review({})
    _append(templates_dir / "platform.yaml", f"break_glass: [{review.status.user_info.username!r}]\n")
    for name in teams.names(templates_dir):
        _append(templates_dir / name / "team.yaml", f"deliveries: {deliveries}\n")


def _append(file: Path, text: str) -> None:
    if text not in (before := file.read_text()):
        file.write_text(f"{before.rstrip()}\n{text}")
