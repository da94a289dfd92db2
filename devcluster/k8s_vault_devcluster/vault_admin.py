"""The few calls of Vault's HTTP API that setting it up takes, made with an administrator's token."""

from __future__ import annotations

import json
import os
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any

from airflow_k8s_vault.errors import VaultError


@dataclass(frozen=True)
class VaultAdmin:
    """Vault or OpenBao at `address` (scheme, host, port), with a token that may change mounts and policies."""

    address: str
    token: str = field(repr=False)
    cacert: str | None = None

    @classmethod
    def from_environment(cls) -> VaultAdmin | None:
        """Return what VAULT_ADDR, VAULT_TOKEN and VAULT_CACERT name, or None where they are not set."""
        address, token = os.environ.get("VAULT_ADDR"), os.environ.get("VAULT_TOKEN")
        return cls(address.rstrip("/"), token, os.environ.get("VAULT_CACERT")) if address and token else None

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send one request to /v1/{path} and return its JSON; {} for an empty answer. Raises VaultError."""
        request = urllib.request.Request(  # noqa: S310 - the address is the administrator's own
            f"{self.address}/v1/{path}",
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"X-Vault-Token": self.token},
        )
        tls = ssl.create_default_context(cafile=self.cacert) if self.address.startswith("https") else None
        try:
            with urllib.request.urlopen(request, timeout=10, context=tls) as response:  # noqa: S310
                answer = response.read()
        except urllib.error.HTTPError as refusal:
            message = refusal.read().decode(errors="replace")[:500]
            raise VaultError(f"{method} {path} at {self.address}: {refusal.code} {message}") from refusal
        except OSError as unreachable:
            raise VaultError(f"Vault at {self.address} does not answer: {unreachable}") from unreachable
        return dict(json.loads(answer)) if answer else {}

    def mount(self, path: str, body: dict[str, Any], *, auth: bool = False) -> bool:
        """Enable a secrets engine (or an auth method) at `path`; False where something is mounted there."""
        kind = "auth" if auth else "mounts"
        if f"{path}/" in self.request("GET", f"sys/{kind}")["data"]:
            return False
        self.request("POST", f"sys/{kind}/{path}", body)
        return True
