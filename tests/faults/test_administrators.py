"""Workers reach the API through the proxy, whatever the kubeconfig of a cluster's administrator holds."""

from __future__ import annotations

import base64
import ssl
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml
from k8s_vault_devcluster import certificates
from kubernetes import config

from tests.faults.fault_environment import proxy_of, through


@pytest.fixture
def api_with_client_certificates(tmp_path: Path) -> Iterator[Path]:
    """A server at which only who has a client certificate gets an answer; yields the kubeconfig of one."""
    (tmp_path / "server").mkdir()
    (tmp_path / "client").mkdir()
    server, administrator = (certificates.make(tmp_path / name, "127.0.0.1") for name in ("server", "client"))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=administrator.ca)
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_cert_chain(server.certificate, server.key)
    listening = HTTPServer(("127.0.0.1", 0), Handler)
    listening.socket = tls.wrap_socket(listening.socket, server_side=True)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    where = {
        "server": f"https://127.0.0.1:{listening.server_port}",
        "certificate-authority-data": _data(server.ca),
    }
    who = {
        "client-certificate-data": _data(administrator.certificate.read_text()),
        "client-key-data": _data(administrator.key.read_text()),
    }
    content = {
        "clusters": [
            {"name": "other", "cluster": {"server": "https://127.0.0.1:1"}},
            {"name": "c", "cluster": where},
        ],
        "users": [{"name": "me", "user": who}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "me"}}],
        "current-context": "here",
    }
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(content))
    yield tmp_path / "kubeconfig"
    listening.shutdown()


def _data(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_a_client_certificate_is_shown_by_the_proxy_and_stays_out_of_the_workers_kubeconfig(
    api_with_client_certificates: Path, tmp_path: Path
) -> None:
    proxy = proxy_of(config.new_client_from_config(str(api_with_client_certificates)).configuration)
    workers = through(api_with_client_certificates, proxy.address)

    with urllib.request.urlopen(f"{proxy.address}/version") as answer:
        status = answer.status
    proxy.stop()

    assert status == 200
    assert [{"server": proxy.address}] * 2 == [cluster["cluster"] for cluster in workers["clusters"]]
    assert [{"name": "me", "user": {}}] == workers["users"]
