"""What a pod of VaultPodOperator says of itself, in its annotations and labels."""

from __future__ import annotations

# The name of the template that it was made from.
TEMPLATE_ANNOTATION = "airflow-k8s-vault/pod-template"
# One request to create it. Whoever finds a pod of its name knows by it whether that is the one it asked for, and
# the Secrets of delivery `secret` are named after it.
REQUEST_ANNOTATION = "airflow-k8s-vault/request"
# Those of a namespace are watched together, and no others with them.
POD_LABELS = {"airflow-k8s-vault-pod": "true"}
# Whose it is, see operators.own_pods.
OWNER_ANNOTATION = "airflow-k8s-vault/owner"
