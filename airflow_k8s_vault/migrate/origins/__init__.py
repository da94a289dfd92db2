"""From what fills Kubernetes Secrets and CSI volumes to paths, engines and keys of Vault."""

from __future__ import annotations

from airflow_k8s_vault.migrate.origins.api_path import named_path
from airflow_k8s_vault.migrate.origins.bank_vaults import reference, references
from airflow_k8s_vault.migrate.origins.index import Origins, tells_paths
from airflow_k8s_vault.migrate.origins.manifest import mapping, name_of
from airflow_k8s_vault.migrate.origins.origin import RAW, Origin, Source, VaultValue
from airflow_k8s_vault.migrate.origins.provider_class import ProviderClass

__all__ = [
    "RAW",
    "Origin",
    "Origins",
    "ProviderClass",
    "Source",
    "VaultValue",
    "mapping",
    "name_of",
    "named_path",
    "reference",
    "references",
    "tells_paths",
]
