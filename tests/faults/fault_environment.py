"""Real servers with proxies in between, and what is left on them when a task is over."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import ssl
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import yaml
from airflow.sdk import DAG
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm
from k8s_vault_devcluster.demo.environment import Environment
from k8s_vault_devcluster.demo.pods import PodRecord
from k8s_vault_devcluster.openbao import VaultAdmin
from kubernetes import client, config, stream

from airflow_k8s_vault import VaultFile, VaultSecret
from airflow_k8s_vault.errors import VaultError
from tests import walls
from tests.devcluster.mishaps import MishapCluster
from tests.faults import images
from tests.faults.fault_proxy import FaultProxy
from tests.faults.worker import WatchedOperator, wait_until

ROOT = Path(__file__).parents[2]
NAMESPACE = "team-payments"
LOGIN = VaultSecret(
    "database/creds/payments-rw", engine="dynamic", env={"PGUSER": "username", "PGPASSWORD": "password"}
)
KEY = VaultSecret("secret/payments/partner", file="partner.key", key="api_key")
# Made on request, once a pod: its files are of one issue, one of them in a folder of its own and not for all.
PKI = "tests-pki"
ISSUED = VaultSecret(
    f"{PKI}/issue/payments",
    engine="dynamic",
    parameters={"common_name": "etl.example.com", "ttl": "1h"},
    files=[
        VaultFile(".tls.key", key="private_key", mode="0440", directory="/home/app/.tls"),
        VaultFile("tls.crt", key="certificate"),
    ],
)
STORE = VaultSecret("secret/payments/store", version=1, file="store.p12", key="bytes", decode="base64")
ALL = (LOGIN, KEY, ISSUED, STORE)
HAS_ALL = (
    'test -n "$PGPASSWORD" && test -s /vault/secrets/partner.key && test -s /home/app/.tls/.tls.key &&'
    " test -s /vault/secrets/store.p12"
)


# A second container, which others look around in; the base template ends with its containers.
_BESIDE = """\
    - name: beside
      image: {{ images.etl }}
      command: ["sh", "-c", "trap 'exit 0' TERM; sleep 60 & wait"]
      resources: {requests: {cpu: 50m, memory: 64Mi}, limits: {memory: 64Mi}}
      securityContext:
        allowPrivilegeEscalation: false
        runAsNonRoot: true
        capabilities: {drop: ["ALL"]}
        seccompProfile: {type: RuntimeDefault}
