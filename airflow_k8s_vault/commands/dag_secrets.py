"""Which secrets the tasks of DAG files declare: read out of the imported DAGs, without a cluster or Vault."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from airflow_k8s_vault.compile import Declared
from airflow_k8s_vault.errors import ConfigError
from airflow_k8s_vault.lookups import resolve
from airflow_k8s_vault.vault_secret import VaultSecret

# The arguments that say which secrets of which team a task gets.
_EXPANDED = ("pod_template", "team", "vault_secrets", "executor_config", "default_args")

_DEPTH = "AIRFLOW__CORE__DAGBAG_IMPORT_ERROR_TRACEBACK_DEPTH"


@dataclass(frozen=True)
class DagSecrets:
    """What was found. dags: team to the ids of its DAGs. broken: file and line to why it cannot be imported.

    unknown: a sentence for each task whose secrets only its run knows.
    """

    declared: tuple[Declared, ...]
    dags: Mapping[str, tuple[str, ...]]
    broken: Mapping[str, str]
    unknown: tuple[str, ...]


def imported_dags(folder: Path) -> Any:
    """Import the DAG files of a folder, or one file, and return Airflow's DagBag of them. Raises ConfigError."""
    from airflow.dag_processing.dagbag import DagBag

    if not folder.exists():
        raise ConfigError(f"There is no {folder}.\n  Name the folder, or the file, of the DAGs with --dags.")
    root = folder if folder.is_dir() else folder.parent
    with _nothing_on_stdout(), _whole_tracebacks():
        return DagBag(folder, bundle_path=root)


def broken_files(bag: Any, folder: Path) -> dict[str, str]:
    """Return each file that could not be imported, with the line, to the reason."""
    root = folder if folder.is_dir() else folder.parent
    return {_place(root / file, error): _message(error) for file, error in bag.import_errors.items()}


def read_dag_secrets(folder: Path) -> DagSecrets:
    """Import the DAG files of a folder, or one file, and return what their tasks declare. Raises ConfigError."""
    bag = imported_dags(folder)
    declared: list[Declared] = []
    dags: dict[str, set[str]] = {}
    unknown: list[str] = []
    tasks = [(dag_id, task) for dag_id, dag in sorted(bag.dags.items()) for task in dag.tasks]
    for dag_id, task in tasks:
        for given in _given(task):
            secrets, team = given.get("vault_secrets") or (), _team(given)
            name, file = f"'{dag_id}.{task.task_id}'", bag.dags[dag_id].fileloc
            if not isinstance(secrets, list | tuple) or (team is None and secrets):
                unknown.append(f"{file}: only its run knows the secrets of task {name}.")
            elif team is not None:
                dags.setdefault(team, set()).add(dag_id)
                declared += _of_task(bag.dags[dag_id], task.task_id, team, given, secrets)
    result = {team: tuple(sorted(ids)) for team, ids in sorted(dags.items())}
    return DagSecrets(
        tuple(dict.fromkeys(declared)), result, broken_files(bag, folder), tuple(dict.fromkeys(unknown))
    )


@contextlib.contextmanager
def _nothing_on_stdout() -> Iterator[None]:
    """Send Airflow's log of the import, and what DAG files print, to stderr: it would be read as the output.

    The descriptor, too: some of Airflow's loggers hold the stream itself.
    """
    kept = os.dup(1)
    try:
        os.dup2(2, 1)
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        if sys.__stdout__ is not None:
            sys.__stdout__.flush()
        os.dup2(kept, 1)
        os.close(kept)


@contextlib.contextmanager
def _whole_tracebacks() -> Iterator[None]:
    """Let Airflow keep the frame of the DAG file, too: by default it keeps the last two, which are ours."""
    before = os.environ.get(_DEPTH)
    os.environ[_DEPTH] = "100"
    try:
        yield
    finally:
        os.environ.pop(_DEPTH)
        os.environ.update({_DEPTH: before} if before is not None else {})


def _of_task(
    dag: Any, task_id: str, team: str, given: Mapping[str, Any], secrets: Sequence[Any]
) -> Iterator[Declared]:
    for secret in secrets:
        if isinstance(secret, VaultSecret):
            (result,) = resolve([secret], team)
            template = str(given.get("pod_template"))
            timeout = given.get("execution_timeout")
            seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else None
            yield Declared(dag.dag_id, task_id, team, template, secret, result, str(dag.fileloc), seconds)


def _given(task: Any) -> Iterator[Mapping[str, Any]]:
    """Yield what the task gives: arguments of VaultPodOperator, and of `pod_override`.

    Of a mapped one once for each value that the DAG file gives; what only a run makes stands for itself.
    """
    mapped = getattr(task, "partial_kwargs", None) is not None
    of_vault = hasattr(task.operator_class if mapped else type(task), "vault_request")
    for arguments in map(partial(_completed, task), _of_mapped(task)) if mapped else [vars(task)]:
        if of_vault:
            yield arguments
        yield from _override(arguments.get("executor_config"))


def _of_mapped(task: Any) -> Iterator[Mapping[str, Any]]:
    known = task.partial_kwargs
    expanded = getattr(getattr(task, "expand_input", None), "value", None)
    if isinstance(expanded, Mapping):
        each = {name: _values(expanded[name]) for name in _EXPANDED if name in expanded}
        for values in itertools.product(*each.values()):
            yield {**known, **dict(zip(each, values, strict=True))}
    elif isinstance(expanded, list | tuple):
        for entry in expanded:
            yield {**known, **entry} if isinstance(entry, Mapping) else {**known, "vault_secrets": entry}
    else:
        # What another task returns: it may hold any argument.
        yield {**known, "vault_secrets": expanded}


def _completed(task: Any, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the arguments with the defaults of DAG, task group and `default_args`: they come in when it runs."""
    own = arguments.get("default_args") or {}
    if not isinstance(own, Mapping):
        # What another task returns.
        own, arguments = {}, {**arguments, "vault_secrets": own}
    of_group = (task.task_group and task.task_group.default_args) or {}
    return {**(task.dag.default_args or {}), **of_group, **own, **arguments}


def _values(expanded: Any) -> list[Any]:
    return list(expanded) if isinstance(expanded, list | tuple) else [expanded]


def _override(executor_config: Any) -> Iterator[Mapping[str, Any]]:
    """Yield what `pod_override` was given, where a task of KubernetesExecutor has one."""
    pod = executor_config.get("pod_override") if isinstance(executor_config, Mapping) else None
    if (given := getattr(pod, "vault_request", None)) is not None:
        yield given


def _team(given: Mapping[str, Any]) -> str | None:
    template = given.get("pod_template")
    if not isinstance(template, str):
        return None
    return given.get("team") or template.partition("/")[0]


def _place(file: Path, traceback: str) -> str:
    """Return the file, with the line of its own that the traceback ends at."""
    lines = re.findall(rf'File "{re.escape(str(file))}", line ([0-9]+)', traceback)
    return f"{file}, line {lines[-1]}," if lines else str(file)


def _message(traceback: str) -> str:
    """Return the exception of a printed traceback, with all lines of its message."""
    lines = traceback.strip().splitlines()
    frames = [number for number, line in enumerate(lines) if line.startswith("  File ")]
    after = lines[frames[-1] + 1 :] if frames else lines
    while len(after) > 1 and after[0].startswith("    "):
        after = after[1:]
    return "\n".join(after)
