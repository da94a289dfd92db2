"""How long a login lasts: counted in requests, with tokens that live for seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from k8s_vault_devcluster.openbao import OpenBao

from airflow_k8s_vault.errors import VaultRefused
from airflow_k8s_vault.vault import VaultClient
from tests.conftest import Clock
from tests.vault.conftest import make_approle
from tests.vault.proxy import FaultyProxy

LOGIN, RENEWAL, QUESTION = (
    "POST /v1/auth/approle/login",
    "POST /v1/auth/token/renew-self",
    "auth/token/lookup-self",
)


@pytest.fixture
def make_client(openbao: OpenBao, kv_mount: str, proxy: FaultyProxy) -> Callable[..., VaultClient]:
    """A client of an approle with this `token_ttl` and so on, as auth/approle/role takes them."""

    def make(**role: Any) -> VaultClient:
        return VaultClient.from_settings(url=proxy.address, **make_approle(openbao, kv_mount, **role).settings)

    return make


@pytest.fixture
def path(put: Callable[..., str]) -> str:
    return put("thing", colour="blue")


@pytest.fixture
def token(openbao: OpenBao, kv_mount: str) -> Iterator[Callable[..., str]]:
    """Create a token that may read the test's own mount."""
    openbao.request(
        "PUT", f"sys/policies/acl/{kv_mount}", {"policy": f'path "{kv_mount}/*" {{capabilities=["read"]}}'}
    )
    return lambda **options: openbao.request("POST", "auth/token/create", {"policies": [kv_mount], **options})[
        "auth"
    ]["client_token"]


def test_many_reads_need_one_login(client: VaultClient, path: str, proxy: FaultyProxy) -> None:
    for _ in range(10):
        client.read(path)

    assert (proxy.count(LOGIN), proxy.count("GET /v1/")) == (1, 10)


def test_it_is_renewed_at_two_thirds_of_its_life(
    make_client: Callable[..., VaultClient], path: str, proxy: FaultyProxy, clock: Clock
) -> None:
    client = make_client(token_ttl="60s", token_max_ttl="1h")
    client.read(path)
    client.read(path)
    assert proxy.count(RENEWAL) == 0

    clock.forward(41)
    client.read(path)
    client.read(path)

    assert (proxy.count(LOGIN), proxy.count(RENEWAL)) == (1, 1)


def test_it_logs_in_again_when_renewing_gives_no_more_time(
    make_client: Callable[..., VaultClient], path: str, proxy: FaultyProxy
) -> None:
    client = make_client(token_ttl="3s", token_max_ttl="3s")
    client.read(path)
    time.sleep(2.1)

    assert client.read(path)
    assert proxy.count(LOGIN) == 2


def test_it_logs_in_again_when_the_token_cannot_be_renewed(
    make_client: Callable[..., VaultClient], path: str, proxy: FaultyProxy, clock: Clock
) -> None:
    client = make_client(token_ttl="60s", token_type="batch")
    client.read(path)
    clock.forward(41)

    assert client.read(path)
    assert (proxy.count(LOGIN), proxy.count(RENEWAL)) == (2, 0)


def test_it_logs_in_again_when_the_token_has_ended_while_nobody_asked(
    make_client: Callable[..., VaultClient], path: str, proxy: FaultyProxy, clock: Clock
) -> None:
    client = make_client(token_ttl="60s")
    client.read(path)
    clock.forward(61)

    assert client.read(path)
    assert (proxy.count(LOGIN), proxy.count(RENEWAL)) == (2, 0)


def test_it_logs_in_again_when_the_token_was_revoked(
    client: VaultClient, path: str, proxy: FaultyProxy, openbao: OpenBao
) -> None:
    client.read(path)
    revoke_all(openbao)

    assert client.read(path)
    assert proxy.count(LOGIN) == 2


def test_a_token_for_a_few_uses_is_replaced_when_they_are_used_up(
    make_client: Callable[..., VaultClient], path: str, proxy: FaultyProxy
) -> None:
    client = make_client(token_num_uses=2)
    for _ in range(5):
        assert client.read(path)

    assert proxy.count(LOGIN) == 3


def test_a_forbidden_path_is_no_reason_to_log_in(client: VaultClient, proxy: FaultyProxy) -> None:
    for _ in range(3):
        with pytest.raises(VaultRefused, match=r"refused path 'another/data/x' \(403 .*permission denied"):
            client.read("another/data/x")

    assert proxy.count(LOGIN) == 1


