"""A websocket through a proxy: once it stands, bytes are passed on as they come."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
from typing import Any
from urllib.parse import SplitResult

_TIMEOUT_SECONDS = 60
_CHUNK_BYTES = 65536


class Tunnel:
    """One connection to the target, which has the client's request; `granted` says what came of it."""

    def __init__(self, target: SplitResult, tls: ssl.SSLContext | None, request: str, headers: Any) -> None:
        plain = socket.create_connection((target.hostname, target.port), timeout=_TIMEOUT_SECONDS)
        self._server = tls.wrap_socket(plain, server_hostname=target.hostname) if tls else plain
        lines = [f"{request} HTTP/1.1", f"Host: {target.netloc}"]
        lines += [f"{name}: {value}" for name, value in headers.items() if name.lower() != "host"]
        self._server.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self._first = self._server.recv(_CHUNK_BYTES)
        self.granted = self._first.startswith(b"HTTP/1.1 101")

    def carry(self, client: socket.socket) -> None:
        """Pass on both ways until one side hangs up."""
        with self._server, contextlib.suppress(OSError):
            client.sendall(self._first)
            while all(_pass(*ways) for ways in self._ready(client)):
                pass

    def _ready(self, client: socket.socket) -> list[tuple[socket.socket, socket.socket]]:
        other = {client: self._server, self._server: client}
        # What TLS has already read is nothing that select would see.
        if getattr(self._server, "pending", lambda: 0)():
            return [(self._server, client)]
        readable, _, _ = select.select(list(other), [], [], _TIMEOUT_SECONDS)
        return [(one, other[one]) for one in readable] or [(self._server, client)]


def _pass(from_: socket.socket, to: socket.socket) -> bool:
    content = from_.recv(_CHUNK_BYTES)
    to.sendall(content)
    return bool(content)


def is_requested(headers: Any) -> bool:
    return str(headers.get("Upgrade", "")).lower() == "websocket"
