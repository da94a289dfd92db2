"""`airflow k8s-vault secrets list`: which task of which DAG gets which Vault path, and who gets a path."""

from __future__ import annotations

import contextlib
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from airflow_k8s_vault.commands import output
from airflow_k8s_vault.errors import ConfigError
from airflow_k8s_vault.lookups import located
from airflow_k8s_vault.vault_secret import VaultSecret


@output.reports_errors
def list_(arguments: Namespace) -> int:
    """Print one row for each secret of each task; status 1 where a DAG file could not be imported."""
    from airflow.dag_processing.dagbag import DagBag

    dags_folder = Path(arguments.dags)
    if not dags_folder.exists():
        raise ConfigError(f"There is no {dags_folder}.\n  Name the folder, or the file, of the DAGs with --dags.")
    # Airflow's log of the import, and what DAG files print, would be read as part of the output.
    with contextlib.redirect_stdout(sys.stderr):
        bag = DagBag(dags_folder, bundle_path=dags_folder if dags_folder.is_dir() else dags_folder.parent)
    rows = [row for dag_id in sorted(bag.dags) for row in _of_dag(bag.dags[dag_id])]
    if arguments.path:
        rows = [row for row in rows if row["path"] == arguments.path]
    if arguments.by == "path":
        rows = sorted(({"path": row["path"], **row} for row in rows), key=lambda row: str(row["path"]))
    output.show(rows, arguments.output)
    for file, error in bag.import_errors.items():
        print(f"{file} could not be imported: {_message(error)}", file=sys.stderr)
    return output.FOUND_PROBLEMS if bag.import_errors else 0


def _message(traceback: str) -> str:
    """Return the exception of a printed traceback, with all lines of its message."""
    lines = traceback.strip().splitlines()
    frames = [number for number, line in enumerate(lines) if line.startswith("  File ")]
    after = lines[frames[-1] + 1 :] if frames else lines
    while len(after) > 1 and after[0].startswith("    "):
        after = after[1:]
    return "\n".join(after)


def _of_dag(dag: Any) -> Iterator[dict[str, Any]]:
    for task in dag.tasks:
        # A mapped task keeps what it was given aside.
        given = getattr(task, "partial_kwargs", None) or vars(task)
        for secret in given.get("vault_secrets") or ():
            if isinstance(secret, VaultSecret):
                template = str(given.get("pod_template"))
                for path in _paths(secret, given.get("team") or template.partition("/")[0]):
                    yield _row(dag.dag_id, task.task_id, template, secret, path)


def _paths(secret: VaultSecret, team: str) -> tuple[str, ...]:
    """Return the path of the secret; of a connection or variable each place where it is looked for."""
    (found,) = located([secret], team)
    return (found.path, *found.elsewhere)


def _row(dag_id: str, task_id: str, template: str, secret: VaultSecret, path: str) -> dict[str, Any]:
    names = [*(secret.env or {}), *([f"/vault/secrets/{secret.file}"] if secret.file else [])]
    return {
        "dag": dag_id,
        "task": task_id,
        "template": template,
        "container": secret.container or "base",
        "path": path,
        "engine": secret.engine,
        "as": names,
    }
