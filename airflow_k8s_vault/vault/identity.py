"""Who asks: what an error message says about the login, so that its reader knows which role to look at."""

from __future__ import annotations

from airflow_k8s_vault.vault import logins
from airflow_k8s_vault.vault.settings import Settings
from airflow_k8s_vault.vault.token import Token


def auth_mount(settings: Settings) -> str:
    """Return the mount of the login method, without auth/; "" where there is no login."""
    return (settings.auth_mount_point or logins.METHODS[settings.auth_type].mount).strip("/")


def who_asks(settings: Settings, token: Token | None) -> str:
    """Return one sentence: auth mount, role as Vault calls it (else as the settings do), namespace."""
    namespace = f" in namespace {settings.namespace!r}" if settings.namespace else ""
    if settings.auth_type == "agent":
        return f"The agent at that address adds the token{namespace}: its role has no such right."
    method = logins.METHODS[settings.auth_type]
    if method.login is None:
        return f"The token is a given one (auth_type 'token'){namespace}; `vault token lookup` shows its policies."
    if not method.role:
        who = f", user {settings.username!r}" if settings.username else ""
    else:
        role = (token.role if token else None) or getattr(settings, method.role)
        who = f", role {role!r}" if role else ""
    return f"Login: auth/{auth_mount(settings)}{who}{namespace}."
