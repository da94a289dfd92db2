"""The record of pods, which all cases rest on, goes on where a watch ends: real ones end often."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from k8s_vault_devcluster.demo.pods import PodRecord
from kubernetes import client

from tests.faults.worker import wait_until


def test_pods_are_recorded_after_a_watch_has_ended_and_after_one_that_failed() -> None:
    requested: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requested.append(self.path)
            number = len(requested)
            self.send_response(500 if number == 2 else 200)
            self.end_headers()
            pod = {"metadata": {"name": f"pod-{number}", "uid": f"{number}", "resourceVersion": "1"}}
            self.wfile.write(json.dumps({"type": "ADDED", "object": pod}).encode() + b"\n")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    api = client.ApiClient(client.Configuration(host=f"http://127.0.0.1:{server.server_port}"))
    record = PodRecord(client.CoreV1Api(api), ["team-payments"])
    wait_until(lambda: "3" in record.pods)
    record.stop()
    server.shutdown()

    assert {"1", "3"} <= record.pods.keys()
