"""The commands `airflow k8s-vault …`: only their definition, for every `airflow` command loads it."""

from __future__ import annotations

import argparse
import sys
from importlib.metadata import entry_points
from typing import Any

from airflow.cli.cli_config import ActionCommand, CLICommand, GroupCommand

from airflow_k8s_vault.commands import cli_audit, cli_compile, cli_doctor, cli_migrate, cli_templates
from airflow_k8s_vault.commands.argument import arg
from airflow_k8s_vault.commands.help_text import as_written

# Other distributions add a command by an entry point of this group: a function that returns it.
ENTRY_POINTS = "airflow_k8s_vault.commands"
_DEVCLUSTER = "airflow-k8s-vault-devcluster"


def get_cli_commands() -> list[CLICommand]:
    """Return the commands in the shape of the provider key `cli`."""
    groups: list[Any] = [cli_templates.templates_group(), cli_templates.secrets_group()]
    groups += [cli_compile.compile_group(), cli_compile.plan_command()]
    groups += [cli_doctor.doctor_command(), cli_audit.audit_command(), cli_migrate.migrate_command()]
    groups += [point.load()() for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name)]
    if "dev" not in {group.name for group in groups}:
        groups.append(_no_dev())
    ours = GroupCommand(name="k8s-vault", help="Pod templates and Vault credentials", subcommands=groups)
    return [as_written(ours)]


def _no_dev() -> ActionCommand:
    anything = arg("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return ActionCommand(
        name="dev",
        help=f"A cluster on this machine (not installed: {_DEVCLUSTER})",
        func=say_what_to_install,
        args=(anything,),
    )


def say_what_to_install(args: argparse.Namespace) -> None:
    """End with status 2: the stand-in for a cluster is a distribution of its own."""
    how = f"pip install {_DEVCLUSTER}, or in a clone of the repository: pip install ./devcluster"
    print(f"`airflow k8s-vault dev` needs the distribution {_DEVCLUSTER}: {how}", file=sys.stderr)
    raise SystemExit(2)
