"""A folder of templates to compile, and the admission policies as the API server evaluates them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from k8s_vault_devcluster.api import cel

from airflow_k8s_vault.compile import Source, objects
from tests.commands.test_templates import run

SHIPPED = Path(__file__).parents[2] / "pod_templates"
WORKER = {"username": "system:serviceaccount:airflow:airflow-worker", "groups": ["system:serviceaccounts"]}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shipped templates, to change; the settings name it."""
    copied = Path(shutil.copytree(SHIPPED, tmp_path / "pod_templates"))
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__TEMPLATES_DIR", str(copied))
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__VAULT_ADDR", "https://vault.vault.svc:8200")
    return copied


def add(file: Path, text: str) -> None:
    """Append keys to a team's or the platform's file."""
    file.write_text(f"{file.read_text()}{text}\n")


def compiled(*words: object) -> list[dict[str, Any]]:
    """Return what `compile kubernetes` prints."""
    ran = run("compile", "kubernetes", *words)
    assert ran.status == 0, ran.err
    return list(yaml.safe_load_all(ran.out))


def one(matches: list[dict[str, Any]], kind: str, name: str = "") -> dict[str, Any]:
    """Return the one object of that kind whose name holds `name`."""
    (match,) = (obj for obj in matches if obj["kind"] == kind and name in obj["metadata"]["name"])
    return match


def policy(source: Source, what: str = "pods") -> dict[str, Any]:
    """Return the spec of the team's admission policy."""
    return one(objects.kubernetes_objects(source), "ValidatingAdmissionPolicy", f"-{what}")["spec"]


def denials(
    spec: dict[str, Any], obj: dict[str, Any], old: dict[str, Any] | None = None, **request: Any
) -> list[str]:
    """Return what the policy has against the object, as the API server reads it."""
    requested = {"operation": "UPDATE" if old else "CREATE", "userInfo": WORKER, **request}
    return cel.denials(spec, {"object": cel.as_typed(obj), "oldObject": cel.as_typed(old), "request": requested})
