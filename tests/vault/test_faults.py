"""What the client does while the network or Vault is broken. Requests are counted, times are not measured."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from k8s_vault_devcluster.openbao import OpenBao

from airflow_k8s_vault.errors import VaultRefused, VaultUnavailable
from airflow_k8s_vault.vault import VaultClient
from airflow_k8s_vault.vault.transport import redirected
from tests.conftest import Clock
from tests.vault.conftest import AppRole
from tests.vault.proxy import FaultyProxy


@pytest.fixture
def reading(
    proxy: FaultyProxy, approle: AppRole, put: Callable[..., str]
) -> Callable[..., tuple[VaultClient, str]]:
    """A client that has logged in, with these settings, and the path of a secret; the proxy counts from here."""

    def make(**settings: Any) -> tuple[VaultClient, str]:
        base = {"url": proxy.address, "deadline_seconds": 2, "retry_delay_seconds": 0.02, **approle.settings}
        client, path = VaultClient.from_settings(**{**base, **settings}), put("thing", colour="blue")
        assert client.read(path)
        proxy.seen.clear()
        return client, path

    return make


Reading = Callable[..., tuple[VaultClient, str]]


@pytest.mark.parametrize("fault", [429, 500, 502, 503, 412, "cut", "cut after", "rubbish", "elsewhere"])
def test_what_passes_is_tried_again(reading: Reading, proxy: FaultyProxy, fault: Any) -> None:
    client, path = reading()
    proxy.fault, proxy.faults_left = fault, 2

    assert client.read(path)
    assert len(proxy.seen) == 3


def test_a_login_is_tried_again_too(proxy: FaultyProxy, client: VaultClient, put: Callable[..., str]) -> None:
    proxy.fault, proxy.faults_left = 503, 2

    assert client.read(put("thing", colour="blue"))
    assert proxy.count("POST /v1/auth/approle/login") == 3


@pytest.mark.parametrize("fault", [429, 503, "cut", "hang", "drip", "rubbish", "elsewhere"])
def test_what_does_not_pass_ends_with_the_deadline(reading: Reading, proxy: FaultyProxy, fault: Any) -> None:
    client, path = reading(deadline_seconds=0.6, timeout=0.25)
    proxy.fault = fault

    with pytest.raises(VaultUnavailable, match=r"did not answer .* times"):
        client.read(path)
    assert len(proxy.seen) > 1


def test_a_slow_answer_is_an_answer(reading: Reading, proxy: FaultyProxy) -> None:
    client, path = reading(deadline_seconds=10, timeout=5)
    proxy.fault = ("delay", 1)

    assert client.read(path)
    assert len(proxy.seen) == 1


def test_an_answer_byte_by_byte_does_not_hold_a_caller_beyond_its_time(
    reading: Reading, proxy: FaultyProxy
) -> None:
    # Each byte comes long before a socket's own timeout; the whole answer would take a minute.
    client, path = reading(deadline_seconds=1, timeout=0, retry_delay_seconds=0)
    proxy.fault = "drip"

    with pytest.raises(VaultUnavailable, match="no answer in time"):
        client.read(path)
    assert len(proxy.seen) == 1


def test_retries_can_be_switched_off(reading: Reading, proxy: FaultyProxy) -> None:
    client, path = reading(retry_delay_seconds=0)
    proxy.fault = 503

    with pytest.raises(VaultUnavailable, match="did not answer: 503 made by the proxy"):
        client.read(path)
    assert len(proxy.seen) == 1


def test_a_wait_that_vault_asks_for_is_kept_or_not_begun(reading: Reading, proxy: FaultyProxy) -> None:
    client, path = reading(deadline_seconds=2)
    proxy.fault, proxy.retry_after = 429, "30"

    with pytest.raises(VaultUnavailable, match="429"):
        client.read(path)
    assert len(proxy.seen) == 1


def test_after_a_failure_look_ups_fail_at_once_until_a_probe_succeeds(
    reading: Reading, proxy: FaultyProxy, clock: Clock
) -> None:
    client, path = reading(deadline_seconds=0.5, breaker_seconds=600)
    proxy.fault = "cut"
    with pytest.raises(VaultUnavailable):
        client.read(path)
    proxy.seen.clear()

    for _ in range(20):
        with pytest.raises(VaultUnavailable, match="Not asked again"):
            client.read(path)
    assert proxy.seen == []

    clock.forward(601)
    with pytest.raises(VaultUnavailable):
        client.read(path)
    assert len(proxy.seen) == 1, "a probe is one request, without retries"
    with pytest.raises(VaultUnavailable, match="Not asked again"):
        client.read(path)

    proxy.fault = None
    clock.forward(601)
    assert client.read(path)
    assert client.read(path)


def test_the_breaker_can_be_switched_off(reading: Reading, proxy: FaultyProxy) -> None:
    client, path = reading(retry_delay_seconds=0, breaker_seconds=0)
    proxy.fault = 503
    for _ in range(3):
        with pytest.raises(VaultUnavailable):
            client.read(path)

    assert len(proxy.seen) == 3


def test_two_clients_of_one_vault_share_what_they_know_of_it(reading: Reading, proxy: FaultyProxy) -> None:
    client, path = reading(deadline_seconds=0.3)
    other, _ = reading(deadline_seconds=0.3, timeout=0.1)
    proxy.fault = "cut"
    with pytest.raises(VaultUnavailable):
        client.read(path)
    proxy.seen.clear()

    with pytest.raises(VaultUnavailable, match="Not asked again"):
        other.read(path)
    assert proxy.seen == []


def test_nobody_listens_there() -> None:
    client = VaultClient.from_settings(url="http://127.0.0.1:9", token="t", deadline_seconds=0.3)

    with pytest.raises(VaultUnavailable, match=r"127.0.0.1:9 did not answer.*connection refused"):
        client.read("secret/data/x")


def test_a_sealed_vault_is_unavailable_and_comes_back(tmp_path: Path) -> None:
    server = OpenBao(tmp_path)
    settings = {"url": server.address, "token": server.root_token, "deadline_seconds": 0.5, "breaker_seconds": 0}
    client = VaultClient.from_settings(**settings)
    server.request("POST", "secret/data/x", {"data": {"colour": "blue"}})
    assert client.read("secret/data/x")

    server.request("PUT", "sys/seal")
    with pytest.raises(VaultUnavailable, match="503 Vault is sealed"):
        client.read("secret/data/x")

    server.request("PUT", "sys/unseal", {"key": server.unseal_key})
    result = client.read("secret/data/x")
    server.stop()

    assert result


def test_a_vault_that_was_stopped_and_started_is_found_again(tmp_path: Path) -> None:
    # All is lost with a server in memory, but for this token, which the next one gets as well.
    token = {"id": uuid.uuid4().hex}
    server = OpenBao(tmp_path / "first")
    server.request("POST", "auth/token/create", token)
    settings = {"url": server.address, "token": token["id"], "deadline_seconds": 0.5, "breaker_seconds": 0}
    client = VaultClient.from_settings(**settings)
    assert client.read("secret/data/x") is None

    server.stop()
    with pytest.raises(VaultUnavailable, match="connection refused"):
        client.read("secret/data/x")

    server = OpenBao(tmp_path / "second", port=server.port)
    server.request("POST", "auth/token/create", token)
    server.request("POST", "secret/data/x", {"data": {"colour": "blue"}})
    result = client.read("secret/data/x")
    server.stop()

    assert result


def test_a_refusal_is_not_tried_again(reading: Reading, proxy: FaultyProxy) -> None:
    client, _ = reading()

    with pytest.raises(VaultRefused):
        client.read("sys/mounts")
    # The path, and the question whether it is the token that was refused.
    assert proxy.seen == ["GET /v1/sys/mounts", "GET /v1/auth/token/lookup-self"]


@pytest.mark.parametrize(
    ("value", "why"), [("[" * 1200 + "]" * 1200, "nested too deeply"), ("9" * 5000, "too many digits")]
)
def test_an_answer_that_python_cannot_read_is_a_refusal_and_no_outage(
    value: str, why: str, reading: Reading, proxy: FaultyProxy
) -> None:
    client, path = reading()
    proxy.fault = f'{{"data": {{"data": {{"a": {value}}}}}}}'.encode()

    for _ in range(2):
        with pytest.raises(VaultRefused, match=f"answered what cannot be read: .*{why}"):
            client.read(path)
    assert proxy.seen == [f"GET /v1/{path}"] * 2


def test_a_standby_that_redirects_is_followed(
    openbao: OpenBao, proxy: FaultyProxy, put: Callable[..., str]
) -> None:
    path = put("thing", colour="blue")
    proxy.redirect_to = openbao.address

    assert VaultClient.from_settings(url=proxy.address, token=openbao.root_token).read(path)


def test_a_redirect_from_tls_to_plain_text_is_not() -> None:
    with pytest.raises(VaultRefused, match="not TLS"):
        redirected("https://standby:8200/v1/x", "http://active:8200/v1/x")
