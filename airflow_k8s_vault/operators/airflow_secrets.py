"""Airflow's own secrets, which its Jinja can render into a pod's arguments: what masks them in logs knows them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_k8s_vault.errors import PolicyError, error_list
from airflow_k8s_vault.policy import OPERATOR_LABELS, known_secret_errors
from airflow_k8s_vault.templates import PodTemplate

# One of Airflow's core, and one of its task SDK. Neither is imported here: what was not loaded knows nothing.
_MASKERS = (
    "airflow._shared.secrets_masker.secrets_masker",
    "airflow.sdk._shared.secrets_masker.secrets_masker",
)
# Named by Airflow, or by this package, after the DAG and the run.
_LEFT_OUT = (*(("metadata", "labels", name) for name in OPERATOR_LABELS), ("metadata", "name"))


def require_none(
    task_id: str,
    pod: Mapping[str, Any],
    template: PodTemplate,
    own_containers: frozenset[str],
    known: str,
    written: str,
) -> None:
    """Raise PolicyError, without the values, where the manifest holds what Airflow masks in logs.

    known: what the run is called. written: all text of the DAG's arguments, before Airflow rendered it.
    """
    sections = [("spec", section, name) for section in ("initContainers", "containers") for name in own_containers]
    ours = [
        ("metadata", "annotations", name) for name in _annotations(pod) if name.startswith("airflow-k8s-vault/")
    ]
    harmless = f"{known}\n{_text_of(template)}"
    errors = known_secret_errors(
        pod, _secrets_in, harmless=harmless, written=written, left_out=[*_LEFT_OUT, *sections, *ours]
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


def _annotations(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    annotations: Mapping[str, Any] = pod["metadata"].get("annotations") or {}
    return annotations


def _text_of(template: PodTemplate) -> str:
    team = template.team
    fields = (team.name, team.namespace, team.service_account, team.vault_role, *team.images.values())
    return "\n".join((*fields, *template.texts()))


def _secrets_in(text: str) -> Iterator[str]:
    for name in _MASKERS:
        if (module := sys.modules.get(name)) and (replacer := module._secrets_masker().replacer):
            yield from (match[0] for match in replacer.finditer(text))
