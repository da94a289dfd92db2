"""An HTTP proxy before Vault or the Kubernetes API that makes the faults of a network, for chosen requests."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests import http_server
from tests.faults import tunnel


@dataclass
class Fault:
    """What happens to the next `times` requests that match ("POST /api/v1/…/pods"); None: to all of them.

    kind: a status, "cut" (hang up, nothing done), "cut after" (do it, then hang up), "late" (do it, and answer
    after 2 s), "cut in the middle" (of the answer, or of a stream after half a second), "half" (of the answer, as
    if it were all of it), "hang", "rubbish" (200, no JSON), seconds of delay as a float, or a function, which is
    called before the request is passed on.
    """

    request: str
    kind: Any
    times: int | None = 1

    def takes(self, request: str) -> bool:
        if self.times == 0 or not re.search(self.request, request):
            return False
        if self.times is not None:
            self.times -= 1
        return True


def _subject(authorization: str) -> str:
    """Return whom a bearer token is of, which is no secret."""
    parts = authorization.removeprefix("Bearer ").split(".")
    if len(parts) != 3:
        return ""
    claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    return str(claims.get("sub", ""))


class FaultProxy:
    """Passes requests on, streams included. `done` lists those that were answered with 2xx as "POST /v1/…".

    A request that began before `forget` is not in it, however late its answer comes: that of a silent log does.
    """

    def __init__(self, target: str, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.faults: list[Fault] = []
        self.done: list[str] = []
        # The same with who asked: the `sub` of the bearer token, "" without one.
        self.done_by: list[tuple[str, str]] = []
        # What was sent and answered, where somebody wants to know it: see tests/canary.
        self.exchanges: list[tuple[str, bytes, bytes]] | None = None
        self._target = urlsplit(target)
        self._tls = tls
        self._stopping = threading.Event()
        # Cleared while nothing gets through, in either direction.
        self._through = threading.Event()
        self._through.set()
        self._open: set[socket.socket] = set()
        self._server = http_server.Server((host, 0), _handler(self))
        self.address = f"http://{host}:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()
        self._through.set()
        self._server.shutdown()
        self._server.server_close()

    def reset(self) -> None:
        self.faults = []
        self.forget()

    def forget(self) -> None:
        self.done, self.done_by = [], []

    @property
    def note(self) -> Callable[[str, Any], None]:
        """Return what writes a request down, with its headers, for as long as this is not forgotten."""
        done, done_by = self.done, self.done_by

        def note(request: str, headers: Any) -> None:
            done.append(request)
            done_by.append((_subject(headers.get("Authorization") or ""), request))

        return note

    def count(self, pattern: str) -> int:
        return sum(re.search(pattern, request) is not None for request in self.done)

    def fault_of(self, request: str) -> Any:
        return next((fault.kind for fault in self.faults if fault.takes(request)), None)

    def knows(self, request: str, sent: bytes, answered: bytes = b"") -> None:
        """Keep an exchange where somebody wants to know it."""
        if self.exchanges is not None:
            self.exchanges.append((request, sent, answered))

    def tunnel(self, request: str, headers: Any) -> tunnel.Tunnel:
        return tunnel.Tunnel(self._target, self._tls, request, headers)

    @contextlib.contextmanager
    def partition(self) -> Iterator[None]:
        """Let nothing through, and tell nobody: connections stay open."""
        self._through.clear()
        try:
            yield
        finally:
            self._through.set()

    def restart(self) -> None:
        """Break all connections, as a server that ends does."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @contextlib.contextmanager
    def connected(self, connection: socket.socket) -> Iterator[None]:
        self._open.add(connection)
        try:
            yield
        finally:
            self._open.discard(connection)

    def pass_through(self) -> None:
        self._through.wait()

    def wait(self, seconds: float) -> None:
        self._stopping.wait(seconds)

    def pass_on(self, request: http_server.Handler, body: bytes) -> http.client.HTTPResponse:
        return http_server.pass_on(self._target, request, body, self._tls, timeout_seconds=600)


def _handler(proxy: FaultProxy) -> type[http_server.Handler]:
    class Handler(http_server.Handler):
        def handle(self) -> None:
            with proxy.connected(self.connection):
                super().handle()

        def handle_any(self) -> None:
            proxy.pass_through()
            body = self._sent = self.read_body()
            request, self._note = f"{self.command} {self.path}", proxy.note
            fault = proxy.fault_of(request)
            # Also of what is never answered: a login that fails has been sent a token all the same.
            proxy.knows(request, body)
            if callable(fault):
                fault()
                fault = None
            if isinstance(fault, float):
                proxy.wait(fault)
                fault = None
            if fault == "hang":
                proxy.wait(3600)
            elif fault == "cut":
                self.hang_up()
            elif isinstance(fault, int):
                self._answer(fault, b'{"errors":["made by the proxy"],"message":"made by the proxy"}')
            elif fault == "rubbish":
                self._answer(200, b"<html>Sign in to the hotel network</html>")
            elif tunnel.is_requested(self.headers):
                self._tunnel(request)
            else:
                answer = proxy.pass_on(self, body)
                if 200 <= answer.status < 300:
                    self._note(request, self.headers)
                if fault == "late":
                    proxy.wait(2)
                if fault == "cut after":
                    proxy.knows(request, body, answer.read())
                    self.hang_up()
                elif fault == "cut in the middle":
                    self._pass_back_half(answer)
                elif fault == "half":
                    content = answer.read()
                    proxy.knows(request, body, content)
                    self._answer(answer.status, content[: len(content) * 3 // 4])
                else:
                    self._pass_back(answer)

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_LIST = handle_any

        def _tunnel(self, request: str) -> None:
            self.close_connection = True
            made = proxy.tunnel(request, self.headers)
            if made.granted:
                self._note(request, self.headers)
            made.carry(self.connection)

        def _pass_back(self, answer: http.client.HTTPResponse) -> None:
            length = answer.getheader("Content-Length")
            if length is not None:
                content = answer.read()
                proxy.knows(f"{self.command} {self.path}", self._sent, content)
                self._answer(answer.status, content, answer.getheader("Content-Type") or "")
                return
            self._head(answer.status, answer.getheader("Content-Type") or "", "Connection: close")
            self.close_connection = True
            content = b""
            while chunk := answer.read1(65536):
                proxy.pass_through()
                self.wfile.write(chunk)
                self.wfile.flush()
                # Vault sends what is long in pieces, too.
                content += chunk if proxy.exchanges is not None else b""
            proxy.knows(f"{self.command} {self.path}", self._sent, content)

        def _pass_back_half(self, answer: http.client.HTTPResponse) -> None:
            length = int(answer.getheader("Content-Length") or 2**20)
            self._head(answer.status, answer.getheader("Content-Type") or "", f"Content-Length: {length}")
            if answer.getheader("Content-Length") is not None:
                self.wfile.write(answer.read()[: length // 2])
            else:
                # Not read: what it holds by now is all that there is to lose.
                proxy.wait(0.5)
            self.wfile.flush()
            self.hang_up()

        def _answer(self, status: int, content: bytes, kind: str = "application/json") -> None:
            self._head(status, kind, f"Content-Length: {len(content)}")
            self.wfile.write(content)

        def _head(self, status: int, kind: str, further: str) -> None:
            head = f"HTTP/1.1 {status} Made\r\nContent-Type: {kind}\r\n{further}\r\n\r\n"
            self.wfile.write(head.encode())

    return Handler
