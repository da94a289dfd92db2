"""Headless Chromium of the machine (Debian's package `chromium`), driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.page.server import PASSWORD, ApiServer

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# As root there is no sandbox; and a browser that looks for its maker's servers waits for a closed network.
_FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]


def require_chromium() -> None:
    """Skip where there is no Chromium; in CI, which installs it, that is a failure."""
    if CHROMIUM is None:
        reason = "needs Chromium: apt-get install chromium"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)


@contextmanager
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        yield browser
        browser.close()


def log_in(context: Any, server: ApiServer, user: str = "admin") -> Any:
    """Return a page of Airflow's UI, logged in by its own form."""
    page = context.new_page()
    page.goto(f"{server.url}/auth/login/")
    page.fill("input[name=username]", user)
    page.fill("input[name=password]", PASSWORD)
    page.press("input[name=password]", "Enter")
    page.wait_for_url(f"{server.url}/")
    return page
