"""Airflow's connections, variables and config values from Vault: a drop-in for Airflow's own VaultBackend.

Read in this order: backend (what Airflow calls), lookups (id and team to paths, and what a secret there has to
hold), reader, cache and flights (from memory or from Vault), vault (how Vault is asked). What comes of it leaves
by forms and masking (Airflow's logs do not show it), connection (Airflow's own class) and errors (whatever went
wrong).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_k8s_vault.door import lazy_door

if TYPE_CHECKING:
    from airflow_k8s_vault.secrets_backend.backend import VaultSecretsBackend

__all__ = ["VaultSecretsBackend"]

__getattr__ = lazy_door(__name__, {"VaultSecretsBackend": "backend"})

# Airflow has to be imported before the class is: its configuration asks for the class while it is importing, and
# would find half of it where somebody imported the class first.
import airflow.configuration  # noqa: F401
