"""`airflow k8s-vault secrets list`: which task of which DAG gets which Vault path, and who gets a path."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from airflow_k8s_vault.commands import dag_secrets, output
from airflow_k8s_vault.compile import Declared


@output.reports_errors
def list_(arguments: Namespace) -> int:
    """Print one row for each secret of each task; status 1 where a DAG file could not be imported."""
    found = dag_secrets.read(Path(arguments.dags))
    rows = [_row(declared, path) for declared in found.declared for path in declared.paths]
    if arguments.path:
        rows = [row for row in rows if row["path"] == arguments.path]
    if arguments.by == "path":
        rows = sorted(({"path": row["path"], **row} for row in rows), key=lambda row: str(row["path"]))
    output.show(rows, arguments.output)
    for file, error in found.broken.items():
        print(f"{file} could not be imported: {error}", file=sys.stderr)
    for sentence in found.unknown:
        print(sentence, file=sys.stderr)
    return output.FOUND_PROBLEMS if found.broken or found.unknown else 0


def _row(declared: Declared, path: str) -> dict[str, Any]:
    secret = declared.secret
    names = [*(secret.env or {}), *([f"/vault/secrets/{secret.file}"] if secret.file else [])]
    return {
        "dag": declared.dag_id,
        "task": declared.task_id,
        "template": declared.template,
        "container": secret.container or "base",
        "path": path,
        "engine": secret.engine,
        "as": names,
    }
