"""How credentials reach a pod: each delivery adds references to a manifest, never a value.

The two deliveries are rooms of their own behind this one: agent and secret, with the same `attach`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from airflow_k8s_vault.delivery.annotations import (
    OWNER_ANNOTATION,
    POD_LABELS,
    REQUEST_ANNOTATION,
    TEMPLATE_ANNOTATION,
)
from airflow_k8s_vault.delivery.attempts import REQUEST_SECONDS, attempt, unless_gone
from airflow_k8s_vault.delivery.failure import delivery_failure, has_begun
from airflow_k8s_vault.delivery.file_key_ref import (
    explained_refusal,
    require_file_key_ref,
    version_without_file_key_ref,
)
from airflow_k8s_vault.delivery.lifetime import LEAST_GRACE_SECONDS, bound_lifetime, lifetime_seconds
from airflow_k8s_vault.delivery.login import VaultLogin
from airflow_k8s_vault.delivery.main_failure import (
    MOST_LOG_LINES,
    has_failed,
    has_succeeded,
    is_for_good,
    why_it_failed,
)
from airflow_k8s_vault.delivery.placement import conflicts
from airflow_k8s_vault.delivery.references import require_expanded
from airflow_k8s_vault.delivery.steps import Step, steps_of

__all__ = [
    "LEAST_GRACE_SECONDS",
    "MOST_LOG_LINES",
    "OWNER_ANNOTATION",
    "POD_LABELS",
    "REQUEST_ANNOTATION",
    "REQUEST_SECONDS",
    "TEMPLATE_ANNOTATION",
    "Step",
    "VaultLogin",
    "attempt",
    "bound_lifetime",
    "conflicts",
    "delivery_failure",
    "explained_refusal",
    "handover",
    "has_begun",
    "has_failed",
    "has_succeeded",
    "is_for_good",
    "lifetime_seconds",
    "require_expanded",
    "require_file_key_ref",
    "steps_of",
    "unless_gone",
    "version_without_file_key_ref",
    "why_it_failed",
]


def handover() -> Any:
    """Return the room that logs in for pods, which delivery `secret` needs.

    Named here and imported by nobody: what knows the Vault client is loaded where a task wants it.
    """
    return import_module("airflow_k8s_vault.handover")
