"""The commands `airflow k8s-vault dev …`: only their definition, for every `airflow` command loads it.

Needed by `airflow k8s-vault dev …`.
"""

from __future__ import annotations

from collections.abc import Callable

from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand, lazy_load_command

_arg: Callable[..., Arg] = Arg
_FOLDER = _arg(
    ("--folder",),
    help="Folder of the servers' files. Default: airflow-k8s-vault in $XDG_STATE_HOME or ~/.local/state",
)
_OUTPUT = _arg(
    ("-o", "--output"), choices=("table", "json"), default="table", help="Output format. Default: table"
)
_DAGS = _arg(("dags",), help="Folder of the DAGs")
_PORT = _arg(("-p", "--port"), type=int, help="Port of Airflow's UI on this machine. Default: a free one")
_NAME = _arg(("name",), help="Name of the image, as in a team's images ('etl:dev')")
_PATH = _arg(("path",), help="A virtual environment, a root folder, or files for /app")
_COMMANDS = "k8s_vault_devcluster.commands"

_DEV = (
    ActionCommand(
        name="up",
        help="Start OpenBao, PostgreSQL and a small Kubernetes in the background",
        description="Prints the exports of KUBECONFIG, VAULT_ADDR, VAULT_TOKEN, POSTGRES_URI, VAULT_POSTGRES_URI: "
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
        name="airflow",
        help="Run an Airflow with its UI on them, with a folder of DAGs, until Ctrl-C",
        description="Scheduler, API server, DAG processor and triggerer on the servers of `dev up`, with section "
        "[k8s_vault] as it is here. Its tables are kept until `dev down`.",
        func=lazy_load_command("k8s_vault_devcluster.dev_airflow.run"),
        args=(_DAGS, _PORT, _FOLDER),
    ),
    GroupCommand(
        name="image",
        help="Folders of this machine as images for its pods",
        subcommands=(
            ActionCommand(
                name="add",
                help="Give a folder or virtual environment a name; pods find it at once",
                description="A virtual environment lies at its own path and first in PATH; a folder with usr "
                "or bin in it is the container's root; anything else is at /app of a Python image. "
                "Nothing is copied.",
                func=lazy_load_command(f"{_COMMANDS}.image_add"),
                args=(_NAME, _PATH, _FOLDER),
            ),
            ActionCommand(
                name="list",
                help="Show the images that were added",
                func=lazy_load_command(f"{_COMMANDS}.image_list"),
                args=(_FOLDER,),
            ),
            ActionCommand(
                name="remove",
                help="Forget one; its folder is left alone",
                func=lazy_load_command(f"{_COMMANDS}.image_remove"),
                args=(_NAME, _FOLDER),
            ),
        ),
    ),
    ActionCommand(
        name="down",
        help="Stop them, with all pods. Nothing they held is kept",
        func=lazy_load_command(f"{_COMMANDS}.down"),
        args=(_FOLDER,),
    ),
)


def dev_group() -> GroupCommand:
    """Return the group `dev`, which the entry point `airflow_k8s_vault.commands` adds to `airflow k8s-vault`."""
    return GroupCommand(name="dev", help="A Kubernetes, a Vault and a database on this machine", subcommands=_DEV)
