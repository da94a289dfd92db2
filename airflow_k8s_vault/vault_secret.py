"""What a DAG author asks of Vault: a path, and where its keys go."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from typing import Any, Self, final

from airflow_k8s_vault import vault_path
from airflow_k8s_vault.vault_path import Location

ENGINES = ("kv2", "kv1", "dynamic")
# What `connection` and `variable` make: the path is then an id of Airflow's, which lookups.located resolves.
# The variable is the one in which Airflow looks: airflow.secrets.environment_variables.
LOOKUPS = {"connection": "AIRFLOW_CONN_", "variable": "AIRFLOW_VAR_"}

# What every version of Kubernetes takes as the name of a variable (IsEnvVarName). Since 1.34 it takes more.
_VARIABLE = re.compile(r"[A-Za-z_.-][A-Za-z0-9_.-]*")
# Ids of Airflow's end up in the name of a variable.
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}")
# DNS-1123 label: what Kubernetes takes as a container's name.
_CONTAINER = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LONGEST_FILE_NAME_BYTES, _LONGEST_KEY_BYTES = 255, 4096


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
    >>> VaultSecret("warehouse", env={"PG=PASSWORD": "password"}).mistakes()
    ["path 'warehouse' needs a mount first, then the secret: 'secret/payments/warehouse'.", "'PG=PASSWORD' is no \
name of an environment variable: letters, digits, _ . -, and no digit first."]
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
    # The mounts of path and elsewhere, which are known there; none for a path that a DAG names.
    mounts: tuple[str, ...] = field(default=(), init=False, repr=False)

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

    @classmethod
    def copy_of(cls, requested: object) -> Self | None:
        """Return a copy with all that a DAG may give, of what is exactly a VaultSecret; None of anything else.

        An object may say of itself that it is one (`__class__`), and say something else each time it is asked.
        """
        if type(requested) is not cls:
            return None
        given: dict[str, Any] = {name: getattr(requested, name, None) for name in _GIVEN}
        return cls(**given)

    def located(self, paths: tuple[str, ...], engine: str, mounts: tuple[str, ...] = ()) -> VaultSecret:
        """Return the connection or variable as a secret of these paths, of which the first that exists counts.

        mounts: of each path its mount, where they are known.
        """
        found = VaultSecret(paths[0], engine=engine, env=self.env, container=self.container)
        object.__setattr__(found, "kind", self.engine)
        object.__setattr__(found, "elsewhere", paths[1:])
        object.__setattr__(found, "mounts", mounts)
        return found

    def serialize(self) -> dict[str, Any]:
        """Return the names and paths that were given, as plain data: what Airflow writes of it into its database.

        >>> VaultSecret("secret/payments/partner", file="partner.key", key="api_key").serialize()
        {'path': 'secret/payments/partner', 'engine': 'kv2', 'file': 'partner.key', 'key': 'api_key'}
        """
        given = {item.name: getattr(self, item.name) for item in fields(self) if item.init}
        return {name: value for name, value in given.items() if value is not None}

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
        values.update({name: _plain(value) for name, value in values.items()})

    def mistakes(self) -> list[str]:
        """Return one sentence per mistake; empty where there is none."""
        if type(self.engine) is str and self.engine in LOOKUPS:
            return self._lookup_errors()
        errors = self._path_errors()
        if type(self.engine) is not str or self.engine not in ENGINES:
            errors.append(f"engine {self.engine!r} is none of {', '.join(ENGINES)}.")
        errors += self._env_errors()
        if self.env is None and self.file is None:
            errors.append(f"{self.path!r} goes nowhere: give env, file, or both.")
        if self.key is not None and self.file is None:
            errors.append(f"key {self.key!r} of {self.path!r} needs file: env names its keys itself.")
        if self.file is not None:
            errors += _file_name_errors(self.file)
        if self.key is not None:
            errors += _key_errors(self.key)
        return errors + self._container_errors()

    @property
    def has_sound_path(self) -> bool:
        """Whether the path, or the id of a connection or variable, is one: whatever else is wrong."""
        if type(self.engine) is str and self.engine in LOOKUPS:
            return not self._lookup_errors()
        return not self._path_errors()

    def _env_errors(self) -> list[str]:
        mapping: object = self.env
        if mapping is None:
            return []
        if type(mapping) is not dict:
            return [f"env of {self.path!r} is {mapping!r}; it maps variable to key: {{'PGPASSWORD': 'password'}}."]
        if not mapping:
            return [f"env of {self.path!r} maps nothing: give variable to key, or leave it out."]
        errors = []
        for variable, key in mapping.items():
            if not _matches(_VARIABLE, variable) and not self.kind:
                errors.append(
                    f"{variable!r} is no name of an environment variable: letters, digits, _ . -, and no "
                    "digit first."
                )
            errors += _key_errors(key)
        return errors

    def _container_errors(self) -> list[str]:
        if self.container is None or _matches(_CONTAINER, self.container):
            return []
        return [f"{self.container!r} is no name of a container (lower case, digits, -)."]

    def _path_errors(self) -> list[str]:
        path: object = self.path
        if type(path) is not str:
            return [f"path is {self.path!r}; it is text: 'secret/payments/warehouse'."]
        found = [f"path {self.path!r} {error}." for error in vault_path.errors(self.path)]
        mount, folder, *rest = [*self.path.split("/"), "", ""]
        if not found and folder == "data" and self.engine == "kv2" and not self.kind and rest[0]:
            found.append(
                f"path {self.path!r} may be the API's path of '{mount}/{'/'.join(rest).strip('/')}', or a secret "
                "in a folder 'data': write the first as `vault kv get` takes it, and rename the second's folder."
            )
        return found

    def _lookup_errors(self) -> list[str]:
        errors = []
        if not _matches(_ID, self.path):
            errors.append(
                f"{self.path!r} is no id that a {self.engine} can have in a pod (letters, digits, _ . -)."
            )
        elif not self._is_as_looked_up():
            errors.append(f"{self.engine} {self.path!r}: write VaultSecret.{self.engine}({self.path!r}).")
        return errors + self._container_errors()

    def _is_as_looked_up(self) -> bool:
        # By text that is exactly str: what only claims to be equal is not.
        exact = type(self.env) is dict and all(type(text) is str for item in self.env.items() for text in item)
        expected = _looked_up(self.engine, self.path)
        return exact and self.env == expected and self.file is None and self.key is None


_GIVEN = tuple(item.name for item in fields(VaultSecret) if item.init)


def _looked_up(kind: str, name: object) -> dict[str, str]:
    """Return the variable in which Airflow looks for it, as env of a secret."""
    return {f"{LOOKUPS[kind]}{name.upper()}": kind} if isinstance(name, str) else {}


def _key_errors(key: object) -> list[str]:
    """What Vault takes as a key: any text. What looks like Jinja or cannot be seen is a mistake of the DAG's."""
    if type(key) is not str or not key:
        return [f"{key!r} is no key of a secret: give its name as text."]
    if vault_path.is_templated(key):
        return [f"{key!r} is no key of a secret: keys are not templated."]
    if not key.isprintable() or len(key.encode()) > _LONGEST_KEY_BYTES:
        return [f"{key!r} is no key of a secret: printable characters, {_LONGEST_KEY_BYTES} bytes at most."]
    return []


def _file_name_errors(name: object) -> list[str]:
    """A file's name as Linux takes it; two dots first are what Kubernetes keeps for its own in a volume."""
    if type(name) is str and vault_path.is_templated(name):
        return [f"{name!r} is no file name: file names are not templated."]
    if type(name) is not str or not name or "/" in name or name == "." or name.startswith(".."):
        return [
            f"{name!r} is no file name: it has no slash, and no two dots first; it will lie in /vault/secrets/."
        ]
    if not name.isprintable() or len(name.encode()) > _LONGEST_FILE_NAME_BYTES:
        return [f"{name!r} is no file name: printable characters, {_LONGEST_FILE_NAME_BYTES} bytes at most."]
    return []


def _plain(value: Any) -> Any:
    # By the type, which an object cannot lie about, and by the type's own methods.
    if type(value) is str or value is None:
        return value
    if issubclass(type(value), dict):
        return {_plain(key): _plain(item) for key, item in dict.items(value)}
    return str.__str__(value) if issubclass(type(value), str) else value


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return type(value) is str and pattern.fullmatch(value) is not None
