"""What the tables look like in a terminal of 80 columns, and in a pipe."""

from __future__ import annotations

import contextlib
import io
import re

import pytest

from airflow_k8s_vault import templates
from airflow_k8s_vault.commands import output, tree
from airflow_k8s_vault.templates import explained_fields, field_tree
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
    assert any(re.search(r"memory: 512Mi +base\.yaml\.j2:\d+ +template_vars memory", line) for line in lines)


LONG = "registry.example.com/a-team/a-long-name@sha256:" + "0123456789abcdef" * 4
TREE = [
    ("spec:", "", ""),
    ("  automountServiceAccountToken: false", "base.yaml.j2:14", ""),
    ("  preferredDuringSchedulingIgnoredDuringExecution:", "", ""),
    ("    [0]:", "", ""),
    ("      weight: 50", "payments/etl.yaml.j2:14", "affinity"),
    (f"      image: {LONG}", "payments/etl.yaml.j2:6", "template_vars image, and many more words of it"),
    ('      command: ["sh", "-c", "echo one two three four five six seven"]', "base.yaml.j2:8", "cmds"),
    ("      none: ", "base.yaml.j2:9", ""),
]


@pytest.mark.parametrize("room", [60, 79, 80, 120, 500])
def test_what_is_wrapped_stays_within_its_branch_of_the_tree(room: int) -> None:
    rows = [dict(zip(("field", "set by", "a DAG may set"), row, strict=True)) for row in TREE]

    lines = list(tree.lines(rows, room))

    assert max(map(len, lines)) <= room
    indents = [len(line) - len(line.lstrip()) for line in lines[1:] if line.strip()]
    starts = [number for number, line in enumerate(lines[1:]) if line.strip().split(":")[0] in KEYS]
    assert KEYS == [lines[1:][number].strip().split(":")[0] for number in starts]
    for start, end, (branch, *_) in zip(starts, [*starts[1:], len(indents)], TREE, strict=True):
        own = len(branch) - len(branch.lstrip())
        assert own == indents[start]
        assert all(indent > own for indent in indents[start + 1 : end])
    shown = "".join("".join(lines).split())
    for row in TREE:
        if room >= 80:
            assert all("".join(word.split()) in shown for word in row[0].split() if len(word) < 50)


KEYS = [row[0].strip().split(":")[0] for row in TREE]


def test_explain_keeps_the_tree_in_eighty_columns() -> None:
    template = templates.find("payments/etl", SHIPPED)
    rows = list(field_tree(explained_fields(template, {}), SHIPPED.name))
    stream = Terminal()

    with contextlib.redirect_stdout(stream):
        output.show_tree(rows)

    lines = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()).splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("  automountServiceAccountToken:") for line in lines)
    assert [] == [line for line in lines[1:] if re.match(r"[a-z]", line) and line.split(":")[0] not in TOP]


TOP = ("apiVersion", "kind", "metadata", "spec")
