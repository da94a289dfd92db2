"""What a DAG author asks of Vault: a path, and where its keys go."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self, final

from airflow_k8s_vault import vault_env, vault_parameters, vault_path
from airflow_k8s_vault.vault_file import VaultFile, name_errors, plain_copy
from airflow_k8s_vault.vault_path import Location

ENGINES = ("kv2", "kv1", "dynamic")
# What `connection` and `variable` make: the path is an id of Airflow's, of which lookups.resolve makes paths.
# The variable is the one in which Airflow looks: airflow.secrets.environment_variables.
LOOKUPS = {"connection": "AIRFLOW_CONN_", "variable": "AIRFLOW_VAR_"}

# Ids of Airflow's end up in the name of a variable. A connection's: Airflow's sanitize_conn_id, in ASCII.
_IDS = {
    "connection": re.compile(r"[A-Za-z0-9_#!()./:\\-]{1,250}"),
    "variable": re.compile(r"[!-<>-~]([ -<>-~]{0,248}[!-<>-~])?"),
}
# DNS-1123 label: what Kubernetes takes as a container's name.
_CONTAINER = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@final
@dataclass(frozen=True)
class VaultSecret:
    """One secret of Vault, and the variables and files that a container gets from it.

    path: what `vault kv get`, `vault read` or `vault write` takes: mount first ("secret/payments/warehouse").
    engine: "kv2" (default), "kv1", or "dynamic" for any path that makes a new credential for the pod.
    parameters: what Vault is told when it makes one on request (`vault write`); only with "dynamic".
    version: of a secret in KV 2; None: the newest.
    env: environment variable to key, or a list of keys whose variables are called as they are, in upper case and
    with `prefix` before them.
    file: a name under `directory`; holds the value of `key`, or the whole secret as JSON where key is None. files:
    several, as VaultFile or as name to key. mode, directory, decode: of the files that are given by name alone.
    container: the container that gets it; None is the task's own (the base container).

    Building one never raises: the operator reports the mistakes of all its secrets at once (see `mistakes`).
    Airflow's own connections and variables come by `VaultSecret.connection` and `VaultSecret.variable`.

    >>> VaultSecret("secret/payments/warehouse", env={"PGPASSWORD": "password"}).mistakes()
    []
    >>> VaultSecret("warehouse", env={"PG=PASSWORD": "password"}).mistakes()
    ["path 'warehouse' needs a mount first, then the secret: 'secret/payments/warehouse'.", "'PG=PASSWORD' is no \
name of an environment variable: printable ASCII characters but =, and no Jinja."]
    """

    path: str
    engine: str = field(default="kv2", kw_only=True)
    parameters: dict[str, Any] | None = field(default=None, kw_only=True, hash=False)
    version: int | None = field(default=None, kw_only=True)
    env: dict[str, str] | list[str] | None = field(default=None, kw_only=True, hash=False)
    prefix: str = field(default="", kw_only=True)
    file: str | None = field(default=None, kw_only=True)
    key: str | None = field(default=None, kw_only=True)
    mode: str | None = field(default=None, kw_only=True)
    directory: str | None = field(default=None, kw_only=True)
    decode: str | None = field(default=None, kw_only=True)
    files: list[VaultFile] | dict[str, str | None] | None = field(default=None, kw_only=True, hash=False)
    container: str | None = field(default=None, kw_only=True)
    # Set by `resolved` alone: what the secret has to be, and where else it is looked for, in order.
    kind: str = field(default="", init=False, repr=False)
    elsewhere: tuple[str, ...] = field(default=(), init=False, repr=False)
    # The mounts of path and elsewhere, which are known there; none for a path that a DAG names.
    mounts: tuple[str, ...] = field(default=(), init=False, repr=False)

    @classmethod
    def connection(cls, conn_id: str, *, container: str | None = None) -> VaultSecret:
        """Give the pod the connection that the secrets backend has under that id, as AIRFLOW_CONN_<ID>.

        conn_id: as Airflow takes it, in ASCII; a URI or JSON arrives, whichever Vault holds, for Airflow's
        Connection to read. The pod's own login reads it, not the worker. docs/secrets-backend.md says where it is
        looked for.

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

    @classmethod
    def copy_of(cls, requested: object) -> Self | None:
        """Return a copy with all that a DAG may give, of what is exactly a VaultSecret; None of anything else.

        An object may say of itself that it is one (`__class__`), and say something else each time it is asked.
        """
        if type(requested) is not cls:
            return None
        given: dict[str, Any] = {name: getattr(requested, name, None) for name in _GIVEN}
        return cls(**given)

    def resolved(self, paths: tuple[str, ...], engine: str, mounts: tuple[str, ...] = ()) -> VaultSecret:
        """Return the connection or variable as a secret of these paths, of which the first that exists counts.

        mounts: of each path its mount, where they are known.
        """
        result = VaultSecret(paths[0], engine=engine, env=self.env, container=self.container)
        object.__setattr__(result, "kind", self.engine)
        object.__setattr__(result, "elsewhere", paths[1:])
        object.__setattr__(result, "mounts", mounts)
        return result

    def serialize(self) -> dict[str, Any]:
        """Return the names and paths that were given, as plain data: what Airflow writes of it into its database.

        >>> VaultSecret("secret/payments/partner", file="partner.key", key="api_key").serialize()
        {'path': 'secret/payments/partner', 'engine': 'kv2', 'file': 'partner.key', 'key': 'api_key'}
        """
        given = {item.name: getattr(self, item.name) for item in fields(self) if item.init}
        if type(self.files) is list:
            given["files"] = [asdict(file) for file in self.files if type(file) is VaultFile]
        return {name: value for name, value in given.items() if value not in (None, "")}

    @property
    def variables(self) -> dict[str, str]:
        """Environment variable to key, of a secret without mistakes."""
        return vault_env.variables(self.env, self.prefix)

    @property
    def outputs(self) -> tuple[VaultFile, ...]:
        """The files, of a secret without mistakes."""
        files: Any = self.files or []
        named = {self.file: self.key} if self.file is not None else {}
        named |= files if isinstance(files, dict) else {}
        given = {"mode": self.mode, "directory": self.directory, "decode": self.decode}
        # Empty text is no default, but a mistake.
        common: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        by_name = [VaultFile(name, key=key, **common) for name, key in named.items()]
        return (*by_name, *(files if not isinstance(files, dict) else ()))

    @property
    def targets(self) -> dict[str, str]:
        """Each variable, and the path of each file, to the key whose value it holds; for people to read."""
        files = {file.path: file.key or "all keys, as JSON" for file in self.outputs}
        return {**self.variables, **files}

    @property
    def source(self) -> tuple[Any, ...]:
        """What is the same of secrets that are one read, or one issue, of Vault's."""
        parameters = tuple(sorted(vault_parameters.texts(self.parameters or {}).items()))
        return (self.engine, self.locations, self.version, parameters)

    @property
    def locations(self) -> tuple[Location, ...]:
        """Where it is looked for, in order; all but the first are those of a connection or variable."""
        paths = (self.path, *self.elsewhere)
        return tuple(map(Location, paths, self.mounts or ("",) * len(paths)))

    def __init_subclass__(cls) -> None:
        raise TypeError(
            "VaultSecret has no subclasses: one could tell the checks and the delivery different things."
        )

    def __post_init__(self) -> None:
        # What is checked has to be what is delivered: a copy, in which text is exactly str.
        # By its own dictionary: a DAG file may make a thousand of them.
        values = vars(self)
        values.update({name: plain_copy(values[name]) for name in _GIVEN})

    def mistakes(self) -> list[str]:
        """Return one sentence per mistake; empty where there is none."""
        if type(self.engine) is str and self.engine in LOOKUPS:
            return self._lookup_errors()
        errors = self._path_errors()
        if type(self.engine) is not str or self.engine not in ENGINES:
            errors.append(f"engine {self.engine!r} is none of {', '.join(ENGINES)}.")
        errors += self._request_errors() + self._file_errors()
        errors += vault_env.errors(self.path, self.env, self.prefix, any_name=bool(self.kind))
        if self.env is None and self.file is None and self.files is None:
            errors.append(f"{self.path!r} goes nowhere: give env, file, or both.")
        return errors + self._container_errors()

    @property
    def has_sound_path(self) -> bool:
        """Whether the path, or the id of a connection or variable, is sound, and the engine is text at least."""
        if type(self.engine) is str and self.engine in LOOKUPS:
            return not self._lookup_errors()
        return type(self.engine) is str and not self._path_errors()

    def _request_errors(self) -> list[str]:
        """What is wrong with how Vault is asked: parameters and version."""
        errors = []
        if self.parameters is not None and self.engine != "dynamic":
            errors.append(
                f"parameters of {self.path!r}: KV takes none. Where Vault makes a credential on request, engine "
                "is 'dynamic'."
            )
        elif self.parameters is not None:
            errors += vault_parameters.errors(self.path, self.parameters)
        if self.version is not None and (type(self.version) is not int or self.version < 1):
            errors.append(f"version of {self.path!r} is {self.version!r}: give a whole number, 1 or more.")
        elif self.version is not None and self.engine != "kv2":
            errors.append(f"version of {self.path!r}: only KV 2 keeps versions (engine='kv2').")
        return errors

    def _file_errors(self) -> list[str]:
        files: object = self.files
        name: object = self.file
        if name is not None and type(name) is not str:
            hint = " Give files=[VaultFile(…)]." if type(name) is VaultFile else ""
            return [f"{error}{hint}" for error in name_errors(name)]
        if files is not None and (type(files) not in (dict, list) or not files):
            return [f"files of {self.path!r} are {files!r}: give a list of VaultFile, or name to key."]
        if isinstance(files, list) and (others := [item for item in files if type(item) is not VaultFile]):
            return [f"files of {self.path!r} holds a {type(others[0]).__name__}: give VaultFile(name, key=…)."]
        by_name = self.file is not None or isinstance(files, dict)
        errors = []
        if self.key is not None and self.file is None:
            errors.append(f"key {self.key!r} of {self.path!r} needs file: env names its keys itself.")
        for name in ("mode", "directory", "decode"):
            if getattr(self, name) is not None and not by_name:
                errors.append(f"{name} of {self.path!r} needs file: it says it of the file that is named there.")
        return errors + [error for file in self.outputs for error in file.errors()]

    def _container_errors(self) -> list[str]:
        if self.container is None or _matches(_CONTAINER, self.container):
            return []
        return [f"{self.container!r} is no name of a container (lower case, digits, -)."]

    def _path_errors(self) -> list[str]:
        path: object = self.path
        if type(path) is not str:
            return [f"path is {self.path!r}; it is text: 'secret/payments/warehouse'."]
        messages = [f"path {self.path!r} {error}." for error in vault_path.errors(self.path)]
        mount, folder, *rest = [*self.path.split("/"), "", ""]
        if not messages and folder == "data" and self.engine == "kv2" and not self.kind and rest[0]:
            messages.append(
                f"path {self.path!r} may be the API's path of '{mount}/{'/'.join(rest).strip('/')}', or a secret "
                "in a folder 'data': write the first as `vault kv get` takes it, and rename the second's folder."
            )
        return messages

    def _lookup_errors(self) -> list[str]:
        errors = []
        if not self._is_id():
            takes = {"connection": "letters, digits, _ # ! ( ) - . : / \\", "variable": "printable ASCII but ="}
            errors.append(
                f"{self.path!r} is no id that a {self.engine} can have in a pod ({takes[self.engine]}; no Jinja)."
            )
        elif not self._is_as_looked_up():
            errors.append(f"{self.engine} {self.path!r}: write VaultSecret.{self.engine}({self.path!r}).")
        return errors + self._container_errors()

    def _is_id(self) -> bool:
        path: object = self.path
        if type(path) is not str or vault_path.is_templated(path) or {".", ".."} & set(path.split("/")):
            return False
        return _matches(_IDS[self.engine], path)

    def _is_as_looked_up(self) -> bool:
        # By text that is exactly str: what only claims to be equal is not.
        env = self.env
        exact = type(env) is dict and all(type(text) is str for item in env.items() for text in item)
        more = ("parameters", "version", "prefix", "file", "key", "mode", "directory", "decode", "files")
        plain = all(getattr(self, name) in (None, "") for name in more)
        return exact and plain and env == _looked_up(self.engine, self.path)


_GIVEN = tuple(item.name for item in fields(VaultSecret) if item.init)


def _looked_up(kind: str, name: object) -> dict[str, str]:
    """Return the variable in which Airflow looks for it, as env of a secret."""
    return {f"{LOOKUPS[kind]}{name.upper()}": kind} if isinstance(name, str) else {}


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return type(value) is str and pattern.fullmatch(value) is not None
