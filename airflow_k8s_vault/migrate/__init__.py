"""From what people have, pods of any origin and DAGs of KubernetesPodOperator, to templates and VaultSecrets."""

from __future__ import annotations

from airflow_k8s_vault.migrate.documents import read
from airflow_k8s_vault.migrate.importing import Imported, import_pods
from airflow_k8s_vault.migrate.pods import InputPod, Inputs, of_documents
from airflow_k8s_vault.migrate.target import Target

__all__ = ["Imported", "InputPod", "Inputs", "Target", "import_pods", "of_documents", "read"]
