"""The manual builds without a dead link, says what the code says, and its examples are what they claim to be."""

from __future__ import annotations

import ast
import configparser
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.manual import reference

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
BLOCKS = [
    pytest.param(kind, text, id=f"{page.relative_to(ROOT)}-{number}")
    for page in PAGES
    for number, (kind, text) in enumerate(re.findall(r"^```(\w+)\n(.*?)^```", page.read_text(), re.M | re.S))
]

# Each line of a console that has a command of Airflow's, with the page that it is on.
COMMANDS = [
    pytest.param(match.group(0), id=f"{page.relative_to(ROOT)}-{match.group(0)}")
    for page in PAGES
    for block in re.findall(r"^ *```console\n(.*?)^ *```", page.read_text(), re.M | re.S)
    for line in block.replace("\\\n", " ").splitlines()
    for match in re.finditer(r"airflow (k8s-vault|connections)\b[^|#)>;&]*", line)
]


def test_it_builds_without_a_dead_link_or_a_page_that_nothing_leads_to(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "tutorial.html").is_file()


@pytest.mark.parametrize("name", reference.pages())
def test_a_page_that_is_made_from_the_code_is_up_to_date(name: str) -> None:
    """To write them anew: python -m tests.manual.reference"""
    assert reference.pages()[name] == (ROOT / "docs" / name).read_text()


@pytest.mark.parametrize(("kind", "text"), BLOCKS)
def test_an_example_is_valid_in_its_language(kind: str, text: str) -> None:
    if kind == "python":
        ast.parse(text)
    elif kind == "yaml":
        list(yaml.safe_load_all(text))
    elif kind == "ini":
        configparser.ConfigParser().read_string(text)
    else:
        assert kind in ("console", "mermaid", "bash", "text", "jinja", "json", "hcl"), f"no check for {kind}"


def test_every_setting_that_an_example_names_is_there() -> None:
    from airflow_k8s_vault.config import SETTINGS

    named = set()
    for page in PAGES:
        for block in re.findall(r"^```ini\n(.*?)^```", page.read_text(), re.M | re.S):
            parser = configparser.ConfigParser()
            parser.read_string(block)
            named |= set(parser["k8s_vault"]) if parser.has_section("k8s_vault") else set()

    assert named <= {setting.name for setting in SETTINGS}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_in_the_manual_is_one_with_arguments_that_it_takes(command: str) -> None:
    from airflow.cli.cli_parser import get_parser

    words = shlex.split(command.strip().rstrip('"'))[1:]

    assert get_parser().parse_args(words).func


def test_a_block_of_a_console_shows_commands() -> None:
    for page in PAGES:
        for block in re.findall(r"^ *```console\n(.*?)^ *```", page.read_text(), re.M | re.S):
            assert block.strip().startswith("$ "), f"{page.name}: {block}"
