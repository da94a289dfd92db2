"""Login methods that OpenBao does not bring: the request that goes out, against the one that Vault documents."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from airflow_k8s_vault.errors import VaultRefused, VaultUnavailable
from airflow_k8s_vault.vault import VaultClient
from tests.vault.recorder import Received, Recorder


@pytest.fixture
def vault() -> Iterator[Recorder]:
    made = Recorder()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def google_key() -> tuple[Any, dict[str, str]]:
    """A service-account key, in Google's file format, and its public half."""
    key = rsa.generate_private_key(65537, 2048)
    form, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, form, none).decode()
    account = {"type": "service_account", "client_email": "me@project.iam", "private_key_id": "k1"}
    return key.public_key(), {**account, "private_key": pem, "token_uri": "https://oauth2.googleapis.com/token"}


def login(vault: Recorder, **settings: Any) -> Received:
    """Read once; return the login request. The read has to have used the login's token."""
    VaultClient.from_settings(url=vault.address, **settings).read("secret/data/x")
    assert vault.only("/secret/").headers["X-Vault-Token"] == "made-by-the-recorder"
    request = vault.only("/v1/auth/")
    assert request.method == "POST"
    assert "X-Vault-Token" not in request.headers
    return request


# https://developer.hashicorp.com/vault/api-docs/auth/ldap#login-with-ldap-user, and /radius#login
@pytest.mark.parametrize("method", ["ldap", "radius"])
def test_ldap_and_radius_log_in_by_user_and_password(vault: Recorder, method: str) -> None:
    request = login(
        vault, auth_type=method, username="me", password="pw", radius_host="ignored", radius_port="1812"
    )

    assert request.path == f"/v1/auth/{method}/login/me"
    assert request.json() == {"password": "pw"}


def test_a_user_name_stays_one_part_of_the_path(vault: Recorder) -> None:
    request = login(vault, auth_type="ldap", username="../x y/ä", password="pw", auth_mount_point="corp/ldap")

    assert request.path == "/v1/auth/corp/ldap/login/..%2Fx%20y%2F%C3%A4"


# https://developer.hashicorp.com/vault/api-docs/auth/github#login
def test_github_sends_its_token(vault: Recorder, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("ghp_x\n")

    request = login(vault, auth_type="github", token_path=str(tmp_path / "token"))

    assert (request.path, request.json()) == ("/v1/auth/github/login", {"token": "ghp_x"})


# https://developer.hashicorp.com/vault/api-docs/auth/aws#login
def test_aws_iam_sends_a_signed_sts_request(vault: Recorder) -> None:
    keys = {"key_id": "AKIDEXAMPLE", "secret_id": "aws secret key", "region": "eu-west-1"}

    request = login(vault, auth_type="aws_iam", role_id="airflow", **keys)
    body = request.json()
    headers = json.loads(base64.b64decode(body["iam_request_headers"]))

    assert request.path == "/v1/auth/aws/login"
    assert (body["role"], body["iam_http_request_method"]) == ("airflow", "POST")
    assert base64.b64decode(body["iam_request_url"]).startswith(b"https://sts.")
    assert base64.b64decode(body["iam_request_body"]) == b"Action=GetCallerIdentity&Version=2011-06-15"
    assert "Credential=AKIDEXAMPLE/" in headers["Authorization"][0]
    assert "/eu-west-1/sts/aws4_request" in headers["Authorization"][0]
    assert b"aws secret key" not in request.body


def test_aws_iam_assumes_a_role_where_boto3_is_installed(vault: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("boto3", reason="needs the extra `aws`")
    sts = Recorder({"/": STS_ANSWER})
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.address)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "own")
    role = {"RoleArn": "arn:aws:iam::123456789012:role/vault", "RoleSessionName": "airflow"}

    request = login(vault, auth_type="aws_iam", role_id="airflow", assume_role_kwargs=role, region="eu-west-1")
    headers = json.loads(base64.b64decode(request.json()["iam_request_headers"]))
    sts.stop()

    assert "Credential=ASSUMED/" in headers["Authorization"][0]
    assert headers["X-Amz-Security-Token"] == ["session"]


