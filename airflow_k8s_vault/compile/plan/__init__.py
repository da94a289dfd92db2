"""What is compiled beside what is there: pure comparisons, and two modules that read a live Vault and cluster."""

from __future__ import annotations

from airflow_k8s_vault.compile.plan.difference import Difference, Plan

__all__ = ["Difference", "Plan"]
