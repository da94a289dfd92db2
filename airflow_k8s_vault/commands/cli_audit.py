"""Definition of the command `audit`: `airflow k8s-vault` adds what this returns."""

from __future__ import annotations

from airflow.cli.cli_config import ActionCommand, lazy_load_command

from airflow_k8s_vault.commands.argument import FOLDER, arg, output

_FILES = arg("files", nargs="+", metavar="AUDIT_LOG", help="Audit files, plain or gzip, oldest first; - is stdin")
_SINCE = arg(
    "--since", help="Leave out what is older: a time (2026-01-31T10:00) or a span back from now (24h, 7d)"
)
_TEAM = arg("--team", action="append", help="Only this team; may be repeated. Default: all")
_PATH = arg("--path", help="Only reads of this path, as `vault kv get` takes it")
_REPORT = arg("--report", metavar="TEAM", help="One team's report: what it could read, did read, and never used")
_DAGS = arg("--dags", help="Folder, or file, of the DAGs: which of the paths that they declare were never read")
_API = arg(
    "--api",
    metavar="URL",
    help="Airflow's API, asked with the token in AIRFLOW_API_TOKEN. Default: [api] base_url",
)
_NO_AIRFLOW = arg("--no-airflow", action="store_true", help="Do not ask Airflow: reads by login, without tasks")
_OUTPUT = output()


def audit_command() -> ActionCommand:
    """Return the command `audit`."""
    return ActionCommand(
        name="audit",
        help="Say which task instance read which secret, from Vault's audit files",
        description="Reads files of an audit device of Vault or OpenBao; values that are hashed there stay so. "
        "Exit status: 0, 1 where a team's role was used by nobody's task or credentials outlived their task, 2 "
        "where it could not run.",
        func=lazy_load_command("airflow_k8s_vault.commands.audit.run"),
        args=(_FILES, _SINCE, _TEAM, _PATH, _REPORT, _DAGS, _API, _NO_AIRFLOW, FOLDER, _OUTPUT),
    )
