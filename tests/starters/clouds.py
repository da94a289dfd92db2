"""The clouds' addresses as a worker sees them: a proxy that leads their names to servers of this machine."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from tests.starters import certificates

REGION = "eu-west-1"
AWS, GOOGLE, AZURE = f"eks.{REGION}.amazonaws.com", "oauth2.googleapis.com", "login.microsoftonline.com"
GKE = "container.googleapis.com"
TENANT = "11111111-2222-3333-4444-555555555555"
# The application of AKS clusters, which their tokens are for.
AKS = "6dae42f8-4368-4678-94ff-3960e28e3630/.default"


class Clouds:
    """EKS, Google's token endpoint and GKE, and Entra ID. `asked` lists what they were asked for.

    Tokens of Google and Entra ID are "<cloud>-<who>-<number>", and good for `life_seconds`.
    """

    def __init__(self, folder: Path, endpoint: str) -> None:
        """endpoint: the clusters' address."""
        self.certificates = certificates.make(folder, (AWS, GOOGLE, AZURE, GKE))
        self.endpoint, self.life_seconds = endpoint, 3600
        self.requests: list[str] = []
        self.made_at: dict[str, float] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.socket = context(self.certificates).wrap_socket(self._server.socket, server_side=True)
        self._gke: subprocess.Popen[str] | None = None
        self._proxy = ThreadingHTTPServer(("127.0.0.1", 0), _proxy(self._port_of))
        for server in (self._server, self._proxy):
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def authority(self) -> str:
        """The certificate of all their servers' authority, as a kubeconfig has it."""
        return base64.b64encode(self.certificates.ca.read_bytes()).decode()

    @property
    def environment(self) -> dict[str, str]:
        """What leads a process to them, and lets it trust them."""
        proxy, ca = f"http://127.0.0.1:{self._proxy.server_address[1]}", str(self.certificates.ca)
        return {
            "HTTPS_PROXY": proxy,
            "grpc_proxy": proxy,
            "NO_PROXY": "127.0.0.1",
            "AWS_CA_BUNDLE": ca,
            "REQUESTS_CA_BUNDLE": ca,
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": ca,
        }

    def token(self, cloud: str, who: str) -> str:
        token = f"{cloud}-{who}-{len(self.made_at)}"
        self.made_at[token] = time.time()
        return token

    def who(self, token: str) -> str | None:
        """Return whose token it is, None where it is none, or too old."""
        if time.time() - self.made_at.get(token, 0) > self.life_seconds:
            return None
        return token.split("-")[1]

    def stop(self) -> None:
        for server in (self._server, self._proxy):
            server.shutdown()
            server.server_close()
        if self._gke is not None:
            self._gke.terminate()
            self._gke.wait()

    def _port_of(self, name: str) -> int:
        if name != GKE:
            return int(self._server.server_address[1])
        if self._gke is None:
            # A process of its own: gRPC does not outlive the forks that are workers here.
            command = [sys.executable, "-m", "tests.starters.gke", self.endpoint, *map(str, self.certificates)]
            self._gke = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        if not hasattr(self, "_gke_port"):
            assert self._gke.stdout is not None
            self._gke_port = int(self._gke.stdout.readline())
        return self._gke_port

    def answer(self, host: str, request: str, sent: Mapping[str, list[str]]) -> dict[str, Any]:
        self.requests.append(f"{host} {request}")
        if host == AWS and request == "GET /clusters/prod":
            arn = f"arn:aws:eks:{REGION}:111122223333:cluster/prod"
            described = {"name": "prod", "arn": arn, "endpoint": self.endpoint, "status": "ACTIVE"}
            return {"cluster": {**described, "certificateAuthority": {"data": self.authority}}}
        life = {"expires_in": self.life_seconds, "token_type": "Bearer"}
        if host == GOOGLE and request == "POST /token":
            claims = json.loads(_decoded(sent["assertion"][0].split(".")[1]))
            return {"access_token": self.token("google", claims["iss"].partition("@")[0]), **life}
        if host == AZURE and request.endswith("/oauth2/v2.0/token") and AKS in sent["scope"][0]:
            return {"access_token": self.token("azure", sent["client_id"][0]), **life}
        if host == AZURE and "/discovery/instance" in request:
            names = {"preferred_network": AZURE, "preferred_cache": AZURE, "aliases": [AZURE]}
            return {"tenant_discovery_endpoint": _configuration(), "metadata": [names]}
        if host == AZURE and request.split("?")[0].endswith("/.well-known/openid-configuration"):
            base = f"https://{AZURE}/{TENANT}"
            urls = {"authorization_endpoint": "authorize", "token_endpoint": "token"}
            return {"issuer": f"{base}/v2.0", **{k: f"{base}/oauth2/v2.0/{v}" for k, v in urls.items()}}
        raise KeyError(f"{host} {request}")


def context(made: certificates.Certificates) -> ssl.SSLContext:
    """Return the TLS of a server with these certificates."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(made.certificate, made.key)
    return tls


def _configuration() -> str:
    return f"https://{AZURE}/{TENANT}/v2.0/.well-known/openid-configuration"


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _handler(clouds: Clouds) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            host, request = str(self.headers["Host"]).partition(":")[0], f"{self.command} {self.path}"
            try:
                status, answer = 200, clouds.answer(host, request, parse_qs(body))
            except KeyError as unknown:
                status, answer = 404, {"message": f"the clouds know no {unknown}"}
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = handle_any

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


def _proxy(port_of: Any) -> type[BaseHTTPRequestHandler]:
    class Proxy(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            self.close_connection = True
            try:
                server = socket.create_connection(("127.0.0.1", port_of(self.path.partition(":")[0])))
            except OSError:
                self.send_error(502)
                return
            self.wfile.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            client = self.connection
            back = threading.Thread(target=_copy, args=(server, client), daemon=True)
            back.start()
            _copy(client, server)
            back.join()
            server.close()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Proxy


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while content := source.recv(65536):
            target.sendall(content)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
