"""Where VaultPodTrigger stood before 2026-11-25: rows that Airflow's database wrote before an upgrade name it so.

Goes when no deferred task can be that old: not before 2027-11-25.
"""

from __future__ import annotations

from airflow_k8s_vault.operators import VaultPodTrigger

__all__ = ["VaultPodTrigger"]
