"""Definition of the commands `compile …` and `plan`."""

from __future__ import annotations

from airflow.cli.cli_config import ActionCommand, GroupCommand, lazy_load_command

from airflow_k8s_vault.commands.argument import FOLDER, arg

_TEAM = arg("--team", action="append", metavar="TEAM", help="Only this team; may be repeated. Default: all")
_FORMAT = arg(
    "--format",
    choices=("policy", "json", "terraform", "cli"),
    default="cli",
    help="policy: HCL; json: requests to Vault's API; terraform: resources; cli: commands. Default: cli",
)
_OUT = arg("--out", metavar="DIR", help="With --format policy: write one file for each policy there")
_LEAST = arg("--dags", help="Folder, or file, of the DAGs: exactly the paths that they declare, not the ceiling")
_ONLY = arg("--only", choices=("vault", "kubernetes"), help="Only this side")
_EXPLAIN = arg(
    "--explain", metavar="PATH|RIGHT", help="Who asks for a path of Vault, or a right (pods/exec:create)"
)
_OUTPUT = arg("-o", "--output", choices=("text", "json"), default="text", help="Output format. Default: text")
_DAGS = arg("--dags", help="Folder, or file, of the DAGs. Needed where a team has identity: dag")


def compile_group() -> GroupCommand:
    """Return the group `compile`."""
    kubernetes = ActionCommand(
        name="kubernetes",
        help="Print the teams' namespaces, accounts, rights, limits and admission policies",
        func=lazy_load_command("airflow_k8s_vault.commands.compile.kubernetes"),
        args=(_TEAM, _DAGS, FOLDER),
        description="YAML for `kubectl apply --server-side -f -`, the same from run to run. Exit status: 0, or 1 "
        "where something is refused; nothing is printed then.",
    )
    vault = ActionCommand(
        name="vault",
        help="Print the teams' policies and roles",
        func=lazy_load_command("airflow_k8s_vault.commands.compile.vault"),
        args=(_TEAM, _LEAST, _FORMAT, _OUT, FOLDER),
        description="Without --dags the ceiling, with it the least policy. Exit status: 0, or 1 where something "
        "is refused; nothing is printed then.",
    )
    return GroupCommand(
        name="compile", help="What the teams' files say, for Kubernetes and Vault", subcommands=(kubernetes, vault)
    )


def plan_command() -> ActionCommand:
    """Return the command `plan`."""
    return ActionCommand(
        name="plan",
        help="Compare what is compiled with a live Vault and cluster",
        func=lazy_load_command("airflow_k8s_vault.commands.plan.plan"),
        args=(_TEAM, _LEAST, _ONLY, _EXPLAIN, _OUTPUT, FOLDER),
        description="Reads only: by VAULT_ADDR and VAULT_TOKEN, and by KUBECONFIG. Exit status: 0 no difference, "
        "2 differences, 1 something could not be seen.",
    )
