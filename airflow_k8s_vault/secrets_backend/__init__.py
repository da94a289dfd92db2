"""Airflow's connections, variables and config values from Vault: a drop-in for Airflow's own VaultBackend.

Read in this order: backend (what Airflow calls), lookups.paths (id and team to paths), lookups.shapes (what a
secret has to hold), reader and cache (from memory or from Vault), masking and stopping (how values and errors
leave).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_k8s_vault.secrets_backend.backend import VaultSecretsBackend

__all__ = ["VaultSecretsBackend"]


def __getattr__(name: str) -> Any:
    if name != "VaultSecretsBackend":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from airflow_k8s_vault.secrets_backend.backend import VaultSecretsBackend

    return VaultSecretsBackend


# Airflow has to be imported before the class is: its configuration asks for the class while it is importing, and
# would find half of it where somebody imported the class first.
import airflow.configuration  # noqa: E402, F401
