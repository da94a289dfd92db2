"""An HTTP proxy before Vault that counts what passes and makes the faults that a network makes."""

from __future__ import annotations

import http.client
import threading
import time
from typing import Any
from urllib.parse import urlsplit

from tests import http_server


class FaultyProxy:
    """Passes requests on to `target` until `fault` says otherwise; `seen` lists them as "GET /v1/…".

    fault: None, a status (int), what is answered (bytes), "hang" (never answer), "cut" (hang up without an
    answer), "cut after" (pass it on, then hang up: the work is done, the answer lost), "drip" (one byte every
    0.2 s), "rubbish" (200, no JSON),
    "elsewhere" (404, as a server that is no Vault says it), "torn" (a GET's answer lacks its last byte), or
    ("delay", seconds).
    faults_left: after so many faults it passes again; None: it does not.
    """

    def __init__(self, target: str) -> None:
        self.fault: Any = None
        self.faults_left: int | None = None
        self.retry_after: str | None = None
        self.redirect_to: str | None = None
        self.seen: list[str] = []
        self.connections = 0
        self._target = urlsplit(target)
        self._stopping = threading.Event()
        self._server = http_server.Server(("127.0.0.1", 0), _handler(self))
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def count(self, part: str) -> int:
        return sum(part in request for request in self.seen)

    def next_fault(self) -> Any:
        if self.faults_left is not None:
            if self.faults_left <= 0:
                return None
            self.faults_left -= 1
        return self.fault

    def wait(self, seconds: float) -> None:
        self._stopping.wait(seconds)

    def pass_on(self, request: http_server.Handler, body: bytes) -> http.client.HTTPResponse:
        return http_server.pass_on(self._target, request, body)


def _handler(proxy: FaultyProxy) -> type[http_server.Handler]:
    class Handler(http_server.Handler):
        def setup(self) -> None:
            proxy.connections += 1
            super().setup()

        def handle_any(self) -> None:
            body = self.read_body()
            proxy.seen.append(f"{self.command} {self.path}")
            fault = proxy.next_fault()
            if isinstance(fault, tuple):
                proxy.wait(fault[1])
                fault = None
            if proxy.redirect_to:
                self._answer(307, b"")
            elif fault == "hang":
                proxy.wait(3600)
            elif fault == "cut":
                self.hang_up()
            elif isinstance(fault, int):
                self._answer(fault, b'{"errors":["made by the proxy"]}')
            elif isinstance(fault, bytes):
                self._answer(200, fault)
            elif fault == "elsewhere":
                self._answer(404, b"<html>No such page</html>")
            elif fault == "rubbish":
                self._answer(200, b"<html>Sign in to the hotel network</html>")
            else:
                answer = proxy.pass_on(self, body)
                content = answer.read()
                if fault == "cut after":
                    self.hang_up()
                elif fault == "torn" and self.command == "GET":
                    self._answer(answer.status, content[:-1])
                else:
                    self._answer(answer.status, content, drip=fault == "drip")

        do_GET = do_POST = do_PUT = do_DELETE = do_LIST = handle_any

        def _answer(self, status: int, content: bytes, drip: bool = False) -> None:
            head = (
                f"HTTP/1.1 {status} Made\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n"
            )
            if proxy.redirect_to:
                head += f"Location: {proxy.redirect_to}{self.path}\r\n"
            if proxy.retry_after:
                head += f"Retry-After: {proxy.retry_after}\r\n"
            whole = head.encode() + b"\r\n" + content
            if not drip:
                self.wfile.write(whole)
                return
            for byte in whole:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(0.2)

    return Handler
