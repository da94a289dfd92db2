"""A stand-in at the network for login methods that OpenBao does not bring: it keeps what it was sent."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Received:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.body))


class Recorder:
    """Answers by `answers` (path to JSON; a login gets a token, a read one value); keeps `received`."""

    def __init__(self, answers: dict[str, Any] | None = None) -> None:
        self.answers = answers or {}
        self.received: list[Received] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str) -> Any:
        if path in self.answers:
            return self.answers[path]
        if "/auth/" in path:
            return {"auth": {"client_token": "made-by-the-recorder", "lease_duration": 3600, "renewable": True}}
        return {"data": {"found": "it"}}

    def only(self, part: str) -> Received:
        """The one request whose path holds `part`."""
        (result,) = [request for request in self.received if part in request.path]
        return result


def _handler(recorder: Recorder) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            pass

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            headers = dict(self.headers.items())
            recorder.received.append(Received(self.command, parts.path, parse_qs(parts.query), headers, body))
            answer = recorder.answer(parts.path)
            content = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = handle_any

    return Handler
