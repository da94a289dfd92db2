"""What is compiled beside what is there: pure comparisons, and two modules that read a live Vault and cluster.

What reads loads on first use: it brings the clients of Vault and Kubernetes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_k8s_vault.compile.plan.difference import Difference, Plan
from airflow_k8s_vault.compile.plan.kubernetes import cluster_differences
from airflow_k8s_vault.compile.plan.vault import vault_differences
from airflow_k8s_vault.door import lazy_door

if TYPE_CHECKING:
    from airflow_k8s_vault.compile.plan.live_cluster import path, read_cluster
    from airflow_k8s_vault.compile.plan.live_vault import read_vault

__all__ = [
    "Difference",
    "Plan",
    "cluster_differences",
    "path",
    "read_cluster",
    "read_vault",
    "vault_differences",
]

_LAZY = {"path": "live_cluster", "read_cluster": "live_cluster", "read_vault": "live_vault"}
__getattr__ = lazy_door(__name__, _LAZY)
