"""Where Airflow's names are in Vault, and what a secret there has to hold: pure rules, shared by whoever looks up.

Read in this order: settings (what [secrets] backend_kwargs says of it), paths (id and team to paths), shapes (a
secret to a connection or a variable), resolution (all of it for the secrets of a task).
"""

from airflow_k8s_vault.lookups.paths import Place, Rules, places
from airflow_k8s_vault.lookups.resolution import located
from airflow_k8s_vault.lookups.settings import LookupSettings
from airflow_k8s_vault.lookups.shapes import CONNECTION_FIELDS, connection_text, value_text

__all__ = [
    "CONNECTION_FIELDS",
    "LookupSettings",
    "Place",
    "Rules",
    "connection_text",
    "located",
    "places",
    "value_text",
]
