"""Definition of the command `doctor`: `airflow k8s-vault` adds what this returns."""

from __future__ import annotations

from airflow.cli.cli_config import ActionCommand, lazy_load_command

from airflow_k8s_vault.commands.argument import arg, output

_TEAM = arg("--team", action="append", help="A team to look at; may be repeated. Default: all teams")
_WAIT = arg("--wait", type=float, default=0, metavar="SECONDS", help="How long to wait for what may still come up")
_DAGS = arg("--dags", help="Folder, or file, of the DAGs: the paths that they declare are looked at too")
_FROM = arg(
    "--from",
    dest="from_",
    choices=("here", "pod"),
    default="here",
    help="pod: also start a short pod of each team, and ask Vault from there. Default: here",
)
_LEASES = arg(
    "--leases", action="store_true", help="Also take one lease of each dynamic path of --dags, and revoke it"
)
_TASK = arg(
    "--task",
    metavar="PATH:KEY",
    help="Also run a real task of each team and delivery, with that KV 2 secret; none: without a secret",
)
_CONN_ID = arg("--conn-id", default="kubernetes_default", help="Airflow's Kubernetes connection that tasks use")
_OUTPUT = output()


def doctor_command() -> ActionCommand:
    """Return the command `doctor`."""
    return ActionCommand(
        name="doctor",
        help="Check the whole way from the settings to a pod with its credentials",
        description="Exit status: 0 where all is well, 1 where something fails, 2 where it could not run. "
        "It changes nothing, but for the login of each team, which it ends. No value of a secret is shown.",
        func=lazy_load_command("airflow_k8s_vault.commands.doctor.run"),
        args=(_TEAM, _DAGS, _FROM, _LEASES, _TASK, _CONN_ID, _WAIT, _OUTPUT),
    )
