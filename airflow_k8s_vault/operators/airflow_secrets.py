"""Airflow's own secrets, which its Jinja can render into a pod's arguments: what masks them in logs knows them."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from airflow_k8s_vault.errors import PolicyError, error_list
from airflow_k8s_vault.policy import FieldPath, known_secret_errors
from airflow_k8s_vault.templates import PodTemplate

# One of Airflow's core, and one of its task SDK. Neither is imported here: what was not loaded knows nothing.
_MASKERS = (
    "airflow._shared.secrets_masker.secrets_masker",
    "airflow.sdk._shared.secrets_masker.secrets_masker",
)
# What KubernetesPodOperator, or this package, sets in each pod; its other labels are of the run's names.
_LEFT_OUT = frozenset(
    ("metadata", "labels", name)
    for name in ("airflow_version", "airflow_kpo_in_cluster", "kubernetes_pod_operator", "airflow-k8s-vault-pod")
)
_CONSTANTS = "v1 Pod Never File true false"


def require_none(
    task_id: str,
    pod: Mapping[str, Any],
    template: PodTemplate,
    by_platform: Collection[FieldPath],
    known: str,
    written: str,
) -> None:
    """Raise PolicyError, without the values, where the manifest holds what Airflow masks in logs.

    by_platform: the paths of what neither template nor DAG gave. known: what the run is called. written: all text
    of the DAG's arguments, before Airflow rendered it.
    """
    ours = {
        ("metadata", "annotations", name) for name in _annotations(pod) if name.startswith("airflow-k8s-vault/")
    }
    harmless = f"{_CONSTANTS}\n{known}\n{_text_of(template)}"
    errors = known_secret_errors(
        pod, _secrets_in, harmless=harmless, written=written, left_out=_LEFT_OUT.union(ours, by_platform)
    )
    if message := [
        f"{error}: give it to the pod by VaultSecret.connection or VaultSecret.variable." for error in errors
    ]:
        raise PolicyError(error_list(f"The pod of task '{task_id}' holds what belongs into Vault:", message))


def written_in(value: Any) -> Iterator[str]:
    """Yield all text in the arguments of a task."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from written_in(key)
            yield from written_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from written_in(item)
    elif hasattr(type(value), "openapi_types"):
        # A model of the Kubernetes client.
        yield from written_in(value.to_dict())


def _annotations(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    annotations: Mapping[str, Any] = pod["metadata"].get("annotations") or {}
    return annotations


def _text_of(template: PodTemplate) -> str:
    team = template.team
    fields = (team.name, team.namespace, team.service_account, team.vault_role, *team.images.values())
    schemas = [str(variable.schema) for variable in template.variables.variables.values()]
    return "\n".join((*fields, *schemas, *template.texts()))


def _secrets_in(text: str) -> Iterator[str]:
    for name in _MASKERS:
        if (module := sys.modules.get(name)) and (replacer := module._secrets_masker().replacer):
            yield from (match[0] for match in replacer.finditer(text))
