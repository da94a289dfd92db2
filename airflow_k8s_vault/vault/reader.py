"""What an administrator may read of Vault: mounts, roles, health. For `doctor`; it writes nothing."""

from __future__ import annotations

from typing import Any, NamedTuple

from airflow_k8s_vault.secret_value import SecretValue
from airflow_k8s_vault.vault.deadline import Deadline
from airflow_k8s_vault.vault.rejected import Rejected
from airflow_k8s_vault.vault.requesting import Requests
from airflow_k8s_vault.vault.settings import Settings
from airflow_k8s_vault.vault.transport import Transport


class Reply(NamedTuple):
    """Vault's answer. status: 200, or that of a refusal, whose words are in `message`."""

    status: int
    body: dict[str, Any]
    message: str = ""


class VaultReader:
    """Requests with one token, or with none. Each raises VaultUnavailable where Vault does not answer, and
    VaultRefused where its certificate is not trusted."""

    def __init__(self, settings: Settings, token: SecretValue[str] | None = None) -> None:
        self.settings, self.token = settings, token
        self._transport = Transport(settings)

    def get(self, path: str) -> Reply:
        """GET /v1/{path}."""
        return self._reply("get", path)

    def post(self, path: str, body: dict[str, Any] | None = None) -> Reply:
        """POST /v1/{path}: for the questions that Vault takes so, a login, and the end of one."""
        return self._reply("post", path, body)

    def _reply(self, method: str, path: str, *body: Any) -> Reply:
        requests = Requests(self.settings, self._transport, Deadline(self.settings.deadline_seconds), self.token)
        try:
            return Reply(200, getattr(requests, method)(f"/v1/{path}", *body))
        except Rejected as rejected:
            return Reply(rejected.status, {}, str(rejected))
