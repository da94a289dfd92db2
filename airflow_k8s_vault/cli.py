"""The commands `airflow k8s-vault …`: only their definition, for every `airflow` command loads it."""

from __future__ import annotations

from airflow.cli.cli_config import ActionCommand, Arg, CLICommand, GroupCommand, lazy_load_command

from airflow_k8s_vault import cli_templates

_FOLDER = Arg(  # type: ignore[no-untyped-call]
    ("--folder",),
    help="Folder of the servers' files. Default: airflow-k8s-vault in $XDG_STATE_HOME or ~/.local/state",
)
_OUTPUT = Arg(  # type: ignore[no-untyped-call]
    ("-o", "--output"), choices=("table", "json"), default="table", help="Output format. Default: table"
)

_COMMANDS = "airflow_k8s_vault.devcluster.commands"

_DEV = (
    ActionCommand(
        name="up",
        help="Start OpenBao, PostgreSQL and a small Kubernetes in the background",
        description="Prints the exports of KUBECONFIG, VAULT_ADDR, VAULT_TOKEN and POSTGRES_URI: "
        'eval "$(airflow k8s-vault dev up)". Nothing happens where they already run.',
        func=lazy_load_command(f"{_COMMANDS}.up"),
        args=(_FOLDER,),
    ),
    ActionCommand(
        name="status",
        help="Show which of them run, and where",
        func=lazy_load_command(f"{_COMMANDS}.status"),
        args=(_FOLDER, _OUTPUT),
    ),
    ActionCommand(
        name="down",
        help="Stop them, with all pods. Nothing they held is kept",
        func=lazy_load_command(f"{_COMMANDS}.down"),
        args=(_FOLDER,),
    ),
)


def get_cli_commands() -> list[CLICommand]:
    """Return the commands in the shape of the provider key `cli`."""
    dev = GroupCommand(name="dev", help="A Kubernetes, a Vault and a database on this machine", subcommands=_DEV)
    groups = (dev, cli_templates.templates_group(), cli_templates.secrets_group())
    return [GroupCommand(name="k8s-vault", help="Pod templates and Vault credentials", subcommands=groups)]
