"""What a DAG may set, and what no pod may be: checks on plain data, without a cluster."""

from __future__ import annotations

from airflow_k8s_vault.policy.expected import Expected, Hooked
from airflow_k8s_vault.policy.final_pod import check
from airflow_k8s_vault.policy.live_pod import differences

__all__ = ["Expected", "Hooked", "check", "differences"]
