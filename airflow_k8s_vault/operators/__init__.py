"""What a DAG author writes, from the check at import to the end of the run.

The names load on first use: Airflow loads the namespace guard of this room into every process, and a DAG file
without pods should not pay for Kubernetes' client.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_k8s_vault.operators.decorator import vault_pod_task
    from airflow_k8s_vault.operators.executor_pod import pod_override
    from airflow_k8s_vault.operators.vault_pod import VaultPodOperator

__all__ = ["VaultPodOperator", "pod_override", "vault_pod_task"]

_HOMES = {"VaultPodOperator": "vault_pod", "pod_override": "executor_pod", "vault_pod_task": "decorator"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
