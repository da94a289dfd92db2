"""The examples in the docstrings of the page run; and what becomes of its tests without a browser."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest

from tests.page import browser


def test_without_a_browser_its_tests_are_skipped_and_fail_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "CHROMIUM", None)
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install chromium"):
        browser.require_chromium()

    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt-get install chromium"):
        browser.require_chromium()


@pytest.mark.parametrize("name", ["page.usage", "page.preview", "delivery.steps"])
def test_the_examples_run(name: str) -> None:
    result = doctest.testmod(import_module(f"airflow_k8s_vault.{name}"))

    assert result.attempted > 0
    assert result.failed == 0
