"""docs/secrets-backend.md lists every setting as the table of settings has it, and every wanted difference."""

from __future__ import annotations

from dataclasses import Field, fields
from pathlib import Path
from typing import Any

import pytest

from airflow_k8s_vault.vault import Settings
from tests.secrets_backend.test_parity import EXPECTED

DOCS = (Path(__file__).parents[2] / "docs" / "secrets-backend.md").read_text()


def row_of(row: Field[Any]) -> str:
    """A setting as one line of the table: name, type, default, sentence.

    To write the table anew: python -m tests.secrets_backend.test_docs
    """
    kind = row.metadata["cast"].__name__.replace("_", " ")
    default = row.default
    if isinstance(default, tuple):
        default = ", ".join(default)
    shown = "" if default is None else f"`{str(default).lower() if isinstance(default, bool) else default}`"
    return f"| `{row.name}` | {kind} | {shown} | {row.metadata['text'].replace('|', chr(92) + '|')} |"


@pytest.mark.parametrize("row", fields(Settings), ids=lambda row: row.name)
def test_every_setting_is_in_the_docs(row: Field[Any]) -> None:
    assert row_of(row) in DOCS


def test_nothing_else_is() -> None:
    table = DOCS.partition("## Settings")[2].partition("\n## ")[0]

    assert table.count("\n| `") == len(fields(Settings))


@pytest.mark.parametrize("expected", EXPECTED, ids=lambda expected: expected[1])
def test_every_wanted_difference_is_in_the_docs(expected: tuple[str, str, Any, Any]) -> None:
    _, key, _, _ = expected
    table = DOCS.partition("## What differs from Airflow's VaultBackend")[2].partition("\n## ")[0]

    assert f"`{key}`" in table


if __name__ == "__main__":
    print("\n".join(map(row_of, fields(Settings))))
