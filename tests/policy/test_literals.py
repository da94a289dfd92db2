"""What is taken for a credential, measured on command lines that people write, with and without one in them."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_k8s_vault.policy import literals
from tests import growth
from tests.policy import bypasses

CORPUS = Path(__file__).parent / "corpus"
# Put together here, so that no scanner takes the corpus for a leak.
MADE_UP = {
    "github": bypasses.GITHUB,
    "aws": bypasses.AWS,
    "vault": bypasses.VAULT,
    "jwt": bypasses.JWT,
    "key": bypasses.KEY,
    "gitlab": "glpat-" + "x7Kq" * 5,
    "npm": "npm_" + "a1B2" * 9,
    "pypi": "pypi-" + "AgEIcHlwaS5vcmcC" * 4,
    "slack": "xoxb-" + "123456789012-" * 2 + "AbCdEf",
    "stripe": "sk_live_" + "a1B2c3D4" * 3,
    "google": "AIza" + "Sy4_x" * 7,
    "openai": "sk-" + "proj-" + "a1B2c3D4" * 5,
    "huggingface": "hf_" + "AbCdEfGhIj" * 3 + "KlMn",
    "databricks": "dapi" + "0123456789abcdef" * 2,
    "azure": "Q2hlY2tlZEF1dG9tYXRpY2FsbHk" * 3 + "==",
    "hex32": "9f86d081884c7d659a2feaa0c55ad015",
    "hex64": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "base64": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYzEXAMPLEKEY",
    "basic": base64.b64encode(b"etl:hunter2hunter2").decode(),
}


def lines(name: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate((CORPUS / name).read_text().splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            yield number, line


def commands(name: str) -> list[tuple[int, list[str]]]:
    return [(n, json.loads(line) if line.startswith("[") else shlex.split(line)) for n, line in lines(name)]


def planted(text: str) -> str:
    return text.format_map(MADE_UP)


def variables(name: str) -> list[tuple[int, str, str]]:
    return [(number, *line.partition("=")[::2]) for number, line in lines(name)]


def test_of_honest_command_lines_less_than_one_in_a_hundred_is_taken_for_a_credential() -> None:
    honest = commands("honest_commands.txt")
    alarms = [(number, words, result) for number, words in honest if (result := literals.kind_of_words(words))]

    assert len(honest) >= 300
    assert len(alarms) < len(honest) / 100, alarms


def test_of_planted_credentials_in_command_lines_at_least_ninety_five_in_a_hundred_are_found() -> None:
    everyone = commands("planted_commands.txt")
    missed = [(n, words) for n, words in everyone if not literals.kind_of_words([planted(word) for word in words])]

    assert len(everyone) >= 100
    assert len(missed) <= len(everyone) * 0.05, missed


def test_of_honest_variables_none_is_taken_for_a_credential() -> None:
    assert [] == [line for line in variables("honest_variables.txt") if literals.kind_of_variable(*line[1:])]


def test_of_planted_credentials_in_variables_all_are_found() -> None:
    everyone = variables("planted_variables.txt")

    assert [] == [(n, name) for n, name, text in everyone if not literals.kind_of_variable(name, planted(text))]


@pytest.mark.parametrize(
    "piece",
    [
        *("password ", "password=", "--password ", "a=", "'", '"', "eyJ-", "://:", "a://b:", "--", "$("),
        *("token: ", "auth=('a', ", "-----BEGIN ", "echo ", "x" * 50 + " ", "AKIA", "\n", "pass:", "('a', "),
    ],
)
def test_a_command_line_is_read_in_time_in_proportion_to_its_length(piece: str) -> None:
    def work(length: int) -> None:
        text = piece * (length // len(piece))
        literals.kind_of_words(["bash", "-c", text])
        literals.kind_of_variable("A", text)

    assert growth.doubling(work, 40_000) < growth.LINEAR


@pytest.mark.parametrize("name", ["PGPASSWORD", "API_KEY", "NOTE"])
def test_a_look_alike_of_ascii_is_taken_for_what_it_looks_like(name: str) -> None:
    wide = "".join(chr(ord(c) + 0xFEE0) if c.isalnum() else c for c in bypasses.GITHUB)

    assert literals.kind_of_variable(name, wide)
    assert literals.kind_of_words(["./load", "--password=\u200bhunter2"])
