"""From what Airflow passes to checked settings, or to one error that lists every mistake."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, fields
from typing import Any

from airflow_k8s_vault.errors import ConfigError, did_you_mean, error_list
from airflow_k8s_vault.secret_value import SecretValue
from airflow_k8s_vault.setting_rows import environment_variable, named, read_row
from airflow_k8s_vault.vault import logins
from airflow_k8s_vault.vault.settings import Settings

ROWS: dict[str, Field[Any]] = {row.name: row for row in fields(Settings)}


def settings_from(given: Mapping[str, Any], environment: Mapping[str, str]) -> tuple[Settings, ConfigError | None]:
    """Return the settings, or an error about all of them; the error is returned so that the caller can first
    drop `given`, which may hold plain secrets, from the frames that a traceback shows.

    given: by setting name, JSON values or strings. environment: where VAULT_ADDR and its like are looked up.
    """
    errors: list[str] = []
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name not in ROWS:
            near = did_you_mean(name, ROWS)
            errors.append(f"{name} ({environment_variable(name)}) is no setting.{near}")
        else:
            read_row(ROWS[name], value, values, errors)
    _from_environment(values, environment)
    settings = Settings(**values)
    errors += _mistakes(settings)
    if not errors:
        return settings, None
    headline = (
        f"VaultSecretsBackend: {len(errors)} mistake{'s' if len(errors) > 1 else ''} in [secrets] backend_kwargs:"
    )
    if not given:
        errors.append(
            "backend_kwargs is empty: is it valid JSON? Airflow only warns about it and then passes nothing."
        )
    return settings, ConfigError(error_list(headline, errors))


def _from_environment(values: dict[str, Any], environment: Mapping[str, str]) -> None:
    """Fill what was not given from the variables that Vault's own command line reads."""

    def default(name: str, value: Any) -> None:
        if values.get(name) is None and value:
            values[name] = value

    default("url", environment.get("VAULT_ADDR"))
    default("namespace", environment.get("VAULT_NAMESPACE"))
    default("verify", environment.get("VAULT_CACERT") or environment.get("VAULT_CAPATH") or True)
    certificate, key = environment.get("VAULT_CLIENT_CERT"), environment.get("VAULT_CLIENT_KEY")
    default("cert", (certificate, key) if certificate and key else certificate)
    if values.get("auth_type", "token") == "token" and not values.get("token_path"):
        token = environment.get("VAULT_TOKEN")
        default("token", SecretValue(token) if token else None)


def _mistakes(settings: Settings) -> list[str]:
    """Return what is missing or does not go together."""
    errors = []
    if not settings.url:
        errors.append(f"{named('url')} is not set, nor is VAULT_ADDR.")
    elif not settings.url.startswith(("http://", "https://", "unix://")):
        errors.append(f"{named('url')} has to begin with https://, http:// or unix://, not {settings.url!r}.")
    method = logins.METHODS[settings.auth_type]
    for choice in method.needs:
        if not any(getattr(settings, name) for name in choice):
            names = " or ".join(named(name) for name in choice)
            errors.append(f"auth_type {settings.auth_type!r} needs {names}.")
    if settings.team_role and not method.role:
        with_role = ", ".join(name for name, other in logins.METHODS.items() if other.role)
        errors.append(f"{named('team_role')}: auth_type {settings.auth_type!r} has no roles ({with_role} have).")
    if settings.team_mount_point and settings.mount_point is None:
        errors.append(f"{named('team_mount_point')} and mount_point null exclude each other.")
    for name in ("team_role", "team_namespace", "team_mount_point"):
        template = getattr(settings, name)
        if template and ("{team}" not in template or set("{}") & set(template.replace("{team}", ""))):
            errors.append(f"{named(name)} has to hold {{team}}, and no other braces: {template!r}.")
    return errors
