"""What a DAG author asks of Vault: a path, and where its keys go."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from typing import Any, final

ENGINES = ("kv2", "kv1", "dynamic")
# What `connection` and `variable` make: the path is then an id of Airflow's, which lookups.located resolves.
# The variable is the one in which Airflow looks: airflow.secrets.environment_variables.
LOOKUPS = {"connection": "AIRFLOW_CONN_", "variable": "AIRFLOW_VAR_"}

# These strings end up in the agent's configuration, which is a template language of its own: what is not
# plainly harmless there is refused here. Vault itself allows more in paths; nobody has missed it yet.
_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]*(/[A-Za-z0-9_][A-Za-z0-9_.@-]*)+")
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}")
# https://kubernetes.io/docs/concepts/configuration/secret/ and the fileKeyRef parser agree on C identifiers.
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,252}")
# A container's variable may hold - and . as well, and connections are often named so.
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}")
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}")
# DNS-1123 label: what Kubernetes takes as a container's name.
_CONTAINER = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@final
@dataclass(frozen=True)
class VaultSecret:
    """One secret of Vault, and the variables and the file that a container gets from it.

    path: what `vault kv get` or `vault read` takes: mount first, no `data/` ("secret/payments/warehouse").
    engine: "kv2" (default), "kv1", or "dynamic" for any path that makes a new credential at each read.
    env: environment variable to key of the secret.
    file: a name under /vault/secrets/; holds the value of `key`, or the whole secret as JSON where key is None.
    container: the container that gets it; None is the task's own (the base container).

    Building one never raises: the operator reports the mistakes of all its secrets at once (see `mistakes`).
    Airflow's own connections and variables come by `VaultSecret.connection` and `VaultSecret.variable`.

    >>> VaultSecret("secret/payments/warehouse", env={"PGPASSWORD": "password"}).mistakes()
    []
    >>> VaultSecret("warehouse", env={"PG-PASSWORD": "password"}).mistakes()
    ["path 'warehouse' is no Vault path: mount first, then the secret ('secret/payments/warehouse'); \
letters, digits and _ . @ - between single slashes.", "'PG-PASSWORD' is no name of an environment variable \
(letters, digits, _; no digit first)."]
    """

    path: str
    engine: str = field(default="kv2", kw_only=True)
    env: dict[str, str] | None = field(default=None, kw_only=True, hash=False)
    file: str | None = field(default=None, kw_only=True)
    key: str | None = field(default=None, kw_only=True)
    container: str | None = field(default=None, kw_only=True)
    # Set by `located` alone: what the secret has to be, and where else it is looked for, in order.
    kind: str = field(default="", init=False, repr=False)
    elsewhere: tuple[str, ...] = field(default=(), init=False, repr=False)

    @classmethod
    def connection(cls, conn_id: str, *, container: str | None = None) -> VaultSecret:
        """Give the pod the connection that the secrets backend has under that id, as AIRFLOW_CONN_<ID>.

        conn_id: letters, digits, _ . -; a URI or JSON arrives, whichever Vault holds, for Airflow's Connection to
        read. The pod's own login reads it, not the worker. docs/secrets-backend.md says where it is looked for.

        >>> VaultSecret.connection("warehouse").env
        {'AIRFLOW_CONN_WAREHOUSE': 'connection'}
        """
        return cls(conn_id, engine="connection", env=_looked_up("connection", conn_id), container=container)

    @classmethod
    def variable(cls, key: str, *, container: str | None = None) -> VaultSecret:
        """Give the pod the variable that the secrets backend has under that key, as AIRFLOW_VAR_<KEY>.

        >>> VaultSecret.variable("region").env
        {'AIRFLOW_VAR_REGION': 'variable'}
        """
        return cls(key, engine="variable", env=_looked_up("variable", key), container=container)

    def located(self, paths: tuple[str, ...], engine: str) -> VaultSecret:
        """Return the connection or variable as a secret of these paths, of which the first that exists counts."""
        found = VaultSecret(paths[0], engine=engine, env=self.env, container=self.container)
        object.__setattr__(found, "kind", self.engine)
        object.__setattr__(found, "elsewhere", paths[1:])
        return found

    def serialize(self) -> dict[str, Any]:
        """Return the names and paths that were given, as plain data: what Airflow writes of it into its database.

        >>> VaultSecret("secret/payments/partner", file="partner.key", key="api_key").serialize()
        {'path': 'secret/payments/partner', 'engine': 'kv2', 'file': 'partner.key', 'key': 'api_key'}
        """
        given = {item.name: getattr(self, item.name) for item in fields(self) if item.init}
        return {name: value for name, value in given.items() if value is not None}

    def __init_subclass__(cls) -> None:
        raise TypeError(
            "VaultSecret has no subclasses: one could tell the checks and the delivery different things."
        )

    def __post_init__(self) -> None:
        # What is checked has to be what is delivered: a copy, in which text is exactly str and nothing of its own.
        for item in fields(self):
            object.__setattr__(self, item.name, _plain(getattr(self, item.name)))

    def mistakes(self) -> list[str]:
        """Return one sentence per mistake; empty where there is none."""
        found = []
        if isinstance(self.engine, str) and self.engine in LOOKUPS:
            return self._mistakes_of_lookup()
        if not _matches(_PATH, self.path):
            found.append(
                f"path {self.path!r} is no Vault path: mount first, then the secret "
                "('secret/payments/warehouse'); letters, digits and _ . @ - between single slashes."
            )
        elif "/data/" in self.path and self.engine == "kv2":
            found.append(f"path {self.path!r} holds the API's data/: write it as `vault kv get` takes it.")
        if self.engine not in ENGINES:
            found.append(f"engine {self.engine!r} is none of {', '.join(ENGINES)}.")
        mapping: object = self.env
        if mapping is not None and not isinstance(mapping, dict):
            found.append(
                f"env of {self.path!r} is {self.env!r}; it maps variable to key: {{'PGPASSWORD': 'password'}}."
            )
        elif self.env == {}:
            found.append(f"env of {self.path!r} maps nothing: give variable to key, or leave it out.")
        if self.env is None and self.file is None:
            found.append(f"{self.path!r} goes nowhere: give env, file, or both.")
        if self.key is not None and self.file is None:
            found.append(f"key {self.key!r} of {self.path!r} needs file: env names its keys itself.")
        if isinstance(self.env, dict):
            for variable, key in self.env.items():
                if not _matches(_VARIABLE, variable) and not self.kind:
                    found.append(
                        f"{variable!r} is no name of an environment variable (letters, digits, _; no digit first)."
                    )
                if not _matches(_KEY, key):
                    found.append(f"{key!r} is no key of a secret (letters, digits, _ . -).")
        if self.file is not None and not _matches(_FILE, self.file):
            found.append(
                f"{self.file!r} is no file name (letters, digits, _ . -): it will lie in /vault/secrets/."
            )
        if self.key is not None and not _matches(_KEY, self.key):
            found.append(f"{self.key!r} is no key of a secret (letters, digits, _ . -).")
        if self.container is not None and not _matches(_CONTAINER, self.container):
            found.append(f"{self.container!r} is no name of a container (lower case, digits, -).")
        return found

    def _mistakes_of_lookup(self) -> list[str]:
        found = []
        if not _matches(_ID, self.path):
            found.append(
                f"{self.path!r} is no id that a {self.engine} can have in a pod (letters, digits, _ . -)."
            )
        elif self.env != _looked_up(self.engine, self.path) or self.file is not None or self.key is not None:
            found.append(f"{self.engine} {self.path!r}: write VaultSecret.{self.engine}({self.path!r}).")
        if self.container is not None and not _matches(_CONTAINER, self.container):
            found.append(f"{self.container!r} is no name of a container (lower case, digits, -).")
        return found


def _looked_up(kind: str, name: object) -> dict[str, str]:
    """Return the variable in which Airflow looks for it, as env of a secret."""
    return {f"{LOOKUPS[kind]}{name.upper()}": kind} if isinstance(name, str) else {}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    return str.__str__(value) if isinstance(value, str) else value


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
