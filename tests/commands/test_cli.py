"""The definition of the commands: their help, and the commands of other distributions."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import Any

import pytest
from airflow.cli import cli_parser
from airflow.cli.cli_config import GroupCommand

from airflow_k8s_vault.commands import cli
from tests.commands.test_templates import SHIPPED


def commands(command: Any, *before: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each command, and each group, with the words that call it."""
    words = (*before, command.name)
    yield words, command
    if isinstance(command, GroupCommand):
        for below in command.subcommands:
            yield from commands(below, *words)


ALL = dict(commands(cli.get_cli_commands()[0]))


def help_of(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", "500")
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        cli_parser.get_parser().parse_args([*words, "--help"])
    return re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_help_shows_each_text_as_it_is_written(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    command = ALL[words]
    texts = [command.description or command.help]
    texts += [argument.kwargs.get("help") for argument in getattr(command, "args", ())]
    texts += [below.help for below in getattr(command, "subcommands", ())]

    shown = help_of(words, monkeypatch)

    for text in texts:
        if text and text != argparse.SUPPRESS:
            # What rich is given is escaped.
            assert text.replace("\\[", "[") in shown


def test_the_section_of_a_setting_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = help_of(("k8s-vault", "templates", "list"), monkeypatch)

    assert "Default: [k8s_vault] templates_dir" in shown


@pytest.mark.parametrize("words", [["dev"], ["dev", "up"], ["dev", "up", "--folder", "x"]], ids=" ".join)
def test_dev_without_its_distribution_says_in_one_sentence_what_to_install(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "entry_points", lambda group: metadata.EntryPoints(()))
    parser = argparse.ArgumentParser()
    (dev,) = [command for command in cli.get_cli_commands()[0].subcommands if command.name == "dev"]
    cli_parser._add_command(parser.add_subparsers(), dev)

    arguments = parser.parse_args(words)
    with pytest.raises(SystemExit) as ended:
        arguments.func(arguments)

    assert 2 == ended.value.code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        "`airflow k8s-vault dev` needs the distribution airflow-k8s-vault-devcluster: pip install "
    )


LOADED = """
import contextlib, io, json, sys
from airflow.cli import cli_parser
known = {}
for words in (["list"], ["show", "payments/etl"], ["lint"], ["explain", "payments/etl"]):
    words = ["k8s-vault", "templates", *words, "--templates-dir", sys.argv[1]]
    arguments = cli_parser.get_parser().parse_args(words)
    with contextlib.redirect_stdout(io.StringIO()):
        arguments.func(arguments)
    heavy = ("kubernetes", "airflow.providers.cncf.kubernetes.operators.pod")
    known[words[2]] = [name for name in heavy if name in sys.modules]
print(json.dumps(known))
"""


def test_no_command_but_render_waits_for_the_import_of_the_operator() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED, str(SHIPPED)], capture_output=True, text=True, check=True)

    loaded = json.loads(done.stdout.splitlines()[-1])
    assert {"list": [], "show": [], "lint": ["kubernetes"], "explain": ["kubernetes"]} == loaded
