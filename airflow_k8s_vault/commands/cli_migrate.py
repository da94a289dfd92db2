"""Definition of the command `migrate`: `airflow k8s-vault` adds what this returns."""

from __future__ import annotations

from airflow.cli.cli_config import ActionCommand, lazy_load_command

from airflow_k8s_vault.commands.argument import FOLDER, arg

_DAGS = arg("--dags", required=True, help="Folder, or file, of the DAGs")
_TEAM = arg("--team", help="Only this team's templates. Default: those of all teams")
_VAULT_PATH = arg(
    "--vault-path",
    action="append",
    metavar="NAME=PATH",
    help="Path in Vault of what a Kubernetes Secret, or another TODO, holds; may be repeated",
)
_PATCH = arg("--patch", action="store_true", help="Print a patch for the tasks that need nothing by hand")
_WRITE = arg("--write", action="store_true", help="Apply the patch to the files")
_OUTPUT = arg(
    "-o",
    "--output",
    choices=("table", "json", "yaml", "markdown"),
    default="table",
    help="Output format; markdown has check boxes. Default: table",
)


def migrate_command() -> ActionCommand:
    """Return the command `migrate`."""
    return ActionCommand(
        name="migrate",
        help="Say what moving tasks of KubernetesPodOperator takes, and patch the simple ones",
        description="Imports the DAG files; needs no cluster and no Vault. For each task: the template that gives "
        "its pod, what its team would have to open, its VaultSecrets, and credentials in plain text or Jinja, "
        "without their values. Changes nothing without --write. Exit status: 0, 1 where something is left to do "
        "by hand, 2 where it could not run.",
        func=lazy_load_command("airflow_k8s_vault.commands.migrate.run"),
        args=(_DAGS, _TEAM, _VAULT_PATH, _PATCH, _WRITE, FOLDER, _OUTPUT),
    )
