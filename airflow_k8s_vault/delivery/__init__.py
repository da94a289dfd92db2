"""How credentials reach a pod: each delivery adds references to a manifest, never a value."""

from __future__ import annotations

from importlib import import_module
from typing import Any

# On each pod of VaultPodOperator: the name of the template that it was made from.
TEMPLATE_ANNOTATION = "airflow-k8s-vault/pod-template"
# On each pod of VaultPodOperator: one request to create it. Whoever finds a pod of its name knows by it whether
# that is the one it asked for, and the Secrets of delivery `secret` are named after it.
REQUEST_ANNOTATION = "airflow-k8s-vault/request"
# On each pod of VaultPodOperator: those of a namespace are watched together, and no others with them.
POD_LABELS = {"airflow-k8s-vault-pod": "true"}
# On each pod of VaultPodOperator: whose it is, see operators.own_pods.
OWNER_ANNOTATION = "airflow-k8s-vault/owner"

# Named here and imported by nobody: what knows the Vault client is loaded in the processes of tasks that want it.
_HANDOVER = "airflow_k8s_vault.handover.handover"


def handover() -> Any:
    """Return the module that logs in for pods, which delivery `secret` needs."""
    return import_module(_HANDOVER)
