"""What a DAG author writes, from the check at import to the end of the run.

The names load on first use: Airflow loads the namespace guard of this room into every process, and a DAG file
without pods should not pay for Kubernetes' client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_k8s_vault.door import lazy_door

if TYPE_CHECKING:
    from airflow_k8s_vault.operators.decorator import vault_pod_task
    from airflow_k8s_vault.operators.executor_pod import pod_override
    from airflow_k8s_vault.operators.mutation_hook import watched_mutations
    from airflow_k8s_vault.operators.trigger import VaultPodTrigger
    from airflow_k8s_vault.operators.vault_pod import VaultPodOperator
    from airflow_k8s_vault.operators.xcom_sidecar import restricted_context, xcom_container

__all__ = [
    "VaultPodOperator",
    "VaultPodTrigger",
    "pod_override",
    "restricted_context",
    "vault_pod_task",
    "watched_mutations",
    "xcom_container",
]

__getattr__ = lazy_door(
    __name__,
    {
        "VaultPodOperator": "vault_pod",
        "VaultPodTrigger": "trigger",
        "pod_override": "executor_pod",
        "restricted_context": "xcom_sidecar",
        "vault_pod_task": "decorator",
        "watched_mutations": "mutation_hook",
        "xcom_container": "xcom_sidecar",
    },
)
