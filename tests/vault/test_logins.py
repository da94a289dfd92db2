"""Each login method against a real OpenBao: what was stored is read with the token that the login gave."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from k8s_vault_devcluster.openbao import OpenBao

from airflow_k8s_vault.errors import VaultRefused
from airflow_k8s_vault.vault import VaultClient
from tests.vault.conftest import AppRole
from tests.vault.recorder import Recorder


@pytest.fixture
def policy(openbao: OpenBao, kv_mount: str) -> str:
    """The name of a policy that allows reading the test's own mount."""
    name = f"read-{kv_mount}"
    rule = f'path "{kv_mount}/*" {{ capabilities = ["read"] }}'
    openbao.request("PUT", f"sys/policies/acl/{name}", {"policy": rule})
    return name


@pytest.fixture
def auth_mount(openbao: OpenBao) -> Iterator[Callable[[str], str]]:
    """Enable a login method at a mount of the test's own."""
    made = []

    def enable(kind: str) -> str:
        mount = f"{kind}-{uuid.uuid4().hex[:6]}"
        openbao.request("POST", f"sys/auth/{mount}", {"type": kind})
        made.append(mount)
        return mount

    yield enable
    for mount in made:
        openbao.request("DELETE", f"sys/auth/{mount}")


@pytest.fixture
def stored(put: Callable[..., str]) -> str:
    return put("thing", colour="blue")


def colour(path: str, **settings: Any) -> str:
    result = VaultClient.from_settings(**settings).read(path)
    return str(result and result.reveal()["data"]["colour"])


def test_by_a_token(openbao: OpenBao, stored: str) -> None:
    assert colour(stored, url=openbao.address, token=openbao.root_token) == "blue"


