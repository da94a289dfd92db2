"""`airflow k8s-vault secrets list`: which task of which DAG gets which Vault path, and who gets a path."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from airflow_k8s_vault import config, teams, vault_parameters
from airflow_k8s_vault.commands import dag_secrets, output
from airflow_k8s_vault.compile import Declared
from airflow_k8s_vault.errors import K8sVaultError, did_you_mean
from airflow_k8s_vault.teams import Team
from airflow_k8s_vault.vault_file import DEFAULT_MODE, VaultFile


@output.reports_errors
def list_(arguments: Namespace) -> int:
    """Print one row for each secret of each task.

    Status 1 where a DAG file could not be imported, a task's secrets are not known or over its team's ceiling, or
    nobody gets --path.
    """
    result = dag_secrets.read_dag_secrets(Path(arguments.dags))
    ceilings = _Ceilings(arguments)
    pairs = [(declared, path) for declared in result.declared for path in declared.paths]
    expected = arguments.path.strip("/") if arguments.path else None
    shown = [(declared, path) for declared, path in pairs if expected in (None, path)]
    rows = [_row(declared, path, ceilings) for declared, path in shown]
    if arguments.by == "path":
        rows = sorted(({"path": row["path"], **row} for row in rows), key=lambda row: str(row["path"]))
    if arguments.output == "table" and all(row["version"] in ("newest", "") for row in rows):
        # There is little room on a terminal.
        rows = [{name: value for name, value in row.items() if name != "version"} for row in rows]
    if rows or arguments.output != "table":
        output.show(rows, arguments.output)
    errors = [f"{file} could not be imported: {error}" for file, error in result.broken.items()]
    errors += result.unknown
    errors += ceilings.errors(shown)
    if expected and not rows:
        errors.append(_nobody(expected, [path for _, path in pairs], arguments.dags))
    elif not rows:
        print(f"No task in {arguments.dags} gets a secret.", file=sys.stderr)
    for sentence in errors:
        print(sentence, file=sys.stderr)
    return output.HAS_ERRORS if errors else 0


def _nobody(expected: str, paths: Sequence[str], dags: str) -> str:
    known = sorted(set(paths))
    listed = f"Paths there: {', '.join(known)}." if known else "No task there gets a secret."
    return f"No task in {dags} gets '{expected}'.{did_you_mean(expected, known)}\n  {listed}"


class _Ceilings:
    """The teams' ceilings, in the folder that --templates-dir or the setting names; unknown without one."""

    def __init__(self, arguments: Namespace) -> None:
        self._folder = arguments.templates_dir
        self._teams: dict[str, Team | None] = {}

    def word(self, declared: Declared, path: str) -> str:
        """Return "below" or "over", and "unknown" where the team's file cannot be read."""
        team = self._team(declared.team)
        return "unknown" if team is None else "below" if _is_allowed(team, declared, path) else "over"

    def errors(self, shown: Sequence[tuple[Declared, str]]) -> Iterator[str]:
        for declared, path in shown:
            team = self._team(declared.team)
            if team is not None and not _is_allowed(team, declared, path):
                may, key = ("write to", "update") if declared.secret.parameters else ("read", "secrets")
                yield (
                    f"{declared.file}: task '{declared.task}' asks for {path}, which team '{team.name}' may not "
                    f"{may} ({team.where(key)})."
                )

    def _team(self, name: str) -> Team | None:
        if name not in self._teams:
            try:
                folder = Path(self._folder or config.get("templates_dir")).absolute()
                self._teams[name] = teams.load(name, folder)
            except K8sVaultError:
                # Its tasks do not import, or the template of theirs that is no team's own says so.
                self._teams[name] = None
        return self._teams[name]


def _is_allowed(team: Team, declared: Declared, path: str) -> bool:
    return team.allows_path(path, bool(declared.secret.parameters))


def _row(declared: Declared, path: str, ceilings: _Ceilings) -> dict[str, Any]:
    secret = declared.secret
    given = vault_parameters.texts(secret.parameters or {})
    return {
        "dag": declared.dag_id,
        "task": declared.task_id,
        "template": declared.template,
        "container": secret.container or "base",
        "path": path,
        "ceiling": ceilings.word(declared, path),
        "engine": secret.engine,
        "version": secret.version or ("newest" if secret.engine == "kv2" else ""),
        "as": [*secret.variables, *map(_shown, secret.outputs)],
        "parameters": [f"{name}={value}" for name, value in given.items()],
    }


def _shown(file: VaultFile) -> str:
    """Return where a file lies, and what is not as usual about it."""
    unusual = [
        *([f"mode {file.mode}"] if file.mode != DEFAULT_MODE else []),
        *([file.decode] if file.decode else []),
    ]
    return f"{file.path} ({', '.join(unusual)})" if unusual else file.path