def test_a_role_that_got_a_policy_is_logged_in_again_after_a_while(
    client: VaultClient, path: str, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_k8s_vault.vault.keeper.LOGIN_AGAIN_AFTER_SECONDS", 0)
    with pytest.raises(VaultRefused):
        client.read("another/data/x")

    assert proxy.count(LOGIN) == 2


def test_a_given_token_is_asked_about_before_its_second_request_only(
    proxy: FaultyProxy, path: str, token: Callable[..., str]
) -> None:
    client = VaultClient.from_settings(url=proxy.address, token=token())
    client.read(path)
    assert proxy.seen == [f"GET /v1/{path}"]

    for _ in range(5):
        client.read(path)

    assert proxy.count(QUESTION) == 1


def test_a_given_token_is_renewed_as_long_as_it_can_be(
    proxy: FaultyProxy, path: str, token: Callable[..., str], clock: Clock
) -> None:
    client = VaultClient.from_settings(url=proxy.address, token=token(period="60s"))
    client.read(path)
    client.read(path)
    for _ in range(2):
        clock.forward(41)
        client.read(path)

    assert proxy.count(RENEWAL) == 2


def test_a_given_token_that_was_revoked_is_an_error_that_says_so(
    proxy: FaultyProxy, path: str, token: Callable[..., str], openbao: OpenBao
) -> None:
    given = token()
    client = VaultClient.from_settings(url=proxy.address, token=given)
    client.read(path)
    openbao.request("POST", "auth/token/revoke", {"token": given})

    with pytest.raises(VaultRefused, match="The token is a given one"):
        client.read(path)


def test_a_token_file_is_read_anew_when_its_token_is_refused(
    proxy: FaultyProxy, path: str, token: Callable[..., str], openbao: OpenBao, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    first = token()
    file.write_text(first)
    client = VaultClient.from_settings(url=proxy.address, token_path=str(file))
    client.read(path)
    file.write_text(token())
    openbao.request("POST", "auth/token/revoke", {"token": first})

    assert client.read(path)


def revoke_all(openbao: OpenBao) -> None:
    """Revoke every token of every approle login, as an operator does after an incident."""
    openbao.request("PUT", "sys/leases/revoke-prefix/auth/approle/login")


def test_a_given_token_that_may_not_be_renewed_is_not_tried_again_and_again(
    proxy: FaultyProxy, path: str, token: Callable[..., str]
) -> None:
    client = VaultClient.from_settings(url=proxy.address, token=token(ttl="30s", no_default_policy=True))
    client.read(path)
    client.read(path)
    assert proxy.count(QUESTION) == 1, "a token without the default policy may not even ask about itself"

    for _ in range(3):
        client.read(path)

    assert proxy.count("auth/token/") == 1


def test_a_login_goes_on_with_its_token_while_a_renewal_is_not_answered(
    make_client: Callable[..., VaultClient], path: str, proxy: FaultyProxy, clock: Clock
) -> None:
    client = make_client(token_ttl="60s", token_max_ttl="1h")
    client.read(path)
    clock.forward(41)
    proxy.fault, proxy.faults_left = "cut", 1

    assert client.read(path)
    assert (proxy.count(LOGIN), proxy.count(RENEWAL)) == (1, 1)


def test_it_logs_in_again_when_the_renewal_is_answered_with_500(
    make_client: Callable[..., VaultClient], path: str, proxy: FaultyProxy, clock: Clock
) -> None:
    # OpenBao's own answer to "past the max TTL, cannot renew".
    client = make_client(token_ttl="60s", token_max_ttl="1h")
    client.read(path)
    clock.forward(41)
    proxy.fault, proxy.faults_left = 500, 1

    assert client.read(path)
    assert (proxy.count(LOGIN), proxy.count(RENEWAL)) == (2, 1)


def test_a_login_goes_on_with_its_token_while_vault_answers_everything_else_with_500(
    make_client: Callable[..., VaultClient], path: str, proxy: FaultyProxy, clock: Clock
) -> None:
    client = make_client(token_ttl="60s", token_max_ttl="1h")
    client.read(path)
    clock.forward(41)
    proxy.fault, proxy.faults_left = 500, 2

    assert client.read(path)
