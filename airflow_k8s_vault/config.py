"""The settings of section [k8s_vault] in airflow.cfg: one line of data each.

The provider entry point, `airflow config list` and the docs are read from SETTINGS.

They are taken once for each process: `load` runs when Airflow loads the entry points, which is before it imports
any DAG file. What a DAG file writes into the environment afterwards, or a change of the current directory, changes
nothing. (Code of a DAG that calls into this package can still do it: see docs/security.md.)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import _lru_cache_wrapper, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from airflow_k8s_vault import image_reference
from airflow_k8s_vault.errors import ConfigError

SECTION = "k8s_vault"
DELIVERIES = ("agent", "secret")
# `default_delivery = auto`: which of them is decided in the run, by what the cluster can do.
AUTO = "auto"

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Setting:
    """One setting. `default=None` means that it has to be set before it is needed."""

    name: str
    default: str | None
    description: str
    example: str | None = None
    choices: tuple[str, ...] = ()
    starts: tuple[str, ...] = ()
    pattern: str = ""
    is_path: bool = False

    @property
    def environment_variable(self) -> str:
        return f"AIRFLOW__{SECTION.upper()}__{self.name.upper()}"


SETTINGS = (
    Setting(
        "templates_dir",
        None,
        "Folder of the pod templates: shared templates at its top, one sub-folder with a team.yaml per team.",
        "/opt/airflow/pod_templates",
        is_path=True,
    ),
    Setting(
        "vault_addr",
        None,
        "Address of Vault or OpenBao as the pods reach it (scheme, host and port).",
        "https://vault.vault.svc:8200",
        starts=("https://", "http://"),
    ),
    Setting("vault_namespace", "", "Vault namespace of the auth mount and the secrets. Empty: the root one."),
    Setting(
        "vault_cacert",
        "",
        "PEM text of the CA that signed Vault's certificate, or a path to it on the worker, from where it is "
        "copied into the pod. Empty: the CAs of the agent's image.",
        is_path=True,
    ),
    Setting(
        "vault_auth_method",
        "kubernetes",
        "How pods log in to Vault with their service-account token.",
        choices=("kubernetes", "jwt"),
    ),
    Setting("vault_auth_mount", "kubernetes", "Mount path of that auth method in Vault, without auth/."),
    Setting(
        "vault_token_audience",
        "vault",
        "Audience of the service-account token that pods log in with. The Vault role should require the same.",
    ),
    Setting(
        "vault_agent_image",
        "openbao/openbao:2.7.2",
        "Image of the sidecar that fetches the secrets: any that has sh and the bao or vault binary.",
        "mirror.example.com:5000/openbao/openbao:2.7.2",
        pattern=image_reference.PATTERN,
    ),
    Setting(
        "secrets_backend_kwargs",
        "",
        "Where VaultSecret.connection and .variable look, as JSON: mount_point, connections_path, variables_path "
        "and the like of [secrets] backend_kwargs. For workers without a secrets backend of their own. Empty: "
        "what [workers] secrets_backend, else [secrets] backend, is given.",
        '{"mount_point": "secret", "connections_path": "connections"}',
    ),
    Setting(
        "guard_team_namespaces",
        "False",
        "Whether what is no VaultPodOperator is kept out of the namespaces of teams: a DAG with a task of the "
        "Kubernetes provider that aims there fails to import, and what only its run tells fails that run.",
        choices=("True", "False"),
    ),
    Setting(
        "task_ends_with",
        "base",
        "What ends a task: its base container, whatever else of its pod still runs then; or the whole pod, where "
        "a second container that never ends keeps the task for ever.",
        choices=("base", "pod"),
    ),
    Setting(
        "default_delivery",
        "agent",
        "How secrets reach the pod where the task does not say otherwise. auto: by agent, but by secret where "
        "the task has variables and the cluster is too old to take them from the agent (before Kubernetes 1.35).",
        choices=(*DELIVERIES, AUTO),
    ),
)

_BY_NAME = {setting.name: setting for setting in SETTINGS}
_TAKEN: list[_lru_cache_wrapper[Any]] = []
_FORGET: list[Callable[[], None]] = []
# By `replaced`, and kept apart from what was taken.
_REPLACED: dict[str, str] = {}


def taken_once(read: Callable[[], _Value]) -> Callable[[], _Value]:
    """Return `read` with its first outcome kept, be it a value or an exception, until `reload`.

    For what this package reads of Airflow's other settings and of the environment.
    """

    # An exception is kept as well: else a DAG file could set what the platform has not.
    @lru_cache(maxsize=1)
    def outcome() -> tuple[_Value | None, type[Exception] | None, tuple[Any, ...]]:
        try:
            return read(), None, ()
        except Exception as error:
            return None, type(error), error.args

    def taken() -> _Value:
        value, kind, arguments = outcome()
        if kind is not None:
            raise kind(*arguments)
        return value  # type: ignore[return-value]

    _TAKEN.append(outcome)
    return taken


def on_reload(forget: Callable[[], None]) -> None:
    """Call this with `reload`: it forgets what was made of the settings."""
    _FORGET.append(forget)


def load() -> None:
    """Take all settings as they are now, unless they have been taken already; never raises."""
    for outcome in _TAKEN:
        outcome()


def reload() -> None:
    """Forget what was taken, so that the next look takes the settings anew.

    For tests, which set the environment after Airflow has been imported. Nothing else calls it.
    """
    for forget in [*(outcome.cache_clear for outcome in _TAKEN), *_FORGET]:
        forget()


@contextmanager
def replaced(name: str, value: str) -> Iterator[None]:
    """Let a setting have another value within `with`: for a command whose option says otherwise."""
    before = dict(_REPLACED)
    _REPLACED[name] = _absolute(_BY_NAME[name], value)
    try:
        yield
    finally:
        _REPLACED.clear()
        _REPLACED.update(before)


def get(name: str) -> str:
    """Return the setting's value, stripped; its default where it is not set.

    Raises ConfigError, which names the setting and its environment variable, where a setting without
    a default is not set, or where the value is none of the setting's choices, or written otherwise than it has to.
    """
    value = _REPLACED.get(name)
    return _checked(_BY_NAME[name], _values()[name] if value is None else value)


@taken_once
def multi_team() -> bool:
    """Whether Airflow's multi-team is on."""
    # Imported here, as below: the secrets backend imports this package while airflow.configuration still imports.
    from airflow.configuration import conf

    return bool(conf.getboolean("core", "multi_team", fallback=False))


