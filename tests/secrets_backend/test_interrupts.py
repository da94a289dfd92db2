"""A signal at any line of a look-up leaves no value and no credential in what an error tracker sends of it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import linecache
import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from k8s_vault_devcluster.openbao import OpenBao

from airflow_k8s_vault import VaultSecretsBackend, log_once
from airflow_k8s_vault.secrets_backend import reader
from airflow_k8s_vault.vault import breaker
from tests.frames import Strike, Struck, shown
from tests.vault.conftest import AppRole
from tests.vault.proxy import FaultyProxy

# `make faults` strikes at each line.
EVERY = int(os.environ.get("K8S_VAULT_TEST_STRIKE_EVERY", "5"))
CANARY = "canary-3f9a"
PEM = f"-----BEGIN KEY-----\n{CANARY}\nMIIE{CANARY}\n-----END KEY-----\n"
Make = Callable[..., VaultSecretsBackend]


@pytest.fixture
def secrets(put: Callable[..., str]) -> None:
    put("connections/uri", conn_uri=f"http://me:{CANARY}%20x@host/?key={CANARY}")
    put("connections/fields", conn_type="http", login="me", password=CANARY, extra={"key": PEM})
    put("connections/wrong", conn_type="http", pasword=CANARY)
    put("connections/wrong_uri", conn_uri=f"http://me:pw@host:{CANARY}/[")
    put("variables/text", value=f'{{"key": "{CANARY}", "list": ["{CANARY}-two"]}}')
    put("config/text", value=CANARY)


def look_up(method: str, key: str) -> Callable[[VaultSecretsBackend], Any]:
    def run(backend: VaultSecretsBackend) -> Any:
        value = getattr(backend, method)(key)
        return asyncio.run(value) if asyncio.iscoroutine(value) else value

    return run


# What is looked up, the settings, and what the network does.
LOOK_UPS: dict[str, tuple[str, str, dict[str, Any], Any]] = {
    "a variable": ("get_variable", "text", {}, None),
    "a config value": ("get_config", "text", {}, None),
    "the text of a connection": ("get_conn_value", "uri", {}, None),
    "a connection of fields": ("get_connection", "fields", {}, None),
    "a connection, asynchronous": ("aget_connection", "fields", {}, None),
    "a secret of the wrong shape": ("get_connection", "wrong", {}, None),
    "no valid connection": ("get_connection", "wrong_uri", {}, None),
    "nothing": ("get_variable", "none", {}, None),
    "a refused path": ("get_variable", "text", {"mount_point": "not-allowed"}, None),
    "a refused login": ("get_variable", "text", {"secret_id": CANARY}, None),
    "no answer": ("get_variable", "text", {"deadline_seconds": 0.05}, "cut"),
    "half of an answer": ("get_variable", "text", {"deadline_seconds": 0.05}, "torn"),
}


# What holds an answer or a value in its own frames.
LIBRARIES = (
    "urllib3/response.py",
    "http/client.py",
    "json/decoder.py",
    "json/__init__.py",
    "definitions/connection.py",
    "secrets_masker/secrets_masker.py",
)


def of_a_new_process() -> None:
    reader._shared.clear()
    log_once._logged.clear()
    breaker._by_address.clear()


def leaks(error: BaseException, secret_id: str) -> Iterator[str]:
    for text in shown(error):
        if CANARY in text or secret_id in text or re.search(r"\bs\.[A-Za-z0-9]{20}", text):
            yield text


def strikes(make: Callable[[], VaultSecretsBackend], method: str, key: str, within: Any = None) -> Iterator[Any]:
    """Yield line, exception and backend of one strike after the other, each in what is like a new process."""
    for number in itertools.count(0, EVERY):
        of_a_new_process()
        backend, error = make(), None
        try:
            with Strike(number, within) if within else Strike(number) as strike:
                look_up(method, key)(backend)
        except BaseException as raised:
            error = raised
        if len(strike.lines) <= number:
            return
        yield strike.lines[-1], error, backend


def test_nor_does_one_while_the_backend_is_made(make_backend: Make, approle: AppRole) -> None:
    matches, lines = [], set()
    for number in itertools.count():
        of_a_new_process()
        with contextlib.suppress(Struck), Strike(number) as strike:
            try:
                make_backend(team_role="airflow-{team}")
            except Struck as error:
                # Until then the caller, Airflow, has the arguments in its own frame, too.
                if any("del given" in linecache.getline(*place(line)) for line in strike.lines[:-1]):
                    matches += [(strike.lines[-1], text) for text in leaks(error, approle.secret_id)]
                raise
        if len(strike.lines) <= number:
            break
        lines.add(strike.lines[-1])

    assert matches == []
    assert len(lines) > 40


def place(line: str) -> tuple[str, int]:
    file, _, number = line.rpartition(":")
    return file, int(number)


@pytest.mark.usefixtures("secrets")
@pytest.mark.parametrize("what", LOOK_UPS)
def test_a_strike_at_any_line_leaves_no_value_and_no_credential(
    make_backend: Make, approle: AppRole, proxy: FaultyProxy, what: str
) -> None:
    method, key, settings, proxy.fault = LOOK_UPS[what]
    ends, matches = set(), []
    for line, error, _ in strikes(lambda: make_backend(**settings), method, key):
        ends.add((line, type(error)))
        # None: it struck where Python swallows exceptions, as in a __del__, and nobody is shown anything.
        matches += [(line, text) for text in (leaks(error, approle.secret_id) if error else ())]

    assert matches == []
    assert {Struck} == {end for _, end in ends}
    assert len(ends) > 25 / EVERY


@pytest.mark.usefixtures("secrets")
@pytest.mark.parametrize("what", ["a connection of fields", "half of an answer"])
def test_nor_does_one_within_a_library(
    make_backend: Make, openbao: OpenBao, proxy: FaultyProxy, what: str
) -> None:
    def library(file: str) -> bool:
        return file.endswith(LIBRARIES)

    method, key, settings, proxy.fault = LOOK_UPS[what]
    given = {"auth_type": "token", "token": openbao.root_token, "role_id": None, "secret_id": None, **settings}
    # What speaks HTTP is imported at the first request.
    make_backend(**given).get_variable("none")
    lines, result = set(), []
    for line, error, _ in strikes(lambda: make_backend(**given), method, key, library):
        lines.add(line)
        result += [(line, text) for text in leaks(error, CANARY)] if error else []

    assert result == []
    assert len(lines) > 100 / EVERY


@pytest.mark.usefixtures("secrets")
def test_after_a_strike_at_any_line_the_next_look_up_has_its_value(make_backend: Make) -> None:
    failed = []
    for line, _, backend in strikes(lambda: make_backend(deadline_seconds=0.5), "get_variable", "text"):
        try:
            assert CANARY in str(backend.get_variable("text"))
        except Exception as error:
            failed.append((line, error))

    assert failed == []
