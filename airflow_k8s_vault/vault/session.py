"""One login for one pod, made by somebody else with the pod's own service-account token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_k8s_vault import vault_path
from airflow_k8s_vault.errors import VaultRefused
from airflow_k8s_vault.secret_value import SecretValue
from airflow_k8s_vault.vault.connection import Connection
from airflow_k8s_vault.vault.deadline import Deadline
from airflow_k8s_vault.vault.rejected import Rejected
from airflow_k8s_vault.vault.settings import Settings

if TYPE_CHECKING:
    from airflow_k8s_vault.vault.requesting import Requests

# What a token is asked to live for where the task has no limit: Vault cuts it to the role's maximum.
LONGEST_SECONDS = 10 * 365 * 24 * 3600


@dataclass(frozen=True)
class ReadResult:
    """What Vault answered to one read. lease_seconds: 0 where it is no lease."""

    data: SecretValue[dict[str, Any]]
    lease_id: str = ""
    lease_seconds: int = 0
    renewable: bool = False


class Session:
    """One token's life: `login`, `live`, `read`, `revoke`. Every call ends within settings.deadline_seconds.

    Each raises VaultRefused where Vault says no, and VaultUnavailable where it does not answer. A login, and a
    read that makes a credential, are sent once where their answer is lost: see Requests.
    """

    def __init__(self, settings: Settings, token: SecretValue[str] | None = None) -> None:
        self.settings, self.token = settings, token
        self._connection = Connection(settings)
        # What Vault said beside "not found" of what was read last and is not there.
        self.absence = ""

    def login(self, jwt: SecretValue[str]) -> SecretValue[str]:
        """Log in to the settings' jwt_role with that token; the kubernetes and jwt methods take the same."""
        body = {"role": self.settings.jwt_role, "jwt": jwt.reveal()}
        try:
            answer = self._requests().post(f"/v1/auth/{self.settings.auth_mount_point}/login", body, once=True)
            refused = "" if answer.get("auth") else "the answer holds no token"
        except Rejected as rejected:
            answer, refused = {}, str(rejected)
        finally:
            del body
        if refused:
            # Outside of `except`: the frames of the request hold the credential.
            raise VaultRefused(refused)
        self.token = SecretValue(str(answer["auth"]["client_token"]))
        return self.token

    def live(self, seconds: int) -> int:
        """Let the token live for that long from now, shorter or longer than it would; return what it got."""
        answer = self._answer(lambda: self._requests().post("/v1/auth/token/renew-self", {"increment": seconds}))
        return int(answer["auth"].get("lease_duration") or 0)

    def read(self, path: str, once: bool, version: int | None = None) -> ReadResult | None:
        """GET a path of the API below /v1/; None where there is nothing.

        once: the read makes a credential. version: of a secret in KV 2, None for the newest.
        """
        query = f"?version={version}" if version else ""
        return self._read_result(lambda: self._requests().get(f"/v1/{vault_path.encoded(path)}{query}", once=once))

    def write(self, path: str, parameters: dict[str, str]) -> ReadResult | None:
        """POST to a path of the API below /v1/, once, for the credential that Vault makes; None for none."""
        return self._read_result(
            lambda: self._requests().post(f"/v1/{vault_path.encoded(path)}", parameters, once=True)
        )

    def mount_of(self, path: str) -> str:
        """Return the mount that a path is in, with its slash at the end; "" where Vault does not say."""
        return str(self._about_mount(path).get("path") or "")

    def engine_of(self, path: str) -> str:
        """Return the type of the engine that a path is in ("kv", "pki"); "" where Vault does not say."""
        return str(self._about_mount(path).get("type") or "")

    def _about_mount(self, path: str) -> dict[str, Any]:
        try:
            answer = self._requests().get(f"/v1/sys/internal/ui/mounts/{vault_path.encoded(path)}")
        except Rejected:
            return {}
        return answer.get("data") or {}

    def _read_result(self, ask: Callable[[], dict[str, Any]]) -> ReadResult | None:
        try:
            answer = ask()
        except Rejected as rejected:
            if rejected.status == 404:
                self.absence = rejected.hint
                return None
            message = str(rejected)
        else:
            return ReadResult(
                SecretValue(answer.get("data") or {}),
                str(answer.get("lease_id") or ""),
                int(answer.get("lease_duration") or 0),
                bool(answer.get("renewable")),
            )
        raise VaultRefused(message)

    def list(self, path: str) -> list[str] | None:
        """LIST a path of the API below /v1/; None where there is nothing."""
        message = ""
        try:
            answer = self._requests().get(f"/v1/{vault_path.encoded(path)}?list=true")
            return [str(key) for key in (answer.get("data") or {}).get("keys") or ()]
        except Rejected as rejected:
            if rejected.status == 404:
                self.absence = rejected.hint
                return None
            message = str(rejected)
        raise VaultRefused(message)

    def extend(self, lease_id: str, seconds: int) -> int:
        """Let a lease live for that long from now; return what it got, 0 where the role may not extend it."""
        body = {"lease_id": lease_id, "increment": seconds}
        try:
            return int(self._requests().post("/v1/sys/leases/renew", body).get("lease_duration") or 0)
        except Rejected:
            return 0

    def revoke(self) -> None:
        """End the token, and with it every lease; nothing where it has ended already."""
        if self.token is None:
            return
        try:
            self._requests().post("/v1/auth/token/revoke-self")
        except Rejected as rejected:
            # 403: the token is not there any more, which is what was wanted.
            if rejected.status != 403:
                raise VaultRefused(str(rejected)) from None

    def _answer(self, work: Any) -> dict[str, Any]:
        try:
            return dict(work())
        except Rejected as rejected:
            message = str(rejected)
        raise VaultRefused(message)

    def _requests(self) -> Requests:
        return self._connection.requests(Deadline(self.settings.deadline_seconds), self.token)
