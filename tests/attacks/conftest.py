"""What an attacking DAG author has: a team that opens every argument that can be opened, and Python."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import ApiClient

from airflow_k8s_vault import VaultPodOperator
from airflow_k8s_vault.teams import OPENABLE

SHIPPED = Path(__file__).parents[2] / "pod_templates"
Manifest = dict[str, Any]


class Liar(str):
    """Text that is one thing on the wire and claims to be another wherever Python asks."""

    shown: str

    def __new__(cls, sent: str, shown: str) -> Liar:
        text = super().__new__(cls, sent)
        text.shown = shown
        return text

    def __str__(self) -> str:
        return self

    def __deepcopy__(self, memo: object) -> Liar:
        return self

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return hash(self.shown)

    def __format__(self, spec: str) -> str:
        return self.shown


@pytest.fixture(autouse=True)
def templates_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of templates in which team payments opens all that a team can open."""
    folder = tmp_path / "pod_templates"
    shutil.copytree(SHIPPED, folder)
    (folder / "platform.yaml").write_text("pod_security: restricted\n")
    team = (folder / "payments" / "team.yaml").read_text()
    opened = f"overridable: [{', '.join(OPENABLE)}]\n"
    (folder / "payments" / "team.yaml").write_text(team[: team.index("overridable:")] + opened)
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__TEMPLATES_DIR", str(folder))
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__VAULT_ADDR", "https://vault:8200")
    return folder


@pytest.fixture
def close(templates_dir: Path) -> Callable[[], None]:
    """Let team payments open nothing."""

    def closed() -> None:
        team = (templates_dir / "payments" / "team.yaml").read_text()
        (templates_dir / "payments" / "team.yaml").write_text(
            f"{team[: team.index('overridable:')]}overridable: []\n"
        )

    return closed


@pytest.fixture
def created() -> Callable[[VaultPodOperator], Manifest]:
    """Take a task as far as the check before creation, and return the manifest that would be sent."""

    def run(task: VaultPodOperator) -> Manifest:
        pod = ApiClient().sanitize_for_serialization(task.build_pod_request_obj(None, dry_run=True))
        task._planned.check(pod, None, task._set_by_dag)
        sent: Manifest = json.loads(json.dumps(pod))
        return sent

    return run


def make(**given: Any) -> VaultPodOperator:
    return VaultPodOperator(**{"task_id": "load", "pod_template": "payments/etl", **given})
