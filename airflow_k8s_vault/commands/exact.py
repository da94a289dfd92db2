"""The pod that a task would send, built by the operator itself, without a cluster or Vault."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from typing import Any

from airflow_k8s_vault import config
from airflow_k8s_vault.templates import PodTemplate


def pod(template: PodTemplate, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest that a task without secrets and other arguments sends, pod_mutation_hook included.

    What only a run knows is not in it: its labels, and what the template makes of dag_id and the like.
    """
    # Imported here: it takes two seconds, and the other commands do without.
    from kubernetes.client import ApiClient

    from airflow_k8s_vault.operators import VaultPodOperator

    # The operator reads the setting; --templates-dir may say otherwise. And it logs what it builds, to stdout.
    with config.replaced("templates_dir", str(template.folder.root)), contextlib.redirect_stdout(sys.stderr):
        task = VaultPodOperator(task_id="example_task", pod_template=template.name, template_vars=dict(values))
        built = task.build_pod_request_obj(None, dry_run=True)
    manifest: dict[str, Any] = ApiClient().sanitize_for_serialization(built)
    return manifest
