"""The Vault client: settings, login methods, the life of a token, and requests that end in time.

The only place where hvac enters, and only for what it alone knows (signing an AWS login). What speaks HTTP is
imported at the first request, not with this package: Airflow imports its secrets backend in every process, also in
those that never look anything up.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow_k8s_vault.secret_value import SecretValue
from airflow_k8s_vault.vault.client import VaultClient, team_settings
from airflow_k8s_vault.vault.deadline import Deadline
from airflow_k8s_vault.vault.reading import settings_from
from airflow_k8s_vault.vault.settings import Settings

if TYPE_CHECKING:
    from airflow_k8s_vault.vault.session import LONGEST_SECONDS, Found, Session

__all__ = [
    "LONGEST_SECONDS",
    "Deadline",
    "Found",
    "SecretValue",
    "Session",
    "Settings",
    "VaultClient",
    "settings_from",
    "team_settings",
]
_LAZY = ("LONGEST_SECONDS", "Found", "Session")


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("airflow_k8s_vault.vault.session"), name)
