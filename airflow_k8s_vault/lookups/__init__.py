"""Where Airflow's names are in Vault, and what a secret there has to hold: pure rules, shared by whoever looks up.

Read in this order: settings (what [secrets] backend_kwargs says of it), paths (id and team to paths), shapes (a
secret to a connection or a variable), connection_rules (what makes a connection malformed), resolution (all of it
for the secrets of a task).
"""

from airflow_k8s_vault.lookups.connection_rules import ConnectionRules
from airflow_k8s_vault.lookups.paths import LookupPath, Rules, lookup_paths
from airflow_k8s_vault.lookups.resolution import resolve
from airflow_k8s_vault.lookups.settings import LookupSettings
from airflow_k8s_vault.lookups.shapes import connection_text, value_text

__all__ = [
    "ConnectionRules",
    "LookupPath",
    "LookupSettings",
    "Rules",
    "connection_text",
    "lookup_paths",
    "resolve",
    "value_text",
]
