"""How to log in: one small function per method, in one table.

Each takes the settings, what sends requests (like an hvac adapter) and the mount, and returns Vault's answer.
Files with tokens are read at each login: a kubelet and an agent replace them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from airflow_k8s_vault.errors import VaultRefused
from airflow_k8s_vault.secret_value import SecretValue
from airflow_k8s_vault.vault import cloud_logins
from airflow_k8s_vault.vault.settings import Settings

Answer = dict[str, Any]
Login = Callable[[Settings, Any, str], Answer]


@dataclass(frozen=True)
class Method:
    """A login method. `login=None`: there is no login request, the token is at hand or an agent adds it.

    mount: its usual mount. needs: settings, of each group at least one. role: the setting that names the role.
    """

    login: Login | None
    mount: str = ""
    needs: tuple[tuple[str, ...], ...] = ()
    role: str | None = None


def revealed(value: SecretValue[str] | None) -> str | None:
    return value.reveal() if value is not None else None


def read_file(path: str, setting: str) -> str:
    """Return the stripped text of a credential file. Raises VaultRefused, naming the setting."""
    try:
        text = Path(path).read_text().strip()
    except OSError as problem:
        raise VaultRefused(f"{setting} {path!r} cannot be read: {problem.strerror}.") from None
    if not text:
        raise VaultRefused(f"{setting} {path!r} is empty.")
    return text


def static_token(settings: Settings) -> SecretValue[str] | None:
    """Return the token of auth_type `token`; None for `agent`, which adds its own to each request."""
    if settings.auth_type == "agent":
        return None
    if settings.token_path:
        return SecretValue(read_file(settings.token_path, "token_path"))
    return settings.token


def approle(settings: Settings, adapter: Any, mount: str) -> Answer:
    body = {"role_id": settings.role_id}
    if settings.secret_id:
        body["secret_id"] = settings.secret_id.reveal()
    return _post(adapter, mount, body)


def kubernetes(settings: Settings, adapter: Any, mount: str) -> Answer:
    jwt = read_file(settings.kubernetes_jwt_path, "kubernetes_jwt_path")
    return _post(adapter, mount, {"role": settings.kubernetes_role, "jwt": jwt})


def jwt(settings: Settings, adapter: Any, mount: str) -> Answer:
    if settings.jwt_token:
        token = settings.jwt_token.reveal().strip()
    else:
        token = read_file(settings.jwt_token_path or "", "jwt_token_path")
    return _post(adapter, mount, {"role": settings.jwt_role, "jwt": token})


def with_password(settings: Settings, adapter: Any, mount: str) -> Answer:
    """userpass, ldap and radius: the same request at another mount."""
    name = quote(settings.username or "", safe="")
    return _post(adapter, mount, {"password": revealed(settings.password)}, f"login/{name}")


def cert(settings: Settings, adapter: Any, mount: str) -> Answer:
    """The client certificate of the TLS connection is the credential."""
    return _post(adapter, mount, {"name": settings.cert_role} if settings.cert_role else {})


def github(settings: Settings, adapter: Any, mount: str) -> Answer:
    token = revealed(settings.token) or read_file(settings.token_path or "", "token_path")
    return _post(adapter, mount, {"token": token})


def aws_iam(settings: Settings, adapter: Any, mount: str) -> Answer:
    from hvac.api.auth_methods import Aws

    keys = cloud_logins.aws_keys(settings)
    return dict(Aws(adapter).iam_login(**keys, role=settings.role_id, mount_point=mount))


def azure(settings: Settings, adapter: Any, mount: str) -> Answer:
    return _post(adapter, mount, {"role": settings.role_id, **cloud_logins.azure_identity(settings)})


def gcp(settings: Settings, adapter: Any, mount: str) -> Answer:
    return _post(adapter, mount, {"role": settings.role_id, "jwt": cloud_logins.gcp_jwt(settings)})


def _post(adapter: Any, mount: str, body: dict[str, Any], action: str = "login") -> Answer:
    return dict(adapter.post(f"/v1/auth/{mount}/{action}", json=body))


METHODS = {
    "token": Method(None, needs=(("token", "token_path"),)),
    "agent": Method(None),
    "approle": Method(approle, "approle", (("role_id",),), "role_id"),
    "kubernetes": Method(
        kubernetes, "kubernetes", (("kubernetes_role",), ("kubernetes_jwt_path",)), "kubernetes_role"
    ),
    "jwt": Method(jwt, "jwt", (("jwt_role",), ("jwt_token", "jwt_token_path")), "jwt_role"),
    "userpass": Method(with_password, "userpass", (("username",), ("password",))),
    "ldap": Method(with_password, "ldap", (("username",), ("password",))),
    "radius": Method(with_password, "radius", (("username",), ("password",))),
    "cert": Method(cert, "cert", (("cert",),), "cert_role"),
    "github": Method(github, "github", (("token", "token_path"),)),
    "aws_iam": Method(aws_iam, "aws", (), "role_id"),
    "azure": Method(azure, "azure", (("role_id",), ("azure_resource",)), "role_id"),
    "gcp": Method(gcp, "gcp", (("role_id",),), "role_id"),
}
