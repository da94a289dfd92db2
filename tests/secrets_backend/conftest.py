"""The same fixtures as for the client, and a backend that reads the test's own mount."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_k8s_vault import VaultSecretsBackend, log_once
from airflow_k8s_vault.secrets_backend import reader
from tests.vault.conftest import AppRole, approle, proxy, put
from tests.vault.proxy import FaultyProxy

__all__ = ["approle", "proxy", "put"]


@pytest.fixture(autouse=True)
def a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is shared in a process is new for each test, as it is in a new process."""
    monkeypatch.setattr(reader, "_shared", {})
    monkeypatch.setattr(log_once, "_logged", {})


@pytest.fixture
def make_backend(proxy: FaultyProxy, approle: AppRole) -> Callable[..., VaultSecretsBackend]:
    """A backend behind the proxy, logged in by approle, with these settings over its own."""

    def make(**settings: Any) -> VaultSecretsBackend:
        base = {
            "url": proxy.address,
            "mount_point": approle.mount,
            "retry_delay_seconds": 0.02,
            **approle.settings,
        }
        return VaultSecretsBackend(**{**base, **settings})

    return make


@pytest.fixture
def backend(make_backend: Callable[..., VaultSecretsBackend]) -> VaultSecretsBackend:
    return make_backend()