"""


# While a pod waits, here for somebody to open its gate, worker and triggerer read its events.
_HELD = """\
{% extends "payments/etl.yaml.j2" %}
{% block placement %}
  schedulingGates: [{name: example.com/hold}]
{% endblock %}
"""


@dataclass
class Traces:
    """What is left of tasks, by kind; `waited_seconds`: until all was gone, or until that was given up."""

    pods: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    roles: list[str] = field(default_factory=list)
    issues: list[str] = field(default_factory=list)
    waited_seconds: float = 0

    def __str__(self) -> str:
        kinds = {"pod": self.pods, "Secret": self.secrets, "token": self.tokens, "role": self.roles}
        kinds["certificate"] = self.issues
        return ", ".join(f"{len(result)} {kind}" for kind, result in kinds.items() if result) or "nothing"


class FaultEnvironment:
    """One PostgreSQL, one Vault and one cluster for all cases, each behind a proxy of its own."""

    def __init__(self, folder: Path, templates: Mapping[str, str] | None = None) -> None:
        """templates: more files of the folder of templates, by their path in it."""
        templates_dir = folder / "pod_templates"
        shutil.copytree(ROOT / "pod_templates", templates_dir)
        base = (templates_dir / "base.yaml.j2").read_text()
        (templates_dir / "payments/beside.yaml.j2").write_text(f"{base.rstrip()}\n{_BESIDE}")
        shutil.copy(templates_dir / "base.vars.yaml", templates_dir / "payments/beside.vars.yaml")
        for name, text in {"payments/held.yaml.j2": _HELD, **(templates or {})}.items():
            (templates_dir / name).write_text(text)
        team = templates_dir / "payments/team.yaml"
        team.write_text(f"{team.read_text()}update: [{PKI}/issue/payments]\n")
        self.servers = _ProxiedEnvironment(folder, templates_dir, lambda line: None)
        # What was read while pods ran, by kind and place.
        self.kept: dict[str, dict[str, str]] = {}
        self._exits = contextlib.ExitStack()
        # How tasks ended, by delivery and kind of end: see tests/canary.
        self.ended: dict[str, dict[str, tuple[str, Any]]] = {}

    def __enter__(self) -> FaultEnvironment:
        servers = self.servers.__enter__()
        self.core = servers.core()
        self.vault = servers.proxy
        # Workers and triggerers have tokens of their own: no certificate of the administrator's.
        kubernetes = servers.api.configuration
        self.kube = FaultProxy(kubernetes.host, tls=ssl.create_default_context(cafile=kubernetes.ssl_ca_cert))
        kubeconfig = servers.folder / "kubeconfig-of-workers"
        kubeconfig.write_text(yaml.safe_dump(through(servers.worker_kubeconfig, self.kube.address)))
        of_triggerers = servers.folder / "kubeconfig-of-triggerers"
        of_triggerers.write_text(yaml.safe_dump(through(servers.triggerer_kubeconfig, self.kube.address)))
        os.environ["K8S_VAULT_TEST_TRIGGERER"] = _connection(of_triggerers)
        os.environ["K8S_VAULT_TEST_WORKER_KUBECONFIG"] = str(kubeconfig)
        os.environ["K8S_VAULT_TEST_WORKER_LOG"] = str(servers.folder / "workers.log")
        os.environ.update(
            AIRFLOW__K8S_VAULT__TEMPLATES_DIR=str(servers.templates_dir),
            AIRFLOW__K8S_VAULT__VAULT_ADDR=self.vault.address,
            AIRFLOW__K8S_VAULT__VAULT_AUTH_MOUNT=servers.auth_mount,
            AIRFLOW_CONN_KUBERNETES_DEFAULT=_connection(kubeconfig),
        )
        self._make_issuer()
        images.pull(self.core, NAMESPACE)
        self.record = PodRecord(self.core, [NAMESPACE])
        self._known_tokens = set(self._tokens())
        return self

    def _make_issuer(self) -> None:
        """Have an engine that makes certificates on request, and a keystore in KV."""
        vault = self.vault_admin
        if vault.mount(PKI, {"type": "pki"}):
            self._exits.callback(vault.request, "DELETE", f"sys/mounts/{PKI}")
            vault.request(
                "POST", f"{PKI}/root/generate/internal", {"common_name": "example.com", "key_type": "ec"}
            )
            # Leases are what is looked at: no list of revoked certificates is signed anew for each of a thousand.
            vault.request("POST", f"{PKI}/config/crl", {"disable": True})
            role = {"allowed_domains": ["example.com"], "allow_subdomains": True, "key_type": "ec"}
            vault.request("POST", f"{PKI}/roles/payments", {**role, "generate_lease": True})
        self.store = f"store-{uuid.uuid4().hex}"
        self.servers.setup.kv("secret/payments/store", {"bytes": base64.b64encode(self.store.encode()).decode()})

    def __exit__(self, *_: object) -> None:
        self.record.stop()
        self._exits.close()
        for name in list(os.environ):
            if name.startswith("AIRFLOW__K8S_VAULT__") or name == "AIRFLOW_CONN_KUBERNETES_DEFAULT":
                del os.environ[name]
        self.kube.stop()
        self.vault.stop()
        self.servers.close()

    def operator(
        self, script: str = "true", secrets: Sequence[VaultSecret] = ALL, **arguments: Any
    ) -> WatchedOperator:
        """Return a task of a DAG of its own whose main process sees that it has its credentials."""
        with DAG(f"dag-{uuid.uuid4().hex[:8]}", schedule=None):
            return WatchedOperator(
                **{
                    "task_id": "main",
                    "pod_template": "payments/etl",
                    "vault_secrets": list(secrets),
                    "cmds": ["sh", "-c", f"{HAS_ALL} && {script}"],
                    "execution_timeout": timedelta(minutes=10),
                    "poll_interval": 0.5,
                    **arguments,
                }
            )

    def keep(self, what: str, texts: dict[str, str]) -> None:
        self.kept.setdefault(what, {}).update(texts)

    def begin(self) -> None:
        """Forget what the case before did."""
        self.vault.reset()
        self.kube.reset()
        self._known_tokens = set(self._tokens())

    def pods_of(self, operator: WatchedOperator) -> list[dict[str, Any]]:
        """Return the last known state of each pod that the task ever had."""
        dag_id = operator.dag.dag_id
        return [
            pod for pod in self.record.pods.values() if pod["metadata"].get("labels", {}).get("dag_id") == dag_id
        ]

    def started(self, operator: WatchedOperator) -> bool:
        """Whether the main process of any of the task's pods ever ran."""
        return any(
            "running" in status["state"] or status["state"].get("terminated", {}).get("startedAt")
            for pod in self.record.states
            if pod["metadata"]["labels"].get("dag_id") == operator.dag.dag_id
            for status in pod["status"].get("containerStatuses", [])
            if status["name"] == "base"
        )

    def running(self, operator: WatchedOperator) -> dict[str, Any] | None:
        """Return the task's pod whose main process runs now."""
        for pod in self.pods_of(operator):
            for status in pod["status"].get("containerStatuses", []):
                if status["name"] == "base" and "running" in status["state"]:
                    return pod
        return None

    def logins(self) -> int:
        return self.vault.count(r"(POST|PUT) /v1/auth/.*/login")

    def leases(self) -> int:
        return self.vault.count(r"GET /v1/database/creds")

    def traces(self, within_seconds: float = 10, until: str = "nothing") -> Traces:
        """Return what is left; waits until it is no more than `until` says, or until the time is over."""
        begin = time.monotonic()
        while True:
            pods = self.core.list_namespaced_pod(NAMESPACE).items
            secrets = self.core.list_namespaced_secret(NAMESPACE).items
            tokens = [token for token in self._tokens() if token not in self._known_tokens]
            result = Traces(
                [pod.metadata.name for pod in pods],
                [secret.metadata.name for secret in secrets if secret.metadata.name.startswith("vault-")],
                tokens,
                self.servers.roles_left(),
                self._leased_certificates(),
                time.monotonic() - begin,
            )
            if str(result) == until or result.waited_seconds > within_seconds:
                return result
            time.sleep(0.1)

    def _leased_certificates(self) -> list[str]:
        try:
            return list(self.vault_admin.request("LIST", f"sys/leases/lookup/{ISSUED.path}")["data"]["keys"])
        except VaultError:
            return []  # 404: there is none; or it does not answer, which _tokens tells

    def clean(self) -> None:
        """Take away what a case left on purpose."""
        for pod in self.core.list_namespaced_pod(NAMESPACE).items:
            self.core.delete_namespaced_pod(pod.metadata.name, NAMESPACE, grace_period_seconds=0)
        for accessor in set(self._tokens()) - self._known_tokens:
            self.vault_admin.request("POST", "auth/token/revoke-accessor", {"accessor": accessor})

    def login_ttl(self, seconds: int) -> None:
        """Set how long a login of the team lives that nobody renews."""
        path = f"auth/{self.servers.auth_mount}/role/payments"
        role = self.vault_admin.request("GET", path)["data"]
        self.vault_admin.request("POST", path, {**role, "token_ttl": seconds})

    def run_in(self, pod: str, container: str, script: str) -> str:
        """Return what a shell in that container prints."""
        # A client of its own: while it runs a command it cannot do anything else.
        core = client.CoreV1Api(config.new_client_from_config(str(self.servers.kubeconfig)))
        message = stream.stream(
            core.connect_get_namespaced_pod_exec,
            pod,
            NAMESPACE,
            container=container,
            command=["sh", "-c", script],
            stdout=True,
            stderr=False,
        )
        return str(message)

    @contextlib.contextmanager
    def kubelet(self, **settings: Any) -> Iterator[None]:
        """Have our own devcluster's kubelet otherwise for a while; a real one is as it is."""
        usual = {"removalSeconds": 0.3, "killsGroups": True}
        if not self.on_devcluster:
            yield
            return
        self.mishap("kubelet", **settings)
        try:
            yield
        finally:
            self.mishap("kubelet", **usual)

    @property
    def on_devcluster(self) -> bool:
        return "KUBECONFIG" not in os.environ

    def mishap(self, what: str, **body: Any) -> None:
        """Let something happen to our own devcluster that Kubernetes has no request for."""
        headers = {"Content-Type": "application/json"}
        self.servers.api.call_api(
            f"/devcluster/{what}",
            "POST",
            header_params=headers,
            body=body,
            response_types_map={},
            auth_settings=["BearerToken"],
        )

    def _token_keys(self) -> list[str]:
        """Return the public keys of the cluster's service-account tokens, as PEM."""
        result = client.OpenidApi(self.servers.api).get_service_account_issuer_open_id_keyset(
            _preload_content=False
        )
        keys = [RSAAlgorithm.from_jwk(key) for key in json.loads(result.data)["keys"]]
        return [key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode() for key in keys]

    def jwt_mount(self) -> str:
        """Return an auth mount that checks pods' tokens itself, by the cluster's keys; made when first needed."""
        mount, vault = f"jwt-{self.servers.auth_mount}", self.vault_admin
        if vault.mount(mount, {"type": "jwt"}, auth=True):
            self._exits.callback(vault.request, "DELETE", f"sys/auth/{mount}")
            vault.request("POST", f"auth/{mount}/config", {"jwt_validation_pubkeys": self._token_keys()})
        return mount

    @contextlib.contextmanager
    def configured(self, **settings: str) -> Iterator[None]:
        """Let Airflow have other settings of section [k8s_vault], and compile anew: pods are held to them."""
        names = {f"AIRFLOW__K8S_VAULT__{name.upper()}": value for name, value in settings.items()}
        setup, before = self.servers.setup, dict(self.servers.setup.settings)
        with mock.patch.dict(os.environ, names):
            setup.settings |= settings
            setup.teams(self.servers.templates_dir)
            try:
                yield
            finally:
                setup.settings = before
        setup.teams(self.servers.templates_dir)

    def seal(self) -> None:
        """Seal the Vault, which has to be our own."""
        assert self.servers.openbao is not None
        self.vault_admin.request("PUT", "sys/seal")

    def unseal(self) -> None:
        assert self.servers.openbao is not None
        self.vault_admin.request("PUT", "sys/unseal", {"key": self.servers.openbao.unseal_key})
        wait_until(lambda: "Vault does not answer" not in self._tokens())

    @property
    def vault_admin(self) -> VaultAdmin:
        return self.servers.vault

    def _tokens(self) -> list[str]:
        """Return the accessors of all live tokens."""
        try:
            return list(self.vault_admin.request("LIST", "auth/token/accessors")["data"]["keys"])
        except VaultError:
            return ["Vault does not answer"]