@taken_once
def _values() -> Mapping[str, str]:
    from airflow.configuration import conf

    values = {
        setting.name: str(conf.get(SECTION, setting.name, fallback=setting.default) or "").strip()
        for setting in SETTINGS
    }
    return MappingProxyType({name: _absolute(_BY_NAME[name], value) for name, value in values.items()})


def _absolute(setting: Setting, value: str) -> str:
    """Return a path as it is from the directory in which Airflow was started: a DAG file may change that."""
    is_path = setting.is_path and value and "-----" not in value
    return str(Path(value).absolute()) if is_path else value


def _checked(setting: Setting, value: str) -> str:
    name = setting.name
    if not value and setting.default is None:
        raise ConfigError(
            f"[{SECTION}] {name} is not set. {setting.description}\n"
            f"  Set it in airflow.cfg, or as {setting.environment_variable} (for example {setting.example})."
        )
    if setting.choices and value not in setting.choices:
        raise ConfigError(
            f"[{SECTION}] {name} is '{value}', which is none of: {', '.join(setting.choices)}.\n"
            f"  Set it in airflow.cfg, or as {setting.environment_variable}."
        )
    if setting.pattern and not re.fullmatch(setting.pattern, value):
        raise ConfigError(
            f"[{SECTION}] {name} is '{value}'; it has to be written like {setting.example}.\n"
            f"  Set it in airflow.cfg, or as {setting.environment_variable}."
        )
    if setting.starts and not value.startswith(setting.starts):
        raise ConfigError(
            f"[{SECTION}] {name} is '{value}', which does not start with {' or '.join(setting.starts)}.\n"
            f"  Set it in airflow.cfg, or as {setting.environment_variable} (for example {setting.example})."
        )
    return value
