"""Airflow's UI: teams and templates, which task gets which credential, and why a pod did not start.

Read-only, and without a value of a secret: this room asks neither Vault nor, on its navigation pages, a cluster.
"""

from __future__ import annotations

from airflow_k8s_vault.page.plugin import K8sVaultPlugin

__all__ = ["K8sVaultPlugin"]
