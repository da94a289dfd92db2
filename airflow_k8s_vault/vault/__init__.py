"""The Vault client: settings, login methods, the life of a token, and requests that end in time.

The only place where hvac enters, and only for what it alone knows (signing an AWS login). What speaks HTTP is
imported at the first request, not with this package: Airflow imports its secrets backend in every process, also in
those that never look anything up.
"""

from airflow_k8s_vault.secret_value import SecretValue
from airflow_k8s_vault.vault.client import VaultClient
from airflow_k8s_vault.vault.settings import Settings

__all__ = ["SecretValue", "Settings", "VaultClient"]
