"""Servers shared by a whole test session; each test gets a mount, a database or a namespace of its own."""

from __future__ import annotations

import os
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from k8s_vault_devcluster.openbao import OpenBao
from k8s_vault_devcluster.postgres import PostgreSQL

from tests import order
from tests.vault.mounts import mount_kv

# Where pods of a real cluster reach this machine; OpenBao and PostgreSQL then listen there, and only there.
HOST = os.environ.get("K8S_VAULT_TEST_HOST", "127.0.0.1")


@pytest.fixture(scope="session", autouse=True)
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Airflow's home for the test session (set before any test imports airflow: see pytest_configure)."""
    return Path(os.environ["AIRFLOW_HOME"])


def pytest_configure(config: pytest.Config) -> None:
    # As in the Makefile: each Airflow that a test starts would compile itself anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    # Airflow reads its home at import, so it has to be a throw-away one before the first test module loads.
    if "AIRFLOW_HOME" not in os.environ or "K8S_VAULT_TEST_HOME" not in os.environ:
        import tempfile

        home = tempfile.mkdtemp(prefix="k8s-vault-tests-")
        os.environ.update(
            AIRFLOW_HOME=home,
            K8S_VAULT_TEST_HOME=home,
            AIRFLOW__CORE__LOAD_EXAMPLES="False",
            AIRFLOW__CORE__UNIT_TEST_MODE="False",
        )
    # Imported here: it may import airflow.
    from tests.settings import follow_the_environment

    follow_the_environment()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order.sort(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> order.ByServers:
    return order.scheduler(config, log)


@pytest.fixture(scope="session")
def openbao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    """A real OpenBao, unsealed. Use `kv_mount` or mounts of your own: it is shared."""
    server = OpenBao(tmp_path_factory.mktemp("openbao"), host=HOST)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgreSQL]:
    server = PostgreSQL(tmp_path_factory.mktemp("postgres"), host=HOST)
    yield server
    server.stop()


class Clock:
    """This process's clock, which a test sets forward instead of waiting. Servers have clocks of their own."""

    def __init__(self) -> None:
        self._ahead_seconds, self._real = 0.0, time.monotonic

    def monotonic(self) -> float:
        return self._real() + self._ahead_seconds

    def forward(self, seconds: float) -> None:
        self._ahead_seconds += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """What `time.monotonic` tells from here on."""
    made = Clock()
    monkeypatch.setattr(time, "monotonic", made.monotonic)
    return made


@pytest.fixture
def no_pauses(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses before another request to Vault set the clock forward instead."""
    monkeypatch.setattr("airflow_k8s_vault.vault.requesting.time", SimpleNamespace(sleep=clock.forward))


@pytest.fixture
def kv_mount(openbao: OpenBao) -> Iterator[str]:
    """A fresh KV 2 mount, by its path."""
    mount = f"kv-{uuid.uuid4().hex[:8]}"
    mount_kv(openbao, mount)
    yield mount
    openbao.request("DELETE", f"sys/mounts/{mount}")
