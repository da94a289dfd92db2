"""What the HTTP proxies of the tests share: a server whose clients may go, and how a request is passed on."""

from __future__ import annotations

import http.client
import socket
import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import SplitResult

_OF_THE_CONNECTION = ("host", "connection")


class Server(ThreadingHTTPServer):
    """A thread for each connection; a client that gave up, or was killed, is part of the test."""

    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


class Handler(BaseHTTPRequestHandler):
    """Answers HTTP/1.1, prints nothing, and can hang up."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        pass

    def read_body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


def pass_on(
    target: SplitResult,
    request: Handler,
    body: bytes,
    tls: ssl.SSLContext | None = None,
    timeout_seconds: float = 20,
) -> http.client.HTTPResponse:
    """Send a request to the target, as it came but for the connection's own headers; return the answer."""
    where, port = str(target.hostname), target.port
    if tls:
        connection: Any = http.client.HTTPSConnection(where, port, timeout=timeout_seconds, context=tls)
    else:
        connection = http.client.HTTPConnection(where, port, timeout=timeout_seconds)
    headers = {
        name: value for name, value in request.headers.items() if name.lower() not in ("host", "connection")
    }
    connection.request(request.command, request.path, body or None, headers)
    answer: http.client.HTTPResponse = connection.getresponse()
    return answer
