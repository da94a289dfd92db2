"""A forward proxy as companies have them: what is reached through it is not reached by those who do not use it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@contextlib.contextmanager
def listening(host: str, target: str) -> Iterator[str]:
    """Pass requests for `host`, which has no address, on to `target`; yield the URL that HTTP_PROXY takes."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing of it is of interest."""

        def _pass(self) -> None:
            requested = urlsplit(self.path)
            to = urlsplit(target) if requested.hostname == host else requested
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            connection = HTTPConnection(to.hostname or "", to.port or 80, timeout=10)
            connection.request(self.command, f"{requested.path}?{requested.query}", body, headers)
            answer = connection.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            connection.close()

        do_GET = do_POST = do_PUT = do_DELETE = _pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