class _ProxiedEnvironment(Environment):
    """Pods reach Vault through a proxy, and the administrator passes the policies: the tests look into pods."""

    cluster_class = MishapCluster

    def _before_teams(self) -> None:
        ca = self.vault.cacert and ssl.create_default_context(cafile=self.vault.cacert)
        self.proxy = FaultProxy(self.vault.address, self.host, ca or None)
        self.settings = {"vault_addr": self.proxy.address, "vault_cacert": ""}
        walls.prepare(self.templates_dir, self.api)


def _connection(kubeconfig: Path) -> str:
    return json.dumps({"conn_type": "kubernetes", "extra": {"kube_config_path": str(kubeconfig)}})


def proxy_of(api: client.Configuration) -> FaultProxy:
    """Return a proxy before the API server, which trusts its CA and shows the kubeconfig's client certificate."""
    tls = ssl.create_default_context(cafile=api.ssl_ca_cert)
    if api.cert_file:
        tls.load_cert_chain(api.cert_file, api.key_file)
    return FaultProxy(api.host, tls=tls)


def through(kubeconfig: Path, address: str) -> dict[str, Any]:
    """Return the kubeconfig with another address for its clusters; the proxy there has the client certificate."""
    content: dict[str, Any] = yaml.safe_load(kubeconfig.read_text())
    for cluster in content["clusters"]:
        cluster["cluster"] = {"server": address}
    for user in content["users"]:
        user["user"] = {name: value for name, value in user["user"].items() if not name.startswith("client-")}
    return content
