"""Which secrets of Vault the connections and variables of a task are: where its secrets backend would look."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from airflow_k8s_vault import config, json_text, vault_path
from airflow_k8s_vault.errors import ConfigError, SecretSpecError, did_you_mean, error_list
from airflow_k8s_vault.lookups.paths import lookup_paths
from airflow_k8s_vault.lookups.settings import LookupSettings
from airflow_k8s_vault.setting_rows import read_row
from airflow_k8s_vault.vault_path import Location
from airflow_k8s_vault.vault_secret import LOOKUPS, VaultSecret

_ROWS = {row.name: row for row in fields(LookupSettings)}
_NAMES = {"namespace", *_ROWS}
# Of [workers] first: that is whom a task asks first. Each with the option and the variables of its kwargs.
_BACKENDS = (
    ("workers", "secrets_backend", "secrets_backend_kwargs", "AIRFLOW__WORKERS__SECRETS_BACKEND_KWARG__"),
    ("secrets", "backend", "backend_kwargs", "AIRFLOW__SECRETS__BACKEND_KWARG__"),
)
_KNOWN = ("VaultSecretsBackend", "VaultBackend")


def resolve(secrets: Sequence[VaultSecret], team: str) -> list[VaultSecret]:
    """Return the secrets with each connection and variable as the KV secret that the backend would read.

    team: the team whose pod gets them; it counts with Airflow's multi-team, as in the backend. Nothing is asked of
    Vault. Raises ConfigError where the backend is none of Vault, or looks in another Vault namespace than pods log
    in to, and SecretSpecError where it looks up no such names, or in paths that no pod may have.
    """
    if not any(secret.engine in LOOKUPS for secret in secrets):
        return list(secrets)
    multi_team = config.multi_team()
    settings = _settings(team if multi_team else None)
    result, errors = [], []
    for secret in secrets:
        if secret.engine not in LOOKUPS:
            result.append(secret)
            continue
        locations, why_not = _locations(settings, secret, team if multi_team else None, multi_team)
        errors += why_not
        if locations:
            paths, mounts = zip(*locations, strict=True)
            result.append(secret.resolved(paths, f"kv{settings.kv_engine_version}", mounts))
    if errors:
        raise SecretSpecError(error_list("Airflow's own secrets cannot be delivered:", errors))
    return result


def _locations(
    settings: LookupSettings, secret: VaultSecret, team: str | None, multi_team: bool
) -> tuple[tuple[Location, ...], list[str]]:
    what = f"{secret.engine} '{secret.path}'"
    option = f"{secret.engine}s_path"
    result, why_not = lookup_paths(settings.bases(option), secret.path, team, settings.rules(multi_team))
    if not result:
        return (), [
            f"{what} {why_not or f'is not looked up by the secrets backend: see mount_point and {option}'}."
        ]
    ordered = (Location(f"{path.mount}/{path.path}", path.mount) for path in result)
    locations = tuple(dict.fromkeys(ordered))
    errors = [f"path {path!r} {error}" for path, _ in locations for error in vault_path.errors(path)]
    return ((), [f"{what}: {error}." for error in errors]) if errors else (locations, [])


def _settings(team: str | None) -> LookupSettings:
    given, source = _given()
    values: dict[str, Any] = {}
    errors: list[str] = []
    for name, row in _ROWS.items():
        if name in given:
            read_row(row, given[name], values, errors)
    if errors:
        raise ConfigError(error_list(f"{source} has mistakes:", errors))
    settings = LookupSettings(**values)
    own = (settings.team_namespace or "").replace("{team}", team) if team else ""
    own = str(own or given.get("namespace") or "").strip("/")
    pods = config.get("vault_namespace").strip("/")
    if own != pods:
        raise ConfigError(
            f"Connections and variables are in Vault namespace '{own}' ({source}), and pods log in to '{pods}' "
            "([k8s_vault] vault_namespace): a pod can read those of its own namespace only."
        )
    return settings


@config.taken_once
def _given() -> tuple[Mapping[str, Any], str]:
    """Return what the backend's arguments, as Airflow collects them, say of places, and the option they are from.

    Nothing else of them: they may hold a credential, and a traceback may show the variables of its frames.
    """
    # Imported here: airflow.configuration may still be importing when a secrets backend loads this package.
    from airflow.configuration import conf

    option = "[k8s_vault] secrets_backend_kwargs"
    if config.get("secrets_backend_kwargs"):
        given, others = _arguments(config.get("secrets_backend_kwargs"), option)
        if others:
            unknown = [f"{name!r} is none.{did_you_mean(name, _ROWS)}" for name in sorted(others)]
            raise ConfigError(error_list(f"{option} takes namespace, {', '.join(_ROWS)}:", unknown))
        return {"namespace": config.get("vault_namespace"), **given}, option
    for section, key, kwargs_key, prefix in _BACKENDS:
        backend = conf.get(section, key, fallback="")
        if not backend:
            continue
        if backend.rpartition(".")[2] not in _KNOWN:
            raise ConfigError(
                f"[{section}] {key} is {backend}, which does not read Vault: what VaultSecret.connection and "
                ".variable deliver comes from there.\n"
                "  Write VaultSecret(path, …), or say in [k8s_vault] secrets_backend_kwargs where they are."
            )
        option = f"[{section}] {kwargs_key}"
        given, _ = _arguments(conf.get(section, kwargs_key, fallback="") or "{}", option)
        single = {name.removeprefix(prefix).lower(): name for name in os.environ if name.startswith(prefix)}
        given |= {name: os.environ[variable] for name, variable in single.items() if name in _NAMES}
        return {**given, "namespace": given.get("namespace") or os.environ.get("VAULT_NAMESPACE")}, option
    raise ConfigError(
        "There is no secrets backend here, so nobody knows where connections and variables are in Vault.\n"
        "  Set [secrets] backend = airflow_k8s_vault.VaultSecretsBackend; where this worker must not have one, "
        "[k8s_vault] secrets_backend_kwargs."
    )


def _arguments(text: str, option: str) -> tuple[dict[str, Any], set[str]]:
    """Return the arguments that say where names are, and the names of the others."""
    try:
        result = json_text.read(text)
    except ValueError:
        result = None
    is_mapping = isinstance(result, dict)
    given = {name: result[name] for name in _NAMES & result.keys()} if is_mapping else {}
    others = set(result) - _NAMES if is_mapping else set()
    # Before the error: see _given.
    del text, result
    if not is_mapping:
        raise ConfigError(f"{option} is no JSON object.")
    return given, others
