"""A short pod of the team, with the agent's image, that asks Vault for its state: what only a pod can tell."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import cached_property, partial
from secrets import token_hex
from typing import Any

from airflow_k8s_vault.compile import Source
from airflow_k8s_vault.delivery.login import VaultLogin
from airflow_k8s_vault.doctor.check import Check, Outcome
from airflow_k8s_vault.doctor.kube import Answer, Kube

LONGEST_SECONDS = 90
_POLL_SECONDS = 0.5
# The kubelet retries these for ever.
_STUCK = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CreateContainerError")
# Exit status 0: unsealed, 2: sealed, 1: not reached. https://developer.hashicorp.com/vault/docs/commands/status
_ASK = 'exec "$(command -v bao || command -v vault)" status -format=json'


def checks(kube: Kube, sources: list[Source], login: VaultLogin) -> Iterator[Check]:
    """Yield two checks of each team: whether the agent's image starts, and whether Vault is reached from there."""
    for source in sources:
        name, probe = source.team.name, Probe(kube, source, login)
        after = ("CLUSTER-REACHED", "CLUSTER-NAMESPACE", "CLUSTER-ACCOUNT")
        yield Check("POD-AGENT-IMAGE", partial(_started, probe), name, name, after)
        yield Check("POD-REACHES-VAULT", partial(_reaches, probe), name, name, (*after, "POD-AGENT-IMAGE"))


class Probe:
    """One pod, made when it is first asked for and deleted when it has ended."""

    def __init__(self, kube: Kube, source: Source, login: VaultLogin) -> None:
        self._kube, self._source, self._login = kube, source, login
        self._path = f"/api/v1/namespaces/{source.team.namespace}/pods"

    @cached_property
    def result(self) -> tuple[str, str]:
        """What became of the pod: "refused", "stuck", "slow", or its exit status; and the words of it."""
        name = f"k8s-vault-doctor-{token_hex(4)}"
        try:
            self._kube.post(self._path, self._pod(name))
        except Answer as error:
            return "refused", str(error)
        try:
            return self._followed(name)
        finally:
            self._kube.delete(f"{self._path}/{name}")

    def _followed(self, name: str) -> tuple[str, str]:
        deadline = time.monotonic() + LONGEST_SECONDS
        waiting: dict[str, Any] = {}
        while time.monotonic() < deadline:
            status = self._kube.get(f"{self._path}/{name}")["status"]
            state = (status.get("containerStatuses") or [{}])[0].get("state") or {}
            if ended := state.get("terminated"):
                return str(ended["exitCode"]), str(ended.get("message") or ended.get("reason") or "")
            waiting = state.get("waiting") or {}
            if waiting.get("reason") in _STUCK:
                return "stuck", f"{waiting['reason']}: {waiting.get('message', '')}"
            time.sleep(_POLL_SECONDS)
        return "slow", f"after {LONGEST_SECONDS} s the pod was still {waiting.get('reason') or 'waiting'}."

    def _pod(self, name: str) -> dict[str, Any]:
        login, team = self._login, self._source.team
        env = {"VAULT_ADDR": login.address, "BAO_ADDR": login.address, "VAULT_CLIENT_TIMEOUT": "10"}
        if login.cacert:
            env |= {"VAULT_CACERT_BYTES": login.cacert, "BAO_CACERT_BYTES": login.cacert}
        container = {
            "name": "doctor",
            "image": login.image,
            "command": ["/bin/sh", "-c", _ASK],
            "env": [{"name": key, "value": value} for key, value in env.items()],
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "resources": {
                "requests": {"cpu": "10m", "memory": "64Mi"},
                "limits": {"cpu": "500m", "memory": "128Mi"},
            },
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "runAsNonRoot": True,
                "runAsUser": 65532,
            },
        }
        spec = {
            "serviceAccountName": team.service_account,
            "automountServiceAccountToken": False,
            "restartPolicy": "Never",
            "activeDeadlineSeconds": LONGEST_SECONDS,
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
        }
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def _started(probe: Probe) -> Outcome:
    kind, message = probe.result
    if kind == "refused":
        return Outcome("unknown", f"the API server takes no such pod: {message}")
    if kind in ("stuck", "slow"):
        return Outcome.of([message])
    return Outcome("success")


def _reaches(probe: Probe) -> Outcome:
    kind, message = probe.result
    if kind == "refused":
        return Outcome("unknown", "see above: the API server takes no such pod.")
    # 2: it answered, and is sealed; another check tells that.
    if kind in ("0", "2"):
        return Outcome("success")
    return Outcome.of([f"from a pod of the team: {message.strip() or f'exit status {kind}'}"])
