"""From what people have, pods of any origin and DAGs of KubernetesPodOperator, to templates and VaultSecrets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_k8s_vault.door import lazy_door
from airflow_k8s_vault.migrate.documents import read
from airflow_k8s_vault.migrate.fate_tree import fate_tree
from airflow_k8s_vault.migrate.importing import Imported, import_pods
from airflow_k8s_vault.migrate.masking import credentials, masked
from airflow_k8s_vault.migrate.origins import Origins
from airflow_k8s_vault.migrate.pods import InputPod, Inputs, of_documents
from airflow_k8s_vault.migrate.target import Target
from airflow_k8s_vault.migrate.task_report import DagTask, TaskReport, markdown, report

if TYPE_CHECKING:
    from airflow_k8s_vault.migrate.patch import Change, Patched, change, patched

__all__ = [
    "Change",
    "DagTask",
    "Imported",
    "InputPod",
    "Inputs",
    "Origins",
    "Patched",
    "Target",
    "TaskReport",
    "change",
    "credentials",
    "fate_tree",
    "import_pods",
    "markdown",
    "masked",
    "of_documents",
    "patched",
    "read",
    "report",
]

# libcst takes 0.3 s to load, and only patches need it.
__getattr__ = lazy_door(__name__, {"Change": "patch", "Patched": "patch", "change": "patch", "patched": "patch"})
