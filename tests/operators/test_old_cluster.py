"""A cluster that does not know fileKeyRef, played by the one answer of its API server that is asked for."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from airflow_k8s_vault import VaultPodOperator, VaultSecret
from airflow_k8s_vault.errors import DeliveryRefused

ROOT = Path(__file__).parents[2]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Serve /version of Kubernetes 1.33; the Kubernetes connection leads there; yields what was asked for."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(f"GET {self.path}")
            names = ("buildDate", "compiler", "gitCommit", "gitTreeState", "goVersion", "platform")
            version = {"major": "1", "minor": "33+", "gitVersion": "v1.33.4", **dict.fromkeys(names, "")}
            body = json.dumps(version).encode()
            self.send_response(200 if self.path.startswith("/version") else 404)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            seen.append(f"POST {self.path}")
            self.send_error(403)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    old = {"name": "old", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
    context = {"name": "old", "context": {"cluster": "old", "user": "me"}}
    user = {"name": "me", "user": {"token": "t"}}
    config = {"clusters": [old], "contexts": [context], "users": [user], "current-context": "old"}
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    connection = {"conn_type": "kubernetes", "extra": {"kube_config_path": str(tmp_path / "kubeconfig")}}
    monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", json.dumps(connection))
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__TEMPLATES_DIR", str(ROOT / "pod_templates"))
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__VAULT_ADDR", "https://vault:8200")
    yield seen
    server.shutdown()


def create(secret: VaultSecret) -> None:
    task = VaultPodOperator(task_id="load", pod_template="payments/etl", vault_secrets=[secret], durable=False)
    pod = task.build_pod_request_obj(dry_run=True)
    task.get_or_create_pod(pod, {})


def test_variables_are_refused_before_the_pod_is_created_with_the_ways_out(cluster: list[str]) -> None:

    with pytest.raises(DeliveryRefused) as refusal:
        create(VaultSecret("secret/payments/warehouse", env={"PGPASSWORD": "password"}))

    assert "it is v1.33.4, and fileKeyRef needs Kubernetes 1.35" in str(refusal.value)
    assert "Give the secret a file= instead of env=" in str(refusal.value)
    assert not [request for request in cluster if request.startswith("POST")]


def test_files_need_no_new_cluster(cluster: list[str]) -> None:

    with pytest.raises(Exception, match="403"):
        create(VaultSecret("secret/payments/warehouse", file="password", key="password"))

    assert "POST /api/v1/namespaces/team-payments/pods" in cluster
