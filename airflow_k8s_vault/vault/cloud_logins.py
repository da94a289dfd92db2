"""What the cloud providers' login methods send as proof of who asks.

SDKs are needed only where a provider's own chain of credentials is to be followed; each is an extra of its own.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow_k8s_vault import json_text
from airflow_k8s_vault.errors import VaultRefused, VaultUnavailable
from airflow_k8s_vault.vault.settings import Settings

# https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
AZURE_METADATA = "http://169.254.169.254"
AZURE_SERVICE = "Azure's metadata service"
AZURE_AUTHORITY = "https://login.microsoftonline.com"
# What Azure's metadata and Vault's login call the same things.
AZURE_NAMES = {
    "subscriptionId": "subscription_id",
    "resourceGroupName": "resource_group_name",
    "name": "vm_name",
    "vmScaleSetName": "vmss_name",
}
TIMEOUT_SECONDS = 5


def aws_keys(settings: Settings) -> dict[str, Any]:
    """Return access key, secret key, session token and region that sign the STS request (Vault: aws, type iam)."""
    if settings.key_id and settings.secret_id:
        keys: dict[str, Any] = {"access_key": settings.key_id, "secret_key": settings.secret_id.reveal()}
    else:
        keys = _aws_session_keys(settings)
    if settings.region:
        keys["region"] = settings.region
    return keys


def _aws_session_keys(settings: Settings) -> dict[str, Any]:
    try:
        import boto3
    except ImportError:
        raise VaultRefused(
            "auth_type 'aws_iam' without key_id and secret_id needs boto3: install airflow-k8s-vault[aws]."
        ) from None
    session = boto3.Session(region_name=settings.region)
    if settings.assume_role_kwargs:
        answer = session.client("sts").assume_role(**settings.assume_role_kwargs)["Credentials"]
        keys = {
            "access_key": answer["AccessKeyId"],
            "secret_key": answer["SecretAccessKey"],
            "session_token": answer["SessionToken"],
        }
    else:
        result = session.get_credentials()
        if result is None:
            raise VaultRefused(
                "auth_type 'aws_iam': boto3 finds no AWS credentials here, nor are key_id and secret_id set."
            )
        keys = {"access_key": result.access_key, "secret_key": result.secret_key, "session_token": result.token}
    return keys | ({"region": session.region_name} if session.region_name else {})


def azure_identity(settings: Settings) -> dict[str, Any]:
    """Return the jwt, and for a virtual machine what names it, of Vault's azure login.

    With key_id, secret_id and azure_tenant_id the token is a service principal's; without, that of the managed
    identity of this machine.
    """
    if settings.key_id and settings.secret_id and settings.azure_tenant_id:
        return {"jwt": _azure_principal_token(settings)}
    return _azure_machine(settings)


def _azure_principal_token(settings: Settings) -> str:
    import requests

    authority = os.environ.get("AZURE_AUTHORITY_HOST", AZURE_AUTHORITY).rstrip("/")
    body = {
        "grant_type": "client_credentials",
        "client_id": settings.key_id,
        "client_secret": settings.secret_id.reveal() if settings.secret_id else "",
        "scope": f"{(settings.azure_resource or '').rstrip('/')}/.default",
    }
    url = f"{authority}/{settings.azure_tenant_id}/oauth2/v2.0/token"
    answer = _answer("Azure's token endpoint", lambda: requests.post(url, data=body, timeout=TIMEOUT_SECONDS))
    return _azure_token(answer, "Azure's token endpoint")


def _azure_machine(settings: Settings) -> dict[str, Any]:
    import requests

    metadata = os.environ.get("AZURE_POD_IDENTITY_AUTHORITY_HOST", AZURE_METADATA).rstrip("/")
    session = requests.Session()
    session.headers["Metadata"] = "true"
    query = {"api-version": "2018-02-01", "resource": settings.azure_resource}
    if settings.key_id:
        query["client_id"] = settings.key_id

    def ask(path: str, params: dict[str, Any]) -> Any:
        url = f"{metadata}/metadata/{path}"
        return _answer(AZURE_SERVICE, lambda: session.get(url, params=params, timeout=TIMEOUT_SECONDS))

    identity = {"jwt": _azure_token(ask("identity/oauth2/token", query), AZURE_SERVICE)}
    machine = ask("instance/compute", {"api-version": "2021-02-01"})
    if machine.ok:
        result = machine.json()
        identity |= {ours: result[theirs] for theirs, ours in AZURE_NAMES.items() if result.get(theirs)}
    return identity


def _answer(who: str, send: Callable[[], Any]) -> Any:
    import requests

    try:
        return send()
    except requests.RequestException as problem:
        kind = type(problem).__name__
    # Outside of `except`: the request's frames hold its secret.
    raise VaultUnavailable(f"{who} did not answer ({kind}), which the login to Vault needs.")


def _azure_token(response: Any, who: str) -> str:
    if not response.ok:
        raise VaultRefused(f"auth_type 'azure': {who} answered {response.status_code}.")
    return str(response.json()["access_token"])


def gcp_jwt(settings: Settings) -> str:
    """Return a JWT that Vault's gcp method (type iam) takes, valid for 15 minutes, the longest that it allows.

    With a service-account key it is signed here; without, by Google's signJwt for the account of this machine.
    """
    if settings.gcp_keyfile_dict:
        key = settings.gcp_keyfile_dict.reveal()
    elif settings.gcp_key_path:
        key = json_text.read(Path(settings.gcp_key_path).read_text())
    else:
        return _signed_by_google(settings)
    import jwt

    headers = {"kid": key["private_key_id"]}
    return jwt.encode(_gcp_claims(settings, key["client_email"]), key["private_key"], "RS256", headers=headers)


def _gcp_claims(settings: Settings, email: str) -> dict[str, Any]:
    now = int(time.time())
    return {"iat": now, "exp": now + 900, "sub": email, "aud": f"vault/{settings.role_id}"}


def _signed_by_google(settings: Settings) -> str:
    try:
        import google.auth
        from google.auth.transport.requests import AuthorizedSession
    except ImportError:
        raise VaultRefused(
            "auth_type 'gcp' without gcp_key_path and gcp_keyfile_dict needs google-auth: "
            "install airflow-k8s-vault[gcp]."
        ) from None
    scopes = (settings.gcp_scopes or "https://www.googleapis.com/auth/cloud-platform").split(",")
    credentials, _ = google.auth.default(scopes=scopes)
    session = AuthorizedSession(credentials)
    credentials.refresh(google.auth.transport.requests.Request())
    email = credentials.service_account_email
    answer = session.post(
        f"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{email}:signJwt",
        json={"payload": json.dumps(_gcp_claims(settings, email))},
        timeout=TIMEOUT_SECONDS,
    )
    if not answer.ok:
        raise VaultRefused(f"auth_type 'gcp': Google's signJwt for {email} answered {answer.status_code}.")
    return str(answer.json()["signedJwt"])
