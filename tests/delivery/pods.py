"""Real pods that get secrets by either delivery: devcluster's, or those of the cluster in KUBECONFIG."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from k8s_vault_devcluster.demo.environment import Environment
from kubernetes import client

from airflow_k8s_vault import VaultSecret, teams, templates
from airflow_k8s_vault.delivery import REQUEST_ANNOTATION, agent, failure, secret
from airflow_k8s_vault.delivery.login import VaultLogin
from airflow_k8s_vault.errors import K8sVaultError
from airflow_k8s_vault.handover import Handover

NAMESPACE = "team-payments"
# Long enough for a real cluster to pull an image.
_SECONDS = 120


@dataclass(frozen=True)
class Run:
    """How a pod ended: its phase, the base container's log, and why its secrets did not arrive, "" if they did."""

    phase: str
    log: str
    problem: str
    name: str


class Pods:
    """Starts pods of team payments; each is deleted when it has ended."""

    def __init__(self, servers: Environment) -> None:
        self.servers, self.core = servers, servers.core()
        team = teams.load("payments", servers.templates_dir)
        self.login = VaultLogin(servers.vault.address, team.vault_role, auth_mount=servers.auth_mount)

    def run(self, delivery: str, requested: Sequence[VaultSecret], command: Sequence[str], **more: Any) -> Run:
        """Run one pod to its end, as `start` takes it. Raises what the delivery refuses before the pod is made."""
        pod = self.start(delivery, requested, command, **more)
        try:
            return self.ended(pod)
        finally:
            self.delete(pod)

    def start(
        self,
        delivery: str,
        requested: Sequence[VaultSecret],
        command: Sequence[str],
        template: str = "payments/python",
        limit_seconds: int | None = None,
    ) -> Any:
        manifest = templates.find(template, self.servers.templates_dir).render({})
        manifest["metadata"] |= {"name": f"d-{secrets.token_hex(5)}", "namespace": NAMESPACE}
        manifest["metadata"]["annotations"] = {REQUEST_ANNOTATION: secrets.token_hex(5)}
        manifest["spec"]["containers"][0]["command"] = list(command)
        if limit_seconds:
            manifest["spec"]["activeDeadlineSeconds"] = limit_seconds
        if delivery == "agent":
            return self.core.create_namespaced_pod(NAMESPACE, agent.attach(manifest, requested, self.login))
        pod = self.core.create_namespaced_pod(NAMESPACE, secret.attach(manifest, requested))
        try:
            Handover(self.core, self.login, requested, lifetime_seconds=limit_seconds or 600).deliver(pod)
        except K8sVaultError as refused:
            return Run("Failed", "", str(refused), pod.metadata.name)
        return pod

    def ended(self, pod: Any) -> Run:
        """Wait for the end of the pod, or of its delivery."""
        if isinstance(pod, Run):
            return pod
        name, deadline = pod.metadata.name, time.monotonic() + _SECONDS
        while time.monotonic() < deadline:
            result = self.core.read_namespaced_pod(name, NAMESPACE)
            problem = failure.delivery_failure(result, self.login, "base")
            if problem or result.status.phase in ("Succeeded", "Failed"):
                log = "" if problem else self.log(name)
                return Run(result.status.phase, log, str(problem or ""), name)
            time.sleep(0.05)
        raise AssertionError(f"the pod neither ended nor failed: {result.status}")

    def log(self, name: str) -> str:
        answer = self.core.read_namespaced_pod_log(name, NAMESPACE, container="base", _preload_content=False)
        return str(answer.data.decode(errors="replace"))

    def delete(self, pod: Any) -> None:
        name = pod.name if isinstance(pod, Run) else pod.metadata.name
        try:
            self.core.delete_namespaced_pod(name, NAMESPACE, grace_period_seconds=5)
        except client.ApiException as gone:
            if gone.status != 404:
                raise