def test_by_the_token_in_the_environment(openbao: OpenBao, stored: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_ADDR", openbao.address)
    monkeypatch.setenv("VAULT_TOKEN", openbao.root_token)

    assert colour(stored) == "blue"


def test_by_a_token_file_that_is_read_anew(openbao: OpenBao, policy: str, stored: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    tokens = [
        openbao.request("POST", "auth/token/create", {"policies": [policy]})["auth"]["client_token"]
        for _ in range(2)
    ]
    file.write_text(tokens[0] + "\n")
    client = VaultClient.from_settings(url=openbao.address, token_path=str(file))
    assert client.read(stored)

    openbao.request("POST", "auth/token/revoke", {"token": tokens[0]})
    file.write_text(tokens[1])

    assert client.read(stored)


def test_by_approle(openbao: OpenBao, approle: AppRole, stored: str) -> None:
    assert colour(stored, url=openbao.address, **approle.settings) == "blue"


def test_by_userpass(openbao: OpenBao, policy: str, stored: str, auth_mount: Callable[[str], str]) -> None:
    mount = auth_mount("userpass")
    openbao.request("POST", f"auth/{mount}/users/me", {"password": "pw of me", "token_policies": [policy]})
    login = {"auth_type": "userpass", "auth_mount_point": mount, "username": "me", "password": "pw of me"}

    assert colour(stored, url=openbao.address, **login) == "blue"


class Issuer:
    """Signs JSON Web Tokens."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())

    @property
    def public_pem(self) -> str:
        public = self.key.public_key()
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return public.public_bytes(serialization.Encoding.PEM, form).decode()

    def token(self, **claims: Any) -> str:
        now = datetime.datetime.now(datetime.UTC)
        times = {"iat": now, "nbf": now, "exp": now + datetime.timedelta(minutes=5)}
        return jwt.encode({**times, **claims}, self.key, "ES256")


@pytest.fixture
def jwt_login(openbao: OpenBao, policy: str, auth_mount: Callable[[str], str]) -> tuple[Issuer, dict[str, Any]]:
    issuer, mount = Issuer(), auth_mount("jwt")
    openbao.request("POST", f"auth/{mount}/config", {"jwt_validation_pubkeys": [issuer.public_pem]})
    role = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault"], "token_policies": [policy]}
    openbao.request("POST", f"auth/{mount}/role/airflow", role)
    return issuer, {"url": openbao.address, "auth_type": "jwt", "auth_mount_point": mount, "jwt_role": "airflow"}


def test_by_jwt(jwt_login: tuple[Issuer, dict[str, Any]], stored: str) -> None:
    issuer, settings = jwt_login

    assert colour(stored, **settings, jwt_token=issuer.token(sub="me", aud="vault")) == "blue"


def test_by_a_jwt_file_that_is_read_anew_at_each_login(
    jwt_login: tuple[Issuer, dict[str, Any]], stored: str, tmp_path: Path
) -> None:
    issuer, settings = jwt_login
    file = tmp_path / "jwt"
    file.write_text(issuer.token(sub="me", aud="another"))
    client = VaultClient.from_settings(**settings, jwt_token_path=str(file))
    with pytest.raises(VaultRefused, match="audience"):
        client.read(stored)

    file.write_text(issuer.token(sub="me", aud="vault"))

    assert client.read(stored)


def test_by_kubernetes(
    openbao: OpenBao, policy: str, stored: str, auth_mount: Callable[[str], str], tmp_path: Path
) -> None:
    user = {"username": "system:serviceaccount:airflow:worker", "uid": "1", "groups": []}
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview"}
    review["status"] = {"authenticated": True, "user": user, "audiences": ["vault"]}  # type: ignore[assignment]
    api_server = Recorder({"/apis/authentication.k8s.io/v1/tokenreviews": review})
    mount = auth_mount("kubernetes")
    ca, _ = make_certificate(tmp_path, "unused: the stand-in speaks plain HTTP")
    config = {"kubernetes_host": api_server.address, "kubernetes_ca_cert": ca.read_text()}
    config |= {"token_reviewer_jwt": Issuer().token(sub="reviewer"), "disable_local_ca_jwt": True}  # type: ignore[dict-item]
    openbao.request("POST", f"auth/{mount}/config", config)
    role = {"bound_service_account_names": ["worker"], "bound_service_account_namespaces": ["airflow"]}
    openbao.request("POST", f"auth/{mount}/role/airflow", {**role, "token_policies": [policy]})
    file = tmp_path / "token"
    claims = {"sub": user["username"], "iss": "https://cluster", "aud": ["vault"]}
    account = {"namespace": "airflow", "serviceaccount": {"name": "worker", "uid": "1"}}
    file.write_text(Issuer().token(**claims, **{"kubernetes.io": account}))
    settings = {"url": openbao.address, "auth_type": "kubernetes", "auth_mount_point": mount}

    result = colour(stored, **settings, kubernetes_role="airflow", kubernetes_jwt_path=str(file))
    sent = api_server.only("tokenreviews").json()
    api_server.stop()

    assert result == "blue"
    assert sent["spec"]["token"] == file.read_text()


@pytest.fixture(scope="module")
def tls_openbao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    folder = tmp_path_factory.mktemp("tls")
    server = OpenBao(folder, tls_dir=folder / "tls")
    yield server
    server.stop()


def test_by_a_client_certificate_over_tls(tls_openbao: OpenBao, tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "airflow-worker")

    def ask(method: str, path: str, body: Any = None) -> None:
        url, headers = f"{tls_openbao.address}/v1/{path}", {"X-Vault-Token": tls_openbao.root_token}
        requests.request(
            method, url, json=body, headers=headers, verify=str(tls_openbao.cacert)
        ).raise_for_status()

    ask("POST", "sys/auth/cert", {"type": "cert"})
    ask("PUT", "sys/policies/acl/reader", {"policy": 'path "secret/*" { capabilities = ["read"] }'})
    ask("POST", "auth/cert/certs/airflow", {"certificate": certificate.read_text(), "token_policies": ["reader"]})
    ask("POST", "secret/data/thing", {"data": {"colour": "blue"}})
    settings = {"url": tls_openbao.address, "verify": str(tls_openbao.cacert), "auth_type": "cert"}

    assert colour("secret/data/thing", **settings, cert=[str(certificate), str(key)]) == "blue"
    assert colour("secret/data/thing", **settings, cert=f"{certificate},{key}", cert_role="airflow") == "blue"

    other, other_key = make_certificate(tmp_path, "somebody-else")
    with pytest.raises(VaultRefused, match=r"refused the login \(.*\).\n  Login: auth/cert"):
        colour("secret/data/thing", **settings, cert=[str(other), str(other_key)])


def test_a_server_that_nobody_trusts_is_refused_and_the_message_says_what_to_set(tls_openbao: OpenBao) -> None:
    client = VaultClient.from_settings(url=tls_openbao.address, token=tls_openbao.root_token)

    with pytest.raises(VaultRefused, match=r"not trusted.*\n.*verify.*VAULT_CACERT"):
        client.read("secret/data/thing")


def test_the_ca_may_come_from_the_environment(tls_openbao: OpenBao, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_CACERT", str(tls_openbao.cacert))
    client = VaultClient.from_settings(url=tls_openbao.address, token=tls_openbao.root_token)

    assert client.read("secret/data/none") is None


def test_the_ca_may_be_given_as_text_with_comments(tls_openbao: OpenBao) -> None:
    text = f"# the CA of Vault, verif\u00ede\n{tls_openbao.cacert.read_text()}"
    client = VaultClient.from_settings(url=tls_openbao.address, token=tls_openbao.root_token, verify=text)

    assert client.read("secret/data/none") is None


def test_text_that_holds_no_certificate_is_refused_without_being_shown(tls_openbao: OpenBao) -> None:
    text = "-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n"
    client = VaultClient.from_settings(url=tls_openbao.address, token=tls_openbao.root_token, verify=text)

    with pytest.raises(VaultRefused, match="verify text cannot be read"):
        client.read("secret/data/none")


def test_tls_verification_can_only_be_switched_off_by_name(tls_openbao: OpenBao) -> None:
    client = VaultClient.from_settings(url=tls_openbao.address, token=tls_openbao.root_token, verify="false")

    with pytest.warns(Warning, match="Unverified HTTPS"):
        assert client.read("secret/data/none") is None


def test_a_refused_login_names_mount_and_role(openbao: OpenBao, approle: AppRole) -> None:
    settings = {**approle.settings, "secret_id": "wrong"}
    client = VaultClient.from_settings(url=openbao.address, **settings)

    with pytest.raises(VaultRefused) as refusal:
        client.read("anything")

    assert "refused the login (400 invalid role or secret ID)" in str(refusal.value)
    assert f"Login: auth/approle, role '{approle.role_id}'" in str(refusal.value)
    assert "wrong" not in str(refusal.value)


def test_a_missing_token_file_is_named(openbao: OpenBao) -> None:
    client = VaultClient.from_settings(url=openbao.address, token_path="/none/such")

    with pytest.raises(VaultRefused, match="token_path '/none/such' cannot be read: No such file"):
        client.read("anything")


def make_certificate(folder: Path, name: str, host: str | None = None) -> tuple[Path, Path]:
    """A self-signed certificate of a client, or of a server at `host`, and its key, as PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    oid = x509.ExtendedKeyUsageOID
    usage = x509.ExtendedKeyUsage([oid.SERVER_AUTH if host else oid.CLIENT_AUTH])
    names = x509.SubjectAlternativeName([x509.DNSName(host or "client")])
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(usage, critical=False)
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, none = serialization.Encoding.PEM, serialization.NoEncryption()
    files = folder / f"{name}.pem", folder / f"{name}.key"
    files[0].write_bytes(certificate.public_bytes(pem))
    files[1].write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, none))
    return files
