"""Airflow tasks that name a pod template and the Vault secrets they need; the pod, and nothing else, gets them.

Names load on first use: Airflow imports `[secrets] backend` while airflow.configuration itself is still
importing, so the secrets backend must not bring in kubernetes or the operator.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_k8s_vault.operators import VaultPodOperator, pod_override
    from airflow_k8s_vault.secrets_backend import VaultSecretsBackend
    from airflow_k8s_vault.vault_file import VaultFile
    from airflow_k8s_vault.vault_secret import VaultSecret

__all__ = ["VaultFile", "VaultPodOperator", "VaultSecret", "VaultSecretsBackend", "pod_override"]

_HOMES = {
    "VaultFile": "airflow_k8s_vault.vault_file",
    "VaultPodOperator": "airflow_k8s_vault.operators",
    "VaultSecret": "airflow_k8s_vault.vault_secret",
    "pod_override": "airflow_k8s_vault.operators",
    "VaultSecretsBackend": "airflow_k8s_vault.secrets_backend",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
