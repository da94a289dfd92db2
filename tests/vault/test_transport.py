"""How requests travel: kept connections, TLS, HTTP proxies, and a time limit for whole answers on each of them."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from k8s_vault_devcluster.openbao import OpenBao

from airflow_k8s_vault.errors import VaultRefused, VaultUnavailable
from airflow_k8s_vault.vault import VaultClient
from tests.vault.proxy import FaultyProxy
from tests.vault.test_logins import make_certificate


@pytest.fixture
def dripping_tls(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A TLS server that answers one byte every 0.1 s for ever, and its certificate."""
    certificate, key = make_certificate(tmp_path, "localhost", host="localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                with context.wrap_socket(listening.accept()[0], server_side=True) as connection:
                    connection.recv(4096)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                    while True:
                        connection.sendall(b" ")
                        time.sleep(0.1)
            except OSError:
                if listening.fileno() == -1:
                    return

    threading.Thread(target=serve, daemon=True).start()
    yield f"https://localhost:{listening.getsockname()[1]}", certificate
    listening.close()


def test_the_limit_for_a_whole_answer_holds_on_tls_too(dripping_tls: tuple[str, Path]) -> None:
    url, certificate = dripping_tls
    client = VaultClient.from_settings(url=url, token="t", verify=str(certificate), deadline_seconds=1, timeout=0)

    with pytest.raises(VaultUnavailable, match="no answer in time"):
        client.read("secret/data/x")


def test_a_certificate_for_another_name_is_not_trusted(dripping_tls: tuple[str, Path]) -> None:
    url, certificate = dripping_tls
    client = VaultClient.from_settings(
        url=url.replace("localhost", "127.0.0.1"), token="t", verify=str(certificate)
    )

    with pytest.raises(VaultRefused, match=r"not trusted.*mismatch"):
        client.read("secret/data/x")


@pytest.mark.parametrize("setting", ["verify", "cert"])
def test_a_file_that_is_not_there_is_named(setting: str) -> None:
    client = VaultClient.from_settings(url="https://127.0.0.1:9", token="t", **{setting: "/none/such.pem"})

    with pytest.raises(VaultRefused, match=f"{setting} '/none/such.pem' cannot be read: No such file"):
        client.read("secret/data/x")


def test_reads_share_one_connection(client: VaultClient, put: Callable[..., str], proxy: FaultyProxy) -> None:
    path = put("thing", colour="blue")
    for _ in range(5):
        client.read(path)

    assert proxy.connections == 1


def test_an_http_proxy_is_used_where_the_setting_names_one(
    openbao: OpenBao, proxy: FaultyProxy, put: Callable[..., str]
) -> None:
    path = put("thing", colour="blue")
    settings = {"url": openbao.address, "token": openbao.root_token, "proxies": {"http": proxy.address}}

    assert VaultClient.from_settings(**settings).read(path)
    assert proxy.seen == [f"GET {openbao.address}/v1/{path}"]


def test_or_the_environment_does(
    openbao: OpenBao, proxy: FaultyProxy, put: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put("thing", colour="blue")
    settings = {"url": openbao.address, "token": openbao.root_token}
    monkeypatch.setenv("http_proxy", proxy.address)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)

    assert VaultClient.from_settings(**settings).read(path)
    assert len(proxy.seen) == 1

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert VaultClient.from_settings(**settings).read(path)
    assert VaultClient.from_settings(**settings, proxies={}).read(path)
    assert len(proxy.seen) == 1
