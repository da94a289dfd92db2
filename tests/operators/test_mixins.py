"""A class that brings its own way to a cluster is not mixed with VaultPodOperator; any other may be.

With the clouds' own classes: tests/starters/test_mixins.py.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator

from airflow_k8s_vault import VaultPodOperator
from airflow_k8s_vault.errors import ArgumentError

ROOT = Path(__file__).parents[2]


class FindsItsCluster:
    """As the mixin of Google's operators."""

    @cached_property
    def hook(self) -> Any:
        raise AssertionError("nobody asks it")


class Starter(KubernetesPodOperator):
    """As Amazon's operator."""

    def trigger_reentry(self, context: Any, event: Any) -> Any:
        raise AssertionError("nobody asks it")


class Plain(KubernetesPodOperator):
    ui_color = "#123456"


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__TEMPLATES_DIR", str(ROOT / "pod_templates"))


@pytest.mark.parametrize("other", [FindsItsCluster, Starter])
def test_a_class_with_its_own_way_to_a_cluster_is_refused_at_import(other: type) -> None:
    mixed: Any = type("Mixed", (VaultPodOperator, other), {})

    for make in (mixed, lambda **given: mixed.partial(**given).expand(template_vars=[{}])):
        with pytest.raises(ArgumentError) as refused:
            make(task_id="load", pod_template="payments/etl")
        assert f"mixes VaultPodOperator with {other.__name__}, which finds the cluster" in str(refused.value)
        assert "kubernetes_conn_id" in str(refused.value)


def test_a_class_without_one_is_mixed_and_subclassed_as_ever() -> None:
    mixed: Any = type("Mixed", (VaultPodOperator, Plain), {})

    class Own(VaultPodOperator):
        def trigger_reentry(self, context: Any, event: Any) -> Any:
            return super().trigger_reentry(context, event)

    assert mixed(task_id="load", pod_template="payments/etl").ui_color == "#123456"
    assert Own(task_id="load", pod_template="payments/etl").task_id == "load"