STS_ANSWER = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>ASSUMED</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>session</SessionToken>
<Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"""


# https://developer.hashicorp.com/vault/docs/auth/gcp#iam-login, signed with the account's own key
@pytest.mark.parametrize("source", ["file", "settings", "settings as text"])
def test_gcp_sends_a_token_that_the_service_account_signed(
    vault: Recorder, google_key: tuple[Any, dict[str, str]], source: str, tmp_path: Path
) -> None:
    public, key = google_key
    (tmp_path / "key.json").write_text(json.dumps(key))
    given: dict[str, Any] = {"file": {"gcp_key_path": str(tmp_path / "key.json")}}.get(source) or {
        "gcp_keyfile_dict": key if source == "settings" else json.dumps(key)
    }

    request = login(vault, auth_type="gcp", role_id="airflow", **given)
    token = request.json()["jwt"]
    claims = jwt.decode(token, public, ["RS256"], audience="vault/airflow")

    assert (request.path, request.json()["role"]) == ("/v1/auth/gcp/login", "airflow")
    assert jwt.get_unverified_header(token)["kid"] == "k1"
    assert claims["sub"] == "me@project.iam"
    assert claims["exp"] - claims["iat"] == 900


# https://developer.hashicorp.com/vault/api-docs/auth/azure#login, from a virtual machine
def test_azure_sends_the_identity_of_the_machine(vault: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = {"subscriptionId": "sub", "resourceGroupName": "group", "name": "vm", "vmScaleSetName": ""}
    metadata = Recorder(
        {"/metadata/identity/oauth2/token": {"access_token": "msi jwt"}, "/metadata/instance/compute": machine}
    )
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", metadata.address)

    request = login(vault, auth_type="azure", role_id="airflow", azure_resource="https://vault.example")
    requested = metadata.only("oauth2/token")
    metadata.stop()

    assert request.path == "/v1/auth/azure/login"
    assert request.json() == {
        "role": "airflow",
        "jwt": "msi jwt",
        "subscription_id": "sub",
        "resource_group_name": "group",
        "vm_name": "vm",
    }
    assert (requested.query["resource"], requested.headers["Metadata"]) == (["https://vault.example"], "true")


def test_azure_sends_the_token_of_a_service_principal(vault: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Recorder({"/tenant-1/oauth2/v2.0/token": {"access_token": "principal jwt"}})
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", authority.address)
    principal = {"azure_tenant_id": "tenant-1", "key_id": "client-1", "secret_id": "client secret"}

    request = login(vault, auth_type="azure", role_id="airflow", azure_resource="api://vault", **principal)
    requested = parse_qs(authority.only("token").body.decode())
    authority.stop()

    assert request.json() == {"role": "airflow", "jwt": "principal jwt"}
    assert requested["client_secret"] == ["client secret"]
    assert requested["scope"] == ["api://vault/.default"]


def test_an_azure_that_does_not_answer_is_an_outage(vault: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:9")
    client = VaultClient.from_settings(url=vault.address, auth_type="azure", role_id="r", azure_resource="x")

    with pytest.raises(VaultUnavailable, match="Azure's metadata service did not answer"):
        client.read("secret/data/x")


@pytest.mark.parametrize(
    ("settings", "extra"), [({"auth_type": "aws_iam"}, "aws"), ({"auth_type": "gcp", "role_id": "r"}, "gcp")]
)
def test_a_missing_sdk_names_its_extra(
    vault: Recorder, settings: dict[str, str], extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "boto3", None)
    monkeypatch.setitem(__import__("sys").modules, "google.auth", None)

    with pytest.raises(VaultRefused, match=rf"airflow-k8s-vault\[{extra}\]"):
        VaultClient.from_settings(url=vault.address, **settings).read("secret/data/x")
