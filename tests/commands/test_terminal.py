"""What the tables look like in a terminal of 80 columns, and in a pipe."""

from __future__ import annotations

import contextlib
import io
import re

import pytest

from airflow_k8s_vault.commands import output
from tests.commands.test_templates import SHIPPED, run

SENTENCE = "Loads into PostgreSQL: psql, more memory, away from the nodes where other loads already run."


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")


def printed(rows: list[dict[str, object]], stream: io.StringIO) -> list[str]:
    with contextlib.redirect_stdout(stream):
        output.show(rows, "table")
    return [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()).splitlines()]


def test_a_sentence_wraps_and_names_stay_whole() -> None:
    name = "payments/a-template-with-a-long-name"
    lines = printed([{"template": name, "variables": ["cpu", "memory"], "about": SENTENCE}], Terminal())

    assert max(map(len, lines)) <= 80
    assert lines[1].startswith(f"{name}  cpu, memory  Loads into PostgreSQL:")


def test_a_row_whose_words_do_not_fit_becomes_a_block_of_lines() -> None:
    path = "secret/payments/a/path/that/is/long/enough/for/this/test"
    rows: list[dict[str, object]] = [{"dag": "a" * 20, "path": path, "as": "PGPASSWORD"}] * 2

    lines = printed(rows, Terminal())

    block = [f"dag   {'a' * 20}", f"path  {path}", "as    PGPASSWORD"]
    assert [*block, "", *block] == lines


def test_in_a_pipe_a_row_is_one_line_however_long() -> None:
    lines = printed([{"template": "payments/etl", "about": SENTENCE * 3}], io.StringIO())

    assert 2 == len(lines)
    assert f"payments/etl  {SENTENCE * 3}" == lines[1]


def test_explain_shows_the_pod_as_a_tree_with_the_place_of_each_value() -> None:
    lines = run("templates", "explain", "payments/etl", "--templates-dir", SHIPPED).out.splitlines()

    tree = [line.split("  payments/")[0].split("  base.yaml")[0].rstrip() for line in lines]
    assert tree[1:4] == ["apiVersion: v1", "kind: Pod", "metadata:"]
    at = tree.index('      command: ["psql", "--version"]')
    assert tree[at - 4 : at] == ["  containers:", "    [base]:", "      name: base", "      image: postgres:18"]
    assert re.search(r"payments/etl\.yaml\.j2:\d+ +cmds$", lines[at].rstrip())
    assert any(re.search(r"memory: 512Mi +base\.yaml\.j2:\d+ +template_vars memory, cont", line) for line in lines)
