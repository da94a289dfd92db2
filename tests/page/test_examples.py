"""The examples in the docstrings of the page run."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize("name", ["page.usage", "page.preview", "delivery.steps"])
def test_the_examples_run(name: str) -> None:
    result = doctest.testmod(import_module(f"airflow_k8s_vault.{name}"))

    assert result.attempted > 0
    assert result.failed == 0
