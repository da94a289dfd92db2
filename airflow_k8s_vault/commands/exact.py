"""The pod that a task would send, built by the operator itself, without a cluster or Vault."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_k8s_vault.config import SECTION
from airflow_k8s_vault.templates import PodTemplate


def pod(template: PodTemplate, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest that a task without secrets and other arguments sends, pod_mutation_hook included.

    What only a run knows is not in it: its labels, and what the template makes of dag_id and the like.
    """
    # Imported here: it takes two seconds, and the other commands do without.
    from kubernetes.client import ApiClient

    from airflow_k8s_vault.operators.vault_pod import VaultPodOperator

    _set_folder(template.folder.root)
    task = VaultPodOperator(task_id="example_task", pod_template=template.name, template_vars=dict(values))
    # The operator logs what it builds, to standard output.
    with contextlib.redirect_stdout(sys.stderr):
        built = task.build_pod_request_obj(None, dry_run=True)
    manifest: dict[str, Any] = ApiClient().sanitize_for_serialization(built)
    return manifest


def _set_folder(root: Path) -> None:
    # The operator reads the setting; --templates-dir may say otherwise for this process.
    os.environ[f"AIRFLOW__{SECTION.upper()}__TEMPLATES_DIR"] = str(root)
