"""Help texts as they are written: Airflow prints them through rich, which takes `[k8s_vault]` for markup."""

from __future__ import annotations

import copy
from typing import TypeVar

from airflow.cli.cli_config import Arg, CLICommand, GroupCommand
from rich.markup import escape

_Text = TypeVar("_Text", bound=str | None)


def as_written(command: CLICommand) -> CLICommand:
    """Return the command, with all below it, such that its `--help` shows every text as it is in the code."""
    texts = {name: _escaped(getattr(command, name)) for name in ("help", "description", "epilog")}
    if isinstance(command, GroupCommand):
        return command._replace(**texts, subcommands=[as_written(below) for below in command.subcommands])
    return command._replace(**texts, args=[_argument(argument) for argument in command.args])


def _argument(argument: Arg) -> Arg:
    copied = copy.copy(argument)
    copied.kwargs = {**argument.kwargs, "help": _escaped(argument.kwargs.get("help"))}
    return copied


def _escaped(text: _Text) -> _Text:
    return escape(text) if isinstance(text, str) else text  # type: ignore[return-value]
