"""What Vault says no to, before it is known what that means."""

from __future__ import annotations

from airflow_k8s_vault.errors import VaultError


class Rejected(VaultError):
    """Vault answered a request with a 4xx; who sent it knows what that means."""

    def __init__(self, status: int, message: str, hint: str = "") -> None:
        super().__init__(f"{status} {message}".strip())
        self.status = status
        # What Vault says beside "not found": that there is no such mount, or that it is of another version.
        self.hint = hint
