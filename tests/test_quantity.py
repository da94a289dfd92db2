"""A quantity is what Kubernetes takes as one, wherever somebody writes it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from airflow_k8s_vault import quantity, templates
from airflow_k8s_vault.errors import K8sVaultError
from airflow_k8s_vault.policy import differences
from tests.teams.test_teams import load
from tests.templates.conftest import TEAM

# As k8s.io/apimachinery/pkg/api/resource parses them.
AMOUNTS = {
    "1": "1",
    "1.": "1",
    ".5": "0.5",
    "+2": "2",
    "100m": "0.1",
    "1500u": "0.0015",
    "1e3": "1000",
    "1E3": "1000",
    "1e-3": "0.001",
    "5E+2": "500",
    "1E": "1e18",
    "1Ei": str(2**60),
    "1.5Gi": str(3 * 2**29),
    "0.5k": "500",
}
NONE = [
    "",
    ".",
    "1 Gi",
    "1Gb",
    "1K",
    "1mi",
    "1e",
    "e3",
    "1e1.5",
    "0x1",
    "1e3m",
    "１",
    "1\n",
    "1_000",
    "inf",
    "nan",
]


@pytest.mark.parametrize(("text", "amount"), AMOUNTS.items())
def test_it_is_taken_as_kubernetes_does(tmp_path: Path, text: str, amount: str) -> None:
    folder = tmp_path / "pod_templates"
    team = load(tmp_path, f"{TEAM}limits: {{cpu: '{text}'}}\n")
    (folder / "payments" / "etl.vars.yaml").write_text("memory: {type: quantity, minimum: 1n, maximum: 8Ei}\n")
    (folder / "payments" / "etl.yaml.j2").write_text("{# An ETL. #}\n")

    templates.find("payments/etl", folder).check_vars({"memory": text})

    assert Decimal(amount) == quantity.parse(text)
    assert {"cpu": text} == dict(team.walls.limits)
    assert [] == differences(_sized(amount), _sized(text))


def _sized(cpu: str) -> dict[str, object]:
    base = {"name": "base", "image": "a", "resources": {"limits": {"cpu": cpu}}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [base]}}


@pytest.mark.parametrize("text", [*NONE, "-1"])
def test_what_is_none_is_refused(tmp_path: Path, text: str) -> None:
    assert quantity.parse(text) is None or text == "-1"
    with pytest.raises(K8sVaultError, match="a quantity of Kubernetes"):
        load(tmp_path, f"{TEAM}limits: {{cpu: {text!r}}}\n")
