"""The tasks of KubernetesPodOperator in DAG files: read out of the imported DAGs, each with its pod."""

from __future__ import annotations

import contextlib
import copy
import logging
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from airflow_k8s_vault.commands.dag_secrets import broken_files, imported_dags
from airflow_k8s_vault.errors import ConfigError, MigrationError, did_you_mean
from airflow_k8s_vault.migrate import InputPod

_BASE = "base"
_NO_LOG = logging.Logger(__name__, logging.CRITICAL)


@dataclass(frozen=True)
class PodTask:
    """One task. operator: its class; arguments: those that the DAG file gives, with default_args.

    plain: the class is KubernetesPodOperator itself, and not mapped. pod: None where only a run makes it, as error
    says.
    """

    dag_id: str
    task_id: str
    file: Path
    operator: str
    plain: bool
    arguments: Mapping[str, Any]
    pod: InputPod | None
    error: str = ""

    @property
    def name(self) -> str:
        return f"{self.dag_id}.{self.task_id}"


class PodTasks(NamedTuple):
    """The tasks of DAG files; broken: file to why it cannot be imported."""

    tasks: list[PodTask]
    broken: dict[str, str]


def read(folder: Path) -> PodTasks:
    """Import the DAG files of a folder, or one file, and return their tasks. Raises ConfigError."""
    bag = imported_dags(folder)
    return PodTasks(list(_tasks(bag)), broken_files(bag, folder))


def one(text: str) -> InputPod:
    """Return the pod of one task, which is named FILE:TASK or FILE:DAG.TASK. Raises MigrationError."""
    file, separator, name = text.rpartition(":")
    if not (file and separator and name):
        raise ConfigError(
            f"--dag {text} names no task.\n  Write it as dags/load.py:load, or dags/load.py:nightly.load."
        )
    tasks, broken = read(Path(file))
    if broken:
        reasons = "".join(f"\n  {reason}" for reason in broken.values())
        raise MigrationError(f"{file} could not be imported.{reasons}")
    matches = [task for task in tasks if name in (task.task_id, task.name)]
    known = [task.name for task in tasks]
    if len(matches) != 1:
        many = f" Several DAGs of it have one: {', '.join(task.name for task in matches)}." if matches else ""
        raise MigrationError(
            f"{file} has no one task '{name}' of KubernetesPodOperator.{many}{did_you_mean(name, known)}\n"
            f"  It has: {', '.join(known) or 'none'}."
        )
    if matches[0].pod is None:
        raise MigrationError(f"The pod of task '{name}' in {file} is not known: {matches[0].error}.")
    return matches[0].pod


def _tasks(bag: Any) -> Iterator[PodTask]:
    from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator

    for dag_id, dag in sorted(bag.dags.items()):
        for task in dag.tasks:
            mapped = getattr(task, "partial_kwargs", None) is not None
            kind = task.operator_class if mapped else type(task)
            is_pod = isinstance(kind, type) and issubclass(kind, KubernetesPodOperator)
            # Ours have been moved.
            if is_pod and not hasattr(kind, "vault_request"):
                yield _task(dag_id, task, Path(dag.fileloc), mapped, kind is KubernetesPodOperator)


def class_of(task: Any) -> type[Any]:
    """Return the class of a task, also of a mapped one."""
    kind: type[Any] = task.operator_class if getattr(task, "partial_kwargs", None) is not None else type(task)
    return kind


def _task(dag_id: str, task: Any, file: Path, mapped: bool, plain: bool) -> PodTask:
    name = class_of(task).__name__
    if mapped:
        arguments = {**task.partial_kwargs, **_expanded(task)}
        error = "it is mapped, and only its run knows all of its arguments"
        return PodTask(dag_id, task.task_id, file, name, False, arguments, None, error)
    arguments = dict(getattr(task, "_BaseOperator__init_kwargs", {}))
    pod, error = None, ""
    try:
        pod = pod_of(task)
    except Exception as reason:
        # Its words may hold a value.
        error = f"building it ends with {type(reason).__name__}"
    base = task.base_container_name or _BASE
    given = InputPod(f"{file.name}:{task.task_id}", pod, True, base, True) if pod else None
    return PodTask(dag_id, task.task_id, file, name, plain, arguments, given, error)


def _expanded(task: Any) -> Mapping[str, Any]:
    value = getattr(getattr(task, "expand_input", None), "value", None)
    return value if isinstance(value, Mapping) else {}


def pod_of(task: Any) -> dict[str, Any]:
    """Return the pod as the operator makes it, without looking at a connection, a cluster or a run."""
    from kubernetes.client import ApiClient

    task = copy.copy(task)
    # It logs a line for each, which says nothing here.
    task._cached_logger = _NO_LOG
    # The sidecar's image, and the namespace where none is given, come from the connection.
    task.do_xcom_push = False
    has_namespace = bool(task.namespace)
    task.namespace = task.namespace or "default"
    task.env_from = list(task.env_from or ())
    with contextlib.redirect_stdout(sys.stderr):
        built = task.build_pod_request_obj(None, dry_run=True)
    pod: dict[str, Any] = ApiClient().sanitize_for_serialization(built)
    if not has_namespace and not task.pod_template_file and not task.full_pod_spec:
        pod["metadata"].pop("namespace", None)
    return pod
