"""A templates folder of one team, to which a test adds what it needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

TEAM = """\
namespace: team-payments
service_account: airflow-payments
vault_role: payments
images: {etl: "postgres:18"}
secrets: [secret/payments/*]
overridable: [cmds]
"""
POD = """\
apiVersion: v1
kind: Pod
spec:
  containers:
    - name: base
      image: {{ images.etl }}
"""

Write = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "pod_templates"
    (root / "payments").mkdir(parents=True)
    (root / "payments" / "team.yaml").write_text(TEAM)
    return root


@pytest.fixture
def write(folder: Path) -> Write:
    """Write a file below the folder; `pod` continues the smallest pod template."""

    def _write(name: str, text: str = "", *, pod: str | None = None) -> Path:
        file = folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text if pod is None else POD + pod)
        return folder

    return _write
