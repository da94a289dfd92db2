"""docs/security.md names tests that are there, and lists what the canary suite searches."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.canary import __main__ as canary

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/security.md"
TEXT = PAGE.read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w./]+(?:::\w+)?)`", TEXT)))
LINKED = sorted(set(re.findall(r"\]\(([\w./-]+)\)", TEXT)))


def _functions(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("name", NAMED)
def test_a_test_that_the_page_names_is_there(name: str) -> None:
    path, _, function = name.partition("::")

    assert (ROOT / path).is_file()
    assert not function or function in _functions(ROOT / path)


@pytest.mark.parametrize("link", LINKED)
def test_a_file_that_the_page_links_to_is_there(link: str) -> None:
    assert (PAGE.parent / link).is_file()


def _rows_of_claims() -> list[str]:
    sections = [part for part in re.split(r"^## ", TEXT, flags=re.MULTILINE) if not part.startswith("Where")]
    rows = [line for part in sections for line in part.splitlines() if line.startswith("| ")]
    return [row for row in rows if not row.startswith(("| who ", "| |"))]


@pytest.mark.parametrize("row", _rows_of_claims(), ids=lambda row: row.split("|")[1].strip(" *"))
def test_each_claim_names_a_test_or_says_that_none_can_be(row: str) -> None:
    assert re.search(r"`tests/[\w./]+::\w+`|no test", row)


def test_the_page_lists_what_the_canary_suite_searches() -> None:
    assert canary.table() in TEXT, "put what `python -m tests.canary` prints into docs/security.md"
