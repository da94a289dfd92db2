"""Airflow's cluster policy: no plain KubernetesPodOperator aims at a team's namespace.

Loaded by the `airflow.policy` entry point in every Airflow process, so it imports nothing of weight, and before
any DAG file: here the settings of this package are taken. Off unless `[k8s_vault] guard_team_namespaces` is True.
What it sees is the DAG as it is imported; Kubernetes' RBAC is what keeps a worker out of a namespace.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from airflow.policies import hookimpl

from airflow_k8s_vault import config

# What it says of places is taken with the other settings.
from airflow_k8s_vault.lookups import located as _  # noqa: F401

config.load()


@hookimpl
def task_policy(task: Any) -> None:
    """Raise AirflowClusterPolicyViolation where the setting is on and the task aims at a team's namespace."""
    classes = {kind.__name__ for kind in _class_of(task).__mro__}
    if "KubernetesPodOperator" not in classes or "VaultPodOperator" in classes:
        return
    if config.get("guard_team_namespaces") == "True":
        _refuse(task, Path(config.get("templates_dir")))


def _refuse(task: Any, templates_dir: Path) -> None:
    from airflow.exceptions import AirflowClusterPolicyViolation

    from airflow_k8s_vault import teams

    owners = {teams.load(name, templates_dir).namespace: name for name in teams.names(templates_dir)}
    for namespace in _namespaces(task):
        if namespace in owners:
            raise AirflowClusterPolicyViolation(
                f"Task '{task.task_id}' is a {_class_of(task).__name__} that aims at namespace '{namespace}' of "
                f"team '{owners[namespace]}'.\n"
                "  Use VaultPodOperator with a pod template of that team: [k8s_vault] guard_team_namespaces is on."
            )


def _class_of(task: Any) -> type:
    """Return the operator's class; a mapped operator carries it."""
    found = getattr(task, "operator_class", None)
    return found if isinstance(found, type) else type(task)


def _namespaces(task: Any) -> Iterator[object]:
    """Yield every namespace that the task's arguments name."""
    given = getattr(task, "partial_kwargs", None) or vars(task)
    yield given.get("namespace")
    mapped = getattr(getattr(task, "expand_input", None), "value", None)
    if isinstance(mapped, Mapping) and isinstance(mapped.get("namespace"), list):
        yield from mapped["namespace"]
    yield from _of_manifest(given.get("pod_template_dict"))
    spec = given.get("full_pod_spec")
    yield getattr(getattr(spec, "metadata", None), "namespace", None)
    file = given.get("pod_template_file")
    if file and Path(file).is_file():
        from airflow_k8s_vault.teams import document

        yield from _of_manifest(document.parse(Path(file).read_text()).data)


def _of_manifest(manifest: object) -> Iterator[object]:
    if isinstance(manifest, Mapping):
        yield (manifest.get("metadata") or {}).get("namespace")
