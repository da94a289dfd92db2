"""Values in memory: how long, how many, and what happens to them while Vault is down. Requests are counted."""

from __future__ import annotations

import contextlib
import logging
import re
import threading
from collections.abc import Callable

import pytest
from airflow._shared.module_loading import import_string
from k8s_vault_devcluster.openbao import OpenBao
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

from airflow_k8s_vault import VaultSecretsBackend
from airflow_k8s_vault.errors import VaultRefused, VaultUnavailable
from airflow_k8s_vault.secrets_backend.cache import SecretCache
from airflow_k8s_vault.secrets_backend.flights import Flights
from airflow_k8s_vault.vault import SecretValue
from tests.conftest import Clock
from tests.vault.conftest import AppRole
from tests.vault.proxy import FaultyProxy

Make = Callable[..., VaultSecretsBackend]
Put = Callable[..., str]


def test_a_value_is_read_once(backend: VaultSecretsBackend, put: Put, proxy: FaultyProxy) -> None:
    put("connections/db", conn_uri="postgres://host")

    for _ in range(5):
        assert backend.get_connection("db").host == "host"

    assert proxy.count("GET") == 1


@pytest.mark.parametrize("name", ["airflow.sdk.definitions.connection.Connection", "airflow.models.Connection"])
def test_each_caller_gets_a_connection_of_its_own(backend: VaultSecretsBackend, put: Put, name: str) -> None:
    backend._set_connection_class(import_string(name))
    put("connections/db", conn_uri="postgres://me:pass%2Fword@host:5432/db?a=b")

    first = backend.get_connection("db")
    first.host, first.password, first.extra = "changed", "by its", '{"t": "ask"}'
    second, third = backend.get_connection("db"), backend.get_connection("/db")

    assert [(type(result), result.conn_id, result.host, result.password) for result in (second, third)] == [
        (import_string(name), "db", "host", "pass/word"),
        (import_string(name), "/db", "host", "pass/word"),
    ]
    assert (second.port, second.schema, second.extra_dejson) == (5432, "db", {"a": "b"})


def test_a_connection_from_memory_can_be_stored_in_airflows_database(
    backend: VaultSecretsBackend, put: Put
) -> None:
    from airflow.models import Connection
    from airflow.models.base import Base

    put("connections/db", conn_uri="postgres://me:pass@host")
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine, tables=[Base.metadata.tables["team"], Connection.__table__])
    backend.get_connection("db")

    with Session(engine) as session:
        session.add(backend.get_connection("db"))
        session.commit()
        stored = session.scalars(select(Connection)).one()

        assert (stored.conn_id, stored.host, stored.password) == ("db", "host", "pass")


def test_a_value_is_read_again_after_its_time(
    make_backend: Make, put: Put, proxy: FaultyProxy, clock: Clock
) -> None:
    backend = make_backend(cache_ttl_seconds=60)
    put("variables/x", value="old")
    assert backend.get_variable("x") == "old"
    put("variables/x", value="new")
    assert backend.get_variable("x") == "old"

    clock.forward(61)

    assert backend.get_variable("x") == "new"


def test_a_missing_name_is_remembered_for_a_shorter_time(
    make_backend: Make, put: Put, proxy: FaultyProxy, clock: Clock
) -> None:
    backend = make_backend(cache_negative_seconds=30)
    assert backend.get_variable("x") is None
    assert backend.get_variable("x") is None
    assert proxy.count("GET") == 1
    put("variables/x", value="here now")

    clock.forward(31)

    assert backend.get_variable("x") == "here now"


@pytest.mark.parametrize(
    "off", [{"cache_ttl_seconds": 0, "cache_negative_seconds": "0"}, {"cache_max_entries": 0}], ids=str
)
def test_it_can_be_switched_off(make_backend: Make, put: Put, proxy: FaultyProxy, off: dict[str, int]) -> None:
    backend = make_backend(**off)
    put("variables/x", value="x")
    for _ in range(3):
        assert backend.get_variable("x") == "x"
        assert backend.get_variable("none") is None

    assert proxy.count("GET") == 6


def test_the_oldest_values_leave_first(make_backend: Make, put: Put, proxy: FaultyProxy) -> None:
    backend = make_backend(cache_max_entries=2)
    for name in "abc":
        put(f"variables/{name}", value=name)
        backend.get_variable(name)
    proxy.seen.clear()

    assert [backend.get_variable(name) for name in "cba"] == ["c", "b", "a"]
    assert [request[-1] for request in proxy.seen] == ["a"]
    assert len(backend._reader.cache) == 2


def test_values_past_all_their_times_do_not_stay_in_memory(clock: Clock) -> None:
    cache = SecretCache(ttl_seconds=60, negative_seconds=60, stale_seconds=60, max_entries=10)
    for number in range(5):
        cache.store(number, SecretValue("v"))
    clock.forward(121)

    cache.store("last", SecretValue("v"))

    assert len(cache) == 1


def test_all_instances_of_the_same_settings_share_one_login_and_one_memory(
    make_backend: Make, put: Put, proxy: FaultyProxy
) -> None:
    put("config/sql", value="sqlite://")

    assert {make_backend().get_config("sql") for _ in range(7)} == {"sqlite://"}
    assert proxy.seen[0] == "POST /v1/auth/approle/login"
    assert len(proxy.seen) == 2


