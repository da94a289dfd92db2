"""The Vault client: settings, login methods, the life of a token, and requests that end in time.

Read in this order: settings and reading (what it is told), client (a read), breaker (whether to try at all),
keeper, token, logins, cloud_logins and identity (who asks), connection, requesting, deadline and transport (how it
is sent); session is the same for one pod's login.

The only place where hvac enters, and only for what it alone knows (signing an AWS login). What speaks HTTP is
imported at the first request, not with this package: Airflow imports its secrets backend in every process, also in
those that never look anything up.
"""

from airflow_k8s_vault.secret_value import SecretValue
from airflow_k8s_vault.vault.client import VaultClient, team_settings
from airflow_k8s_vault.vault.deadline import Deadline
from airflow_k8s_vault.vault.reader import Reply, VaultReader
from airflow_k8s_vault.vault.reading import settings_from
from airflow_k8s_vault.vault.session import LONGEST_SECONDS, ReadResult, Session
from airflow_k8s_vault.vault.settings import Settings

__all__ = [
    "LONGEST_SECONDS",
    "Deadline",
    "ReadResult",
    "Reply",
    "SecretValue",
    "Session",
    "Settings",
    "VaultClient",
    "VaultReader",
    "settings_from",
    "team_settings",
]
