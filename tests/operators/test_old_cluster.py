"""A cluster that does not know fileKeyRef, played by the one answer of its API server that is asked for.

Whose version is another where a test says so: `default_delivery = auto` goes by it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from kubernetes.client import V1ObjectMeta, V1Pod

from airflow_k8s_vault import VaultPodOperator, VaultSecret
from airflow_k8s_vault.errors import DeliveryRefused
from airflow_k8s_vault.operators import auto_delivery

ROOT = Path(__file__).parents[2]


@pytest.fixture
def minor(request: pytest.FixtureRequest) -> str:
    return str(getattr(request, "param", "33+"))


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, minor: str) -> Iterator[list[str]]:
    """Serve /version of Kubernetes 1.33; the Kubernetes connection leads there; yields what was asked for."""
    seen: list[str] = []
    number = minor.rstrip("+")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(f"GET {self.path}")
            names = ("buildDate", "compiler", "gitCommit", "gitTreeState", "goVersion", "platform")
            version = {"major": "1", "minor": minor, "gitVersion": f"v1.{number}.4", **dict.fromkeys(names, "")}
            body = json.dumps(version).encode()
            self.send_response(200 if self.path.startswith("/version") else 404)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            seen.append(f"POST {self.path}")
            sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.extend(f"gate {gate['name']}" for gate in sent["spec"].get("schedulingGates", ()))
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


def load(secret: VaultSecret) -> VaultPodOperator:
    return VaultPodOperator(task_id="load", pod_template="payments/etl", vault_secrets=[secret], durable=False)


def create(secret: VaultSecret) -> None:
    task = load(secret)
    pod = task.build_pod_request_obj()
    task.get_or_create_pod(pod, {})


PASSWORD = VaultSecret("secret/payments/warehouse", env={"PGPASSWORD": "password"})
GATE = "gate airflow-k8s-vault/credentials"


@pytest.fixture
def auto(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__DEFAULT_DELIVERY", "auto")


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


@pytest.mark.usefixtures("auto")
@pytest.mark.parametrize(("minor", "gated"), [("33+", True), ("34", True), ("35", False)], indirect=["minor"])
def test_auto_delivers_variables_by_what_the_cluster_can_do_and_says_so(
    cluster: list[str], gated: bool, minor: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Exception, match="403"):
        create(PASSWORD)
    log = capsys.readouterr().out

    version = f"v1.{minor.rstrip('+')}.4"
    by = f"secret: [k8s_vault] default_delivery is auto, and the cluster is {version}, older than 1.35"
    assert gated == (GATE in cluster)
    assert ("Secrets are delivered by agent: " in log, f"delivered by {by}" in log) == (not gated, gated)


@pytest.mark.usefixtures("auto")
def test_auto_delivers_files_by_the_agent_whatever_the_cluster(cluster: list[str]) -> None:
    with pytest.raises(Exception, match="403"):
        create(VaultSecret("secret/payments/warehouse", file="password", key="password"))

    assert GATE not in cluster
    assert not [request for request in cluster if "version" in request]


@pytest.mark.usefixtures("auto", "cluster")
def test_auto_asks_no_cluster_in_a_dry_run(cluster: list[str]) -> None:
    load(PASSWORD).build_pod_request_obj(dry_run=True)

    assert cluster == []


@pytest.mark.usefixtures("auto", "cluster")
def test_what_one_of_both_deliveries_can_do_imports_with_auto() -> None:
    private = VaultSecret("secret/payments/warehouse", file="pgpass", key="password", mode="0400")

    with pytest.raises(DeliveryRefused, match="files of a Secret are root's"):
        VaultPodOperator(task_id="a", pod_template="payments/etl", vault_secrets=[private], delivery="secret")

    assert load(private).delivery is None


@pytest.mark.usefixtures("auto", "cluster")
def test_a_resumed_task_goes_by_the_pod_that_it_has_and_not_by_what_the_cluster_has_become() -> None:
    task = load(PASSWORD)
    by_secret = V1Pod(metadata=V1ObjectMeta(labels={"airflow-k8s-vault-delivery": "secret"}))
    by_agent = V1Pod(metadata=V1ObjectMeta(labels={}))

    assert auto_delivery.of_pod(task._decision, by_secret).delivery == "secret"
    assert auto_delivery.of_pod(task._decision, by_agent).delivery == "agent"
