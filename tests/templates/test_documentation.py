"""docs/templates.md and devcluster/README.md name every key, name and command that there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_k8s_vault.commands import cli_templates, get_cli_commands
from airflow_k8s_vault.teams import PLATFORM_KEYS, TEAM_KEYS
from airflow_k8s_vault.templates.variables import CONTEXT_NAMES

TEXT = (Path(__file__).parents[2] / "docs" / "templates.md").read_text()
DEVCLUSTER = (Path(__file__).parents[2] / "devcluster" / "README.md").read_text()
COMMANDS = [
    f"{group.name} {command.name}"
    for group in (cli_templates.templates_group(), cli_templates.secrets_group())
    for command in group.subcommands
]


@pytest.mark.parametrize("name", [*(key.name for key in (*TEAM_KEYS, *PLATFORM_KEYS)), *CONTEXT_NAMES])
def test_every_key_and_name_is_documented(name: str) -> None:
    assert f"`{name}`" in TEXT


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_documented(command: str) -> None:
    assert f"`{command}" in TEXT


def test_every_command_of_the_development_servers_is_documented() -> None:
    (everything,) = get_cli_commands()
    dev = next(group for group in everything.subcommands if group.name == "dev")

    documented = set(re.findall(r"^\| `dev (\w+)", DEVCLUSTER, re.MULTILINE))

    assert {command.name for command in dev.subcommands} == documented
