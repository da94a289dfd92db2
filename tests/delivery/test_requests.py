"""Files as programs want them, and credentials that Vault makes on request, in pods that run."""

from __future__ import annotations

import base64
import hashlib

import pytest

from airflow_k8s_vault import VaultFile, VaultSecret
from tests.delivery.pods import Pods

pytestmark = pytest.mark.integration
BYTES = bytes(range(256)) * 9
ISSUE = VaultSecret(
    "pki/issue/web",
    engine="dynamic",
    parameters={"common_name": "etl.example.com", "ttl": "2h"},
    files=[
        VaultFile("tls.crt", key="certificate"),
        VaultFile(".tls.key", key="private_key", mode="0440", directory="/home/app/.tls"),
        VaultFile("ca.pem", key="issuing_ca"),
    ],
)


@pytest.fixture(scope="module", autouse=True)
def engines(pods: Pods) -> None:
    vault = pods.ground.vault
    vault.mount("pki", {"type": "pki"})
    vault.request("POST", "pki/root/generate/internal", {"common_name": "example.com", "ttl": "12h"})
    vault.request("POST", "pki/roles/web", {"allowed_domains": ["example.com"], "allow_subdomains": True})
    vault.mount("totp", {"type": "totp"})
    vault.request("POST", "totp/keys/etl", {"generate": True, "issuer": "x", "account_name": "etl"})
    policy = 'path "pki/issue/web" { capabilities = ["update"] } path "totp/code/etl" { capabilities = ["read"] }'
    vault.request("PUT", "sys/policies/acl/requests", {"policy": policy})
    role = f"auth/{pods.ground.auth_mount}/role/{pods.login.role}"
    given = vault.request("GET", role)["data"]["token_policies"]
    vault.request("POST", role, {"token_policies": [*given, "requests"]})
    pods.ground.setup.kv(
        "secret/payments/store", {"jks": base64.encodebytes(BYTES).decode(), "none": "no base64!"}
    )
    pods.ground.setup.kv("secret/payments/versions", {"a": "first"})
    vault.request("POST", "secret/data/payments/versions", {"data": {"a": "second"}})


@pytest.mark.parametrize("delivery", ["agent", "secret"])
def test_certificate_key_and_chain_are_of_one_issue(pods: Pods, delivery: str) -> None:
    code = (
        "import ssl; c = ssl.create_default_context(cafile='/vault/secrets/ca.pem');"
        "c.load_cert_chain('/vault/secrets/tls.crt', '/home/app/.tls/.tls.key'); print('they match')"
    )

    run = pods.run(delivery, [ISSUE], ["python", "-c", code])

    assert ("", "they match\n") == (run.problem, run.log)


@pytest.mark.parametrize("delivery", ["agent", "secret"])
def test_a_name_that_the_role_refuses_is_told_in_vaults_words(pods: Pods, delivery: str) -> None:
    requested = VaultSecret(
        "pki/issue/web", engine="dynamic", parameters={"common_name": "a.evil.org"}, file="all"
    )

    run = pods.run(delivery, [requested], ["true"])

    assert "not allowed by this role" in run.problem


@pytest.mark.parametrize("delivery", ["agent", "secret"])
def test_bytes_versions_lists_of_keys_and_codes_arrive(pods: Pods, delivery: str) -> None:
    secrets = [
        VaultSecret("secret/payments/store", file="store.jks", key="jks", decode="base64"),
        VaultSecret("secret/payments/versions", version=1, env=["a"], prefix="OLD_"),
        VaultSecret("secret/payments/versions", env=["a"]),
        VaultSecret("totp/code/etl", engine="dynamic", env={"CODE": "code"}),
    ]
    code = (
        "import hashlib, os; e = os.environ; f = open('/vault/secrets/store.jks', 'rb').read();"
        "print(hashlib.sha256(f).hexdigest(), e['OLD_A'], e['A'], len(e['CODE']))"
    )

    run = pods.run(delivery, secrets, ["python", "-c", code])

    assert ("", f"{hashlib.sha256(BYTES).hexdigest()} first second 6\n") == (run.problem, run.log)


@pytest.mark.parametrize("delivery", ["agent", "secret"])
def test_variables_of_any_printable_name_arrive(pods: Pods, delivery: str) -> None:
    # Two of them have identifiers as keys of the environment file that could be the same.
    new = {"PG PASSWORD (new)": "a", "1.%$'": "a", "MY-DB": "a"}
    secrets = [
        VaultSecret("secret/payments/versions", env=new),
        VaultSecret("secret/payments/versions", version=1, env={"MY_x2d_DB": "a"}),
    ]
    code = f"import os; print(*(os.environ[name] for name in {[*new, 'MY_x2d_DB']}))"

    run = pods.run(delivery, secrets, ["python", "-c", code])

    assert ("", "second second second first\n") == (run.problem, run.log)


@pytest.mark.parametrize("delivery", ["agent", "secret"])
def test_what_is_no_base64_starts_no_pod(pods: Pods, delivery: str) -> None:
    requested = VaultSecret("secret/payments/store", file="x", key="none", decode="base64")

    assert (
        "key 'none' of 'secret/payments/store' is no base64" in pods.run(delivery, [requested], ["true"]).problem
    )


def test_a_private_file_belongs_to_the_containers_user(pods: Pods) -> None:
    requested = VaultSecret("secret/payments/partner", file="pgpass", key="api_key", mode="0400")

    run = pods.run("agent", [requested], ["stat", "-c", "%a %u", "/vault/secrets/pgpass"])

    assert ("", "400 10001\n") == (run.problem, run.log)
