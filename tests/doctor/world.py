"""What tests of `doctor` change: settings, objects of the cluster, and Vault."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from k8s_vault_devcluster.demo.environment import Environment
from kubernetes import client

from airflow_k8s_vault import config
from airflow_k8s_vault.commands import team_sources

NAMESPACE, ACCOUNT = "team-payments", "airflow-payments"
_RBAC = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}"


class World:
    def __init__(self, servers: Environment, dags: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.servers, self.dags, self._monkeypatch = servers, dags, monkeypatch
        self.role = f"auth/{servers.auth_mount}/role/payments"
        self.config = f"auth/{servers.auth_mount}/config"

    def setting(self, name: str, value: str) -> None:
        self._monkeypatch.setenv(f"AIRFLOW__K8S_VAULT__{name.upper()}", value)

    def environment(self, name: str, value: str) -> None:
        self._monkeypatch.setenv(name, value)

    def connection(self, kubeconfig: Path) -> None:
        """Let Airflow's Kubernetes connection be this one."""
        connection = {"conn_type": "kubernetes", "extra": {"kube_config_path": str(kubeconfig)}}
        self.environment("AIRFLOW_CONN_KUBERNETES_DEFAULT", json.dumps(connection))

    def vault(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        return self.servers.vault.request(method, path, body)

    def make(self, obj: dict[str, Any]) -> None:
        """Create the object as the administrator; where it is there, it is left as it is."""
        version, kind = obj["apiVersion"], obj["kind"]
        base = f"/apis/{version}" if "/" in version else f"/api/{version}"
        namespace = obj["metadata"].get("namespace")
        inside = f"/namespaces/{namespace}" if namespace else ""
        try:
            self.call("POST", f"{base}{inside}/{kind.lower()}s", obj)
        except client.ApiException as error:
            if error.status != 409:
                raise

    def call(self, method: str, path: str, body: Any = None) -> None:
        self.servers.api.call_api(
            path,
            method,
            body=body,
            auth_settings=["BearerToken"],
            header_params={"Content-Type": "application/json"},
            _preload_content=False,
        )

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let the cluster's admission policies be compiled from the settings as they are now."""
        config.reload()
        self.servers.setup.apply(team_sources(self.servers.templates_dir, ["payments"]))
        yield
        self.servers.setup.apply(self.servers.sources)

    def take_verb(self, resource: str, verb: str) -> None:
        """Let the worker's role be without that one."""
        role = client.RbacAuthorizationV1Api(self.servers.api).read_namespaced_role("airflow-worker", NAMESPACE)
        for rule in role.rules:
            if rule.resources == [resource]:
                rule.verbs = [given for given in rule.verbs if given != verb]
        self.call("PUT", f"{_RBAC}/roles/airflow-worker", self.servers.api.sanitize_for_serialization(role))

    def grant(self, resource: str, verbs: list[str]) -> str:
        """Let the worker do more in the team's namespace; return the path of the binding, to delete it."""
        kept = client.RbacAuthorizationV1Api(self.servers.api)
        subjects = kept.read_namespaced_role_binding("airflow-worker", NAMESPACE).subjects
        rules = [{"apiGroups": [""], "resources": [resource], "verbs": verbs}]
        head = {"metadata": {"name": "more", "namespace": NAMESPACE}}
        for kind, content in (
            ("Role", {"rules": rules}),
            (
                "RoleBinding",
                {
                    "subjects": self.servers.api.sanitize_for_serialization(subjects),
                    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "more"},
                },
            ),
        ):
            self.make({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, **head, **content})
        return f"{_RBAC}/rolebindings/more"

    def give_back_rights(self) -> None:
        self.call("DELETE", f"{_RBAC}/roles/airflow-worker")