def test_other_settings_share_nothing(make_backend: Make, put: Put, proxy: FaultyProxy) -> None:
    put("config/sql", value="sqlite://")
    make_backend().get_config("sql")
    make_backend(cache_ttl_seconds=61).get_config("sql")

    assert proxy.count("login") == 2


def test_a_new_login_forgets_what_the_old_one_had_read(
    backend: VaultSecretsBackend, put: Put, openbao: OpenBao, approle: AppRole, proxy: FaultyProxy
) -> None:
    put("variables/x", value="x")
    assert backend.get_variable("x") == "x"
    openbao.request("PUT", "sys/leases/revoke-prefix/auth/approle/login")
    openbao.request("PUT", f"sys/policies/acl/{approle.name}", {"policy": 'path "none/*" {capabilities=["read"]}'})

    with pytest.raises(VaultRefused):
        backend.get_variable("y")
    with pytest.raises(VaultRefused):
        backend.get_variable("x")


def test_while_vault_is_down_a_value_past_its_time_is_served_and_that_is_logged_once(
    make_backend: Make, put: Put, proxy: FaultyProxy, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    backend = make_backend(cache_ttl_seconds=60, deadline_seconds=0.3)
    path = put("variables/x", value="from before")
    backend.get_variable("x")
    clock.forward(61)
    proxy.fault = 503

    with caplog.at_level(logging.DEBUG):
        assert {backend.get_variable("x") for _ in range(3)} == {"from before"}

    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    # The seconds that this took count, too.
    assert re.search(rf"serving the value of {path!r} that was read 6\d s ago", warnings[0])
    assert "from before" not in caplog.text


def test_there_is_a_limit_to_that(make_backend: Make, put: Put, proxy: FaultyProxy, clock: Clock) -> None:
    backend = make_backend(cache_ttl_seconds=60, cache_stale_seconds=60, deadline_seconds=0.3)
    put("variables/x", value="from before")
    backend.get_variable("x")
    proxy.fault = 503
    clock.forward(121)

    with pytest.raises(VaultUnavailable):
        backend.get_variable("x")


@pytest.mark.parametrize("stale", ["0", 0])
def test_that_can_be_switched_off(
    make_backend: Make, put: Put, proxy: FaultyProxy, clock: Clock, stale: object
) -> None:
    backend = make_backend(cache_ttl_seconds=60, cache_stale_seconds=stale, deadline_seconds=0.3)
    put("variables/x", value="from before")
    backend.get_variable("x")
    proxy.fault = 503
    clock.forward(61)

    with pytest.raises(VaultUnavailable):
        backend.get_variable("x")


def test_a_value_that_vault_refuses_now_is_not_served_any_more(
    make_backend: Make, put: Put, openbao: OpenBao, approle: AppRole, clock: Clock
) -> None:
    backend = make_backend(cache_ttl_seconds=60)
    put("variables/x", value="x")
    backend.get_variable("x")
    openbao.request("PUT", f"sys/policies/acl/{approle.name}", {"policy": 'path "none/*" {capabilities=["read"]}'})
    clock.forward(61)

    with pytest.raises(VaultRefused):
        backend.get_variable("x")
    assert len(backend._reader.cache) == 0


def test_a_hundred_threads_and_one_cold_key_make_one_login_and_one_read(
    backend: VaultSecretsBackend, put: Put, proxy: FaultyProxy
) -> None:
    put("variables/x", value="x")
    proxy.fault = ("delay", 0.05)
    start, result = threading.Barrier(100), []

    def ask() -> None:
        start.wait()
        result.append(backend.get_variable("x"))

    in_threads(ask, 100)

    assert result == ["x"] * 100
    assert len(proxy.seen) == 2


def test_a_hundred_threads_and_a_hundred_keys_make_one_login(
    backend: VaultSecretsBackend, put: Put, proxy: FaultyProxy
) -> None:
    put("variables/x", value="x")
    names = iter(range(100))
    in_threads(lambda: backend.get_variable(f"none-{next(names)}"), 100)

    assert proxy.count("login") == 1
    assert proxy.count("GET") == 100


def test_all_who_wait_for_one_read_get_its_error(make_backend: Make, proxy: FaultyProxy) -> None:
    backend, errors = make_backend(deadline_seconds=0.5), []
    proxy.fault = "hang"

    def ask() -> None:
        try:
            backend.get_variable("x")
        except VaultUnavailable as error:
            errors.append(str(error))

    in_threads(ask, 20)

    assert len(errors) == 20


def test_who_waits_for_a_read_that_is_interrupted_reads_himself() -> None:
    flights, begun, finish = Flights(), threading.Event(), threading.Event()

    def interrupted() -> None:
        flight, _ = flights.join("key")
        with contextlib.suppress(KeyboardInterrupt), flight:
            begun.set()
            finish.wait(60)
            raise KeyboardInterrupt

    thread = threading.Thread(target=interrupted)
    thread.start()
    begun.wait(60)
    flight, is_mine = flights.join("key")
    finish.set()
    answer = flight.wait(60)
    thread.join()

    assert (is_mine, answer) == (False, None)
    assert flights.join("key")[1]


def test_a_read_that_never_ends_is_left_to_the_next_who_asks() -> None:
    flights = Flights()
    thread = threading.Thread(target=flights.join, args=("key",))
    thread.start()
    thread.join()
    flight, is_mine = flights.join("key")

    with pytest.raises(VaultUnavailable, match="another thread's read of the same secret still waits"):
        flight.wait(0.01)

    assert not is_mine
    assert flights.join("key")[1]


def in_threads(work: Callable[[], object], number: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
