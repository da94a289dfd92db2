"""What is shared in a process, and what a child or a thread of it gets."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest
from k8s_vault_devcluster.openbao import OpenBao

from airflow_k8s_vault import VaultSecretsBackend
from airflow_k8s_vault.vault import Deadline, SecretValue
from tests.vault.conftest import AppRole, make_approle
from tests.vault.proxy import FaultyProxy

Put = Callable[..., str]


def in_child(work: Callable[[], str]) -> str:
    """Fork for real; return what `work` returns, or the error, of the child."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            result = work()
        except BaseException as error:
            result = repr(error)
        os.write(writing, result.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        result = pipe.read()
    os.waitpid(child, 0)
    return result


def test_a_child_keeps_the_token_and_never_the_connection(
    backend: VaultSecretsBackend, put: Put, proxy: FaultyProxy
) -> None:
    put("variables/x", value="x")
    backend.get_variable("x")
    assert (proxy.count("login"), proxy.connections) == (1, 1)

    matches = [in_child(lambda: str(backend.get_variable("x"))) for _ in range(3)]

    assert matches == ["x", "x", "x"]
    assert (proxy.count("login"), proxy.connections) == (1, 4)
    put("variables/y", value="y")
    assert backend.get_variable("y") == "y"
    assert proxy.connections == 4, "the parent's connection is as it was"


def test_a_child_does_not_inherit_values(backend: VaultSecretsBackend, put: Put) -> None:
    put("variables/x", value="x")
    backend.get_variable("x")

    assert in_child(lambda: str(len(backend._reader.cache))) == "0"
    assert len(backend._reader.cache) == 1


def test_a_token_of_limited_uses_stays_with_its_process(
    make_backend: Callable[..., VaultSecretsBackend],
    put: Put,
    proxy: FaultyProxy,
    openbao: OpenBao,
    approle: AppRole,
) -> None:
    limited = make_approle(openbao, approle.mount, token_num_uses=50)
    backend = make_backend(**limited.settings)
    put("variables/x", value="x")
    backend.get_variable("x")

    assert in_child(lambda: str(backend.get_variable("x"))) == "x"
    assert proxy.count("login") == 2


def test_a_teams_token_stays_with_its_process(
    make_backend: Callable[..., VaultSecretsBackend], put: Put, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", "True")
    mount = put("variables/payments/x", value="x").partition("/")[0]
    backend = make_backend(team_mount_point="{team}-none", team_fallback_to_shared=True, mount_point=mount)
    backend.get_variable("y")
    team = backend._reader_of("payments")
    team.client.keeper.current(Deadline(5))
    tokens = "[reader.client.keeper._token is None for reader in backend._teams.values()]"

    assert eval(tokens) == [False, False]
    assert in_child(lambda: str(eval(tokens, {"backend": backend}))) == "[False, True]"


def test_a_fork_while_other_threads_look_things_up_leaves_no_lock_behind(
    backend: VaultSecretsBackend, put: Put, proxy: FaultyProxy
) -> None:
    put("variables/x", value="x")
    proxy.fault = ("delay", 0.3)
    threads = [threading.Thread(target=backend.get_variable, args=(f"n{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.1)

    # The login's lock and the reads' entries are held by threads that the child does not have.
    result = in_child(lambda: str([backend.get_variable("x"), backend.get_variable("n0")]))
    for thread in threads:
        thread.join()

    assert result == "['x', None]"


def test_the_event_loop_goes_on_while_a_connection_is_read(
    backend: VaultSecretsBackend, put: Put, proxy: FaultyProxy
) -> None:
    put("connections/db", conn_uri="postgres://host")
    proxy.fault = ("delay", 0.3)

    async def run() -> tuple[str, int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.01)

        ticking = asyncio.create_task(tick())
        value = await backend.aget_connection("db")
        ticking.cancel()
        return value.host, ticks

    host, ticks = asyncio.run(run())

    assert host == "host"
    assert ticks > 10


def test_airflows_own_async_look_up_goes_through_it(
    proxy: FaultyProxy, put: Put, approle: AppRole, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.configuration import clear_secrets_backends_cache
    from airflow.sdk.execution_time.context import _async_get_connection

    put("connections/db", conn_uri="postgres://host")
    settings = {"url": proxy.address, "mount_point": approle.mount, **approle.settings}
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", "airflow_k8s_vault.VaultSecretsBackend")
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND_KWARGS", json.dumps(settings))
    clear_secrets_backends_cache()

    result = asyncio.run(_async_get_connection("db"))
    clear_secrets_backends_cache()

    assert (type(result).__module__, result.host) == ("airflow.sdk.definitions.connection", "host")


def test_async_look_ups_of_one_name_are_one_read(
    backend: VaultSecretsBackend, put: Put, proxy: FaultyProxy
) -> None:
    put("connections/db", conn_uri="postgres://host")

    async def run() -> list[object]:
        return await asyncio.gather(*(backend.aget_connection("db") for _ in range(20)))

    assert len(asyncio.run(run())) == 20
    assert proxy.count("GET") == 1


def test_an_async_look_up_of_nothing_is_none(backend: VaultSecretsBackend) -> None:
    assert asyncio.run(backend.aget_connection("none")) is None


def test_secret_values_do_not_travel() -> None:
    value = SecretValue("s3cr3t")

    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(value)
    assert {repr(value), str(value), f"{value}", "%s" % value, "{:>3}".format(value)} == {"<secret>"}  # noqa: UP031, UP032


PROBE = """
import json, sys
import airflow.configuration, hvac
before = set(sys.modules)
from airflow_k8s_vault import VaultSecretsBackend
VaultSecretsBackend(url="http://127.0.0.1:8200", token="t")
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_importing_the_backend_loads_neither_kubernetes_nor_the_operator() -> None:
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True, timeout=120)
    loaded = json.loads(done.stdout.splitlines()[-1])

    foreign = [name for name in loaded if name.startswith(("kubernetes", "airflow.providers.cncf", "jinja2"))]
    assert foreign == []
    assert [name for name in loaded if name.startswith("airflow_k8s_vault.operators.vault_pod")] == []


@pytest.mark.parametrize(
    ("first", "name"),
    [
        ("import airflow.configuration", "airflow_k8s_vault."),
        ("from airflow_k8s_vault import VaultSecretsBackend", "airflow_k8s_vault."),
        ("from airflow_k8s_vault import VaultSecretsBackend", "airflow_k8s_vault.secrets_backend."),
        ("import airflow_k8s_vault.secrets_backend.backend", "airflow_k8s_vault.secrets_backend."),
        ("import airflow.sdk.configuration as c; c.ensure_secrets_loaded()", "airflow_k8s_vault."),
    ],
)
def test_whatever_is_imported_first_airflow_gets_its_backend(first: str, name: str) -> None:
    code = (
        f"{first}\nfrom airflow.configuration import secrets_backend_list as found; print(type(found[0]).__name__)"
    )
    settings = {"AIRFLOW__SECRETS__BACKEND": f"{name}VaultSecretsBackend"}
    settings["AIRFLOW__SECRETS__BACKEND_KWARGS"] = json.dumps({"url": "http://127.0.0.1:9", "token": "t"})

    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **settings}, capture_output=True, text=True, timeout=120
    )

    assert (done.stdout.splitlines() or [done.stderr])[-1] == "VaultSecretsBackend"
