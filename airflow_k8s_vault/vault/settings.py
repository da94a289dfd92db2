"""The settings of the secrets backend and of the Vault client: one field, one row of the table.

Airflow passes them from [secrets] backend_kwargs, or from one environment variable each. The names and meanings
that Airflow's own VaultBackend has are kept. Errors, the constructor's signature and docs/secrets-backend.md are
made from this table.
"""

# ruff: noqa: RUF009 - row() is dataclasses.field() with the table's columns

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from typing import Any

from airflow_k8s_vault import cast
from airflow_k8s_vault.lookups import LookupSettings
from airflow_k8s_vault.secret_value import SecretValue
from airflow_k8s_vault.setting_rows import row

AUTH_TYPES = (
    "token",
    "approle",
    "kubernetes",
    "jwt",
    "userpass",
    "ldap",
    "cert",
    "aws_iam",
    "azure",
    "gcp",
    "github",
    "radius",
    "agent",
)

Secret = SecretValue[str] | None


@dataclass(frozen=True, kw_only=True, repr=False)
class Settings(LookupSettings):
    """Checked settings; see `airflow_k8s_vault.vault.reading.settings_from` for how they come to be."""

    # Where Vault is.
    url: str | None = row(
        None, cast.text, "Address of Vault, an agent or a proxy (https://…, unix:///…); default: VAULT_ADDR."
    )
    namespace: str | None = row(None, cast.text, "Vault namespace; default: VAULT_NAMESPACE, else the root one.")
    verify: bool | str | None = row(
        None,
        cast.verification,
        "Check Vault's certificate; or a CA file, folder or PEM text; default: VAULT_CACERT, VAULT_CAPATH, true.",
    )
    cert: tuple[str, str] | str | None = row(
        None,
        cast.certificate,
        "Client certificate and key (PEM files); default: VAULT_CLIENT_CERT, VAULT_CLIENT_KEY.",
    )
    proxies: dict[str, Any] | None = row(
        None, cast.mapping, "HTTP proxies by scheme; default: HTTPS_PROXY and the like."
    )

    # How to log in.
    auth_type: str = row("token", cast.one_of(*AUTH_TYPES), f"Login method: {', '.join(AUTH_TYPES)}.")
    auth_mount_point: str | None = row(
        None, cast.text, "Mount of the login method, without auth/; default: its usual one."
    )
    token: Secret = row(None, cast.secret, "Vault token (token; default: VAULT_TOKEN) or GitHub token (github).")
    token_path: str | None = row(None, cast.text, "File with that token, read anew at each login.")
    username: str | None = row(None, cast.text, "User name (userpass, ldap, radius).")
    password: Secret = row(None, cast.secret, "Password (userpass, ldap, radius).")
    role_id: str | None = row(None, cast.text, "Role ID (approle) or role (aws_iam, azure, gcp).")
    secret_id: Secret = row(
        None, cast.secret, "Secret ID (approle), secret access key (aws_iam) or client secret (azure)."
    )
    key_id: str | None = row(None, cast.text, "Access key ID (aws_iam) or client ID (azure).")
    kubernetes_role: str | None = row(None, cast.text, "Role (kubernetes).")
    kubernetes_jwt_path: str = row(
        "/var/run/secrets/kubernetes.io/serviceaccount/token",
        cast.text,
        "File with the service-account token, read anew at each login (kubernetes).",
    )
    jwt_role: str | None = row(None, cast.text, "Role (jwt).")
    jwt_token: Secret = row(None, cast.secret, "JSON Web Token (jwt).")
    jwt_token_path: str | None = row(None, cast.text, "File with that token, read anew at each login (jwt).")
    cert_role: str | None = row(None, cast.text, "Certificate role (cert); default: any that matches `cert`.")
    assume_role_kwargs: dict[str, Any] | None = row(
        None, cast.mapping, "Arguments of the AWS STS call AssumeRole (aws_iam; needs the extra `aws`)."
    )
    region: str | None = row(
        None, cast.text, "AWS region of the STS call (aws_iam); default: that of the AWS session."
    )
    gcp_key_path: str | None = row(None, cast.text, "Service-account key file, JSON (gcp).")
    gcp_keyfile_dict: SecretValue[dict[str, Any]] | None = row(
        None, cast.secret_mapping, "The content of that file (gcp)."
    )
    gcp_scopes: str | None = row(
        None, cast.text, "OAuth 2 scopes, comma-separated, of the credentials that sign the login (gcp)."
    )
    azure_tenant_id: str | None = row(
        None, cast.text, "Tenant that client ID and client secret belong to (azure)."
    )
    azure_resource: str | None = row(
        None, cast.text, "Application URI that Vault's azure method is configured with (azure)."
    )
    radius_host: str | None = row(
        None, cast.text, "Accepted from VaultBackend and not used: Vault itself knows the RADIUS server."
    )
    radius_secret: Secret = row(None, cast.secret, "Accepted from VaultBackend and not used, as radius_host.")
    radius_port: int | None = row(None, cast.integer, "Accepted from VaultBackend and not used, as radius_host.")

    # Values in memory.
    cache_ttl_seconds: float = row(60.0, cast.seconds, "How long a value is served from memory; 0: never.")
    cache_negative_seconds: float = row(
        5.0, cast.seconds, "How long it is remembered that a name is not there; 0: never."
    )
    cache_stale_seconds: float = row(
        600.0, cast.seconds, "How long past its time a value is still served while Vault is down; 0: never."
    )
    cache_max_entries: int = row(1000, cast.count, "How many values are kept, the oldest leave first; 0: none.")

    # Failing.
    deadline_seconds: float = row(
        10.0, cast.seconds, "Longest that one look-up may take, retries and login included; 0: no limit."
    )
    timeout: float = row(
        5.0, cast.seconds, "Longest that one request may take, in seconds; 0: the whole deadline."
    )
    retry_delay_seconds: float = row(
        0.1, cast.seconds, "Mean wait before the second try, doubled for each that follows; 0: no second try."
    )
    breaker_seconds: float = row(
        5.0,
        cast.seconds,
        "After a look-up failed for its whole deadline, fail the others at once for so long; 0: never.",
    )
    fall_through: str = row(
        "never",
        cast.one_of("never", "unavailable", "always"),
        "When Airflow may ask its next backend: never on an error, when Vault is unavailable, or always.",
    )

    def fingerprint(self) -> str:
        """Return a digest that is equal for equal settings and gives none of them away."""
        values = {row.name: getattr(self, row.name) for row in fields(self)}
        packed = json.dumps(values, sort_keys=True, default=SecretValue.reveal)
        return hashlib.sha256(packed.encode()).hexdigest()
