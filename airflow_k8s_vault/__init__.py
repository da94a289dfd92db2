"""Airflow tasks that name a pod template and the Vault secrets they need; the pod, and nothing else, gets them.

Names load on first use: Airflow imports `[secrets] backend` while airflow.configuration itself is still
importing, so the secrets backend must not bring in kubernetes or the operator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_k8s_vault.door import lazy_door

if TYPE_CHECKING:
    from airflow_k8s_vault.operators import VaultPodOperator, pod_override
    from airflow_k8s_vault.secrets_backend import VaultSecretsBackend
    from airflow_k8s_vault.vault_file import VaultFile
    from airflow_k8s_vault.vault_secret import VaultSecret

__all__ = ["VaultFile", "VaultPodOperator", "VaultSecret", "VaultSecretsBackend", "pod_override"]

__getattr__ = lazy_door(
    __name__,
    {
        "VaultFile": "vault_file",
        "VaultPodOperator": "operators",
        "VaultSecret": "vault_secret",
        "VaultSecretsBackend": "secrets_backend",
        "pod_override": "operators",
    },
)
