"""Who the XCom sidecar runs as: its image is root's, and no root starts where runAsNonRoot is set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_k8s_vault import VaultPodOperator

TEAM: dict[str, Any] = {"namespace": "n", "service_account": "a", "vault_role": "r", "images": {"i": "i:1"}}


def sidecar_user(templates: Path, pod: dict[str, Any], base: dict[str, Any], team: dict[str, Any]) -> int | None:
    """Return runAsUser of the sidecar in a pod whose template has these security contexts."""
    folder = templates / "team"
    folder.mkdir()
    spec = {"securityContext": pod, "containers": [{"name": "base", "image": "i:1", "securityContext": base}]}
    (folder / "team.yaml").write_text(yaml.safe_dump({**TEAM, **team}))
    (folder / "t.yaml.j2").write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Pod", "spec": spec}))
    task = VaultPodOperator(task_id="t", pod_template="team/t", do_xcom_push=True)
    made = task.build_pod_request_obj(dry_run=True)
    task._checked(made)
    sidecar = next(c for c in made.spec.containers if c.name == "airflow-xcom-sidecar")
    assert sidecar.security_context.run_as_non_root is True
    user: int | None = sidecar.security_context.run_as_user
    return user


@pytest.mark.parametrize(
    ("pod", "base", "team", "expected"),
    [
        pytest.param({"runAsUser": 7}, {}, {}, None, id="the pod's own"),
        pytest.param({}, {"runAsUser": 7}, {}, 7, id="the task's container's"),
        pytest.param({}, {}, {}, 65532, id="the agent's"),
        pytest.param({}, {}, {"agent": {"run_as_user": 8}}, 8, id="the agent's setting"),
        pytest.param({}, {}, {"agent": {"run_as_user": "cluster"}}, None, id="whom the cluster gives"),
    ],
)
def test_the_xcom_sidecar_runs_as_nobody_of_its_own_choice(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pod: dict[str, Any],
    base: dict[str, Any],
    team: dict[str, Any],
    expected: int | None,
) -> None:
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__TEMPLATES_DIR", str(tmp_path))
    restricted = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    pod = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}, **pod}
    base = {**restricted, **base}

    assert expected == sidecar_user(tmp_path, pod, base, team)
