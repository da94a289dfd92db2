"""The variables of a VaultSecret: name to key, or keys that give the names."""

from __future__ import annotations

import re
from typing import Any

from airflow_k8s_vault.vault_file import key_errors
from airflow_k8s_vault.vault_path import is_templated

# What Kubernetes takes as the name of a variable (IsRelaxedEnvVarName, since 1.32): printable ASCII but "=".
_NAME = re.compile(r"[ -<>-~]+")
# What stands in a key and cannot in a variable that is named after it.
_NO_PART_OF_A_NAME = re.compile(r"[^A-Z0-9_]")


def variables(env: dict[str, str] | list[str] | None, prefix: str) -> dict[str, str]:
    """Return variable to key, of an env without errors.

    >>> variables(["host", "pass-word"], "DB_")
    {'DB_HOST': 'host', 'DB_PASS_WORD': 'pass-word'}
    """
    if isinstance(env, dict):
        return env
    return {prefix + _NO_PART_OF_A_NAME.sub("_", key.upper()): key for key in env or ()}


def errors(path: object, env: object, prefix: object, any_name: bool) -> list[str]:
    """Return a sentence for each thing that is wrong. any_name: the names are not the DAG's."""
    if type(prefix) is not str or (prefix and not _NAME.fullmatch(prefix)):
        return [f"prefix {prefix!r} of {path!r} is no beginning of a variable's name."]
    if prefix and type(env) is not list:
        return [f"prefix of {path!r} goes with a list of keys: env=['host', 'password']."]
    if env is None:
        return []
    if type(env) is not dict and type(env) is not list:
        return [
            f"env of {path!r} is {env!r}; it maps variable to key ({{'PGPASSWORD': 'password'}}) or lists keys."
        ]
    if not env:
        return [f"env of {path!r} maps nothing: give variable to key, or leave it out."]
    keys: list[Any] = list(env.values()) if isinstance(env, dict) else env
    messages = [error for key in keys for error in key_errors(key)]
    if messages and type(env) is list:
        return messages
    return [*([] if any_name else _name_errors(path, env, prefix)), *messages]


def _name_errors(path: object, env: Any, prefix: str) -> list[str]:
    names = list(variables(env, prefix))
    errors = [
        f"{name!r} is no name of an environment variable: printable ASCII characters but =, and no Jinja."
        for name in names
        if type(name) is not str or not _NAME.fullmatch(name) or is_templated(name)
    ]
    if len(names) < len(env):
        errors.append(f"env of {path!r} names one variable twice ({', '.join(names)}): give variable to key.")
    return errors
