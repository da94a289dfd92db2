"""`python -m tests.manual.reference`: the pages of the manual that are made from the code."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from airflow_k8s_vault.commands.cli import get_cli_commands
from airflow_k8s_vault.config import SECTION, SETTINGS

DOCS = Path(__file__).parents[2] / "docs"
_GENERATED = "<!-- Made from the code by: python -m tests.manual.reference -->"


def pages() -> dict[str, str]:
    """Return each page's text by its path below docs/."""
    made = {
        "reference/settings.md": settings(),
        "reference/commands.md": commands(),
        "decisions/index.md": decisions(),
    }
    return {name: "\n".join([_GENERATED, *lines]) + "\n" for name, lines in made.items()}


def settings() -> Iterator[str]:
    yield "# Settings"
    yield ""
    yield f"Section `[{SECTION}]` of airflow.cfg. They are taken once in each process, before any DAG file runs."
    for setting in SETTINGS:
        yield ""
        yield f"## {setting.name}"
        yield ""
        yield setting.description
        yield ""
        default = (
            "has to be set" if setting.default is None else f"`{setting.default}`" if setting.default else "empty"
        )
        yield f"- Default: {default}"
        if setting.choices:
            yield f"- One of: {', '.join(f'`{choice}`' for choice in setting.choices)}"
        if setting.example:
            yield f"- Example: `{setting.example}`"
        yield f"- Environment: `{setting.environment_variable}`"


def commands() -> Iterator[str]:
    yield "# Commands"
    yield ""
    yield "All of them live under `airflow k8s-vault`, and take `--help`."
    (group,) = get_cli_commands()
    for command in sorted(_leaves(group, ()), key=lambda found: found[0]):
        yield from _command(*command)


def _leaves(command: Any, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    name = (*above, command.name)
    inner = getattr(command, "subcommands", None)
    if inner is None:
        yield name, command
        return
    for each in inner:
        yield from _leaves(each, name)


def _command(name: tuple[str, ...], command: Any) -> Iterator[str]:
    yield ""
    yield f"## {' '.join(name[1:])}"
    yield ""
    yield f"{command.help}."
    if command.description:
        yield ""
        yield inspect.cleandoc(command.description).replace("<", "&lt;")
    arguments = [argument for argument in command.args if argument.kwargs.get("help") != "==SUPPRESS=="]
    if arguments:
        yield ""
        yield "| argument | |"
        yield "|---|---|"
    for argument in arguments:
        flags = ", ".join(f"`{flag}`" for flag in argument.flags)
        yield f"| {flags} | {str(argument.kwargs.get('help') or '').replace('|', '&#124;')} |"


def decisions() -> Iterator[str]:
    yield "# Decisions"
    yield ""
    yield "What was decided, why, and what follows from it: one page each."
    yield ""
    for file in sorted((DOCS / "decisions").glob("0*.md")):
        title = file.read_text().splitlines()[0].removeprefix("# ")
        yield f"- [{title}]({file.name})"


if __name__ == "__main__":
    for name, text in pages().items():
        (DOCS / name).write_text(text)
