"""Files as programs want them, and credentials that Vault makes on request, in pods that run."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from airflow_k8s_vault import VaultFile, VaultSecret
from tests.delivery.pods import Pods

pytestmark = pytest.mark.integration
BYTES = bytes(range(256)) * 9
SSH_KEYGEN = shutil.which("ssh-keygen")
SSH_ROLE = {"key_type": "ca", "allow_user_certificates": True, "allowed_users": "etl", "ttl": "30m"}
ISSUE = VaultSecret(
    "tests-pki/issue/web",
    engine="dynamic",
    parameters={"common_name": "etl.example.com", "ttl": "2h"},
    files=[
        VaultFile("tls.crt", key="certificate"),
        VaultFile(".tls.key", key="private_key", mode="0440", directory="/home/app/.tls"),
        VaultFile("ca.pem", key="issuing_ca"),
    ],
)


@pytest.fixture(scope="module", autouse=True)
def engines(pods: Pods) -> Iterator[None]:
    vault = pods.servers.vault
    made = [engine for engine in ("pki", "ssh", "totp") if vault.mount(f"tests-{engine}", {"type": engine})]
    vault.request("POST", "tests-pki/root/generate/internal", {"common_name": "example.com", "ttl": "12h"})
    names = {"allowed_domains": ["example.com"], "allow_subdomains": True}
    vault.request("POST", "tests-pki/roles/web", names)
    vault.request("POST", "tests-pki/roles/brief", {**names, "key_type": "ec"})
    vault.request("POST", "tests-pki/roles/leased", {**names, "key_type": "ec", "generate_lease": True})
    vault.request("POST", "tests-totp/keys/etl", {"generate": True, "issuer": "x", "account_name": "etl"})
    vault.request("POST", "tests-ssh/config/ca", {"generate_signing_key": True, "key_type": "ed25519"})
    vault.request("POST", "tests-ssh/roles/etl", SSH_ROLE)
    file = pods.servers.templates_dir / "payments/team.yaml"
    before = file.read_text()
    listed = before.replace("secrets:\n", "secrets:\n  - tests-totp/code/etl\n")
    file.write_text(f"{listed.rstrip()}\nupdate: [tests-pki/issue/*, tests-ssh/sign/etl]\n")
    pods.servers.setup.teams(pods.servers.templates_dir, ["payments"])
    pods.servers.setup.kv(
        "secret/payments/store", {"jks": base64.encodebytes(BYTES).decode(), "none": "no base64!"}
    )
    pods.servers.setup.kv("secret/payments/versions", {"a": "first"})
    vault.request("POST", "secret/data/payments/versions", {"data": {"a": "second"}})
    yield
    file.write_text(before)
    pods.servers.setup.teams(pods.servers.templates_dir, ["payments"])
    for engine in made:
        vault.request("DELETE", f"sys/mounts/tests-{engine}")


def issued(pods: Pods) -> set[str]:
    return set(pods.servers.vault.request("LIST", "tests-pki/certs")["data"]["keys"])


@pytest.mark.parametrize("delivery", ["agent", "secret"])
def test_certificate_key_and_chain_are_of_one_issue(pods: Pods, delivery: str) -> None:
    code = (
        "import ssl; c = ssl.create_default_context(cafile='/vault/secrets/ca.pem');"
        "c.load_cert_chain('/vault/secrets/tls.crt', '/home/app/.tls/.tls.key'); print('they match')"
    )

    before = issued(pods)

    run = pods.run(delivery, [ISSUE], ["python", "-c", code])

    assert ("", "they match\n") == (run.problem, run.log)
    assert 1 == len(issued(pods) - before)


@pytest.mark.skipif(SSH_KEYGEN is None, reason="this machine has no ssh-keygen to read the certificate with")
@pytest.mark.parametrize("delivery", ["agent", "secret"])
def test_a_key_that_vault_signs_is_a_certificate_to_ssh(pods: Pods, delivery: str, tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    requested = VaultSecret(
        "tests-ssh/sign/etl",
        engine="dynamic",
        parameters={"public_key": key, "valid_principals": "etl", "ttl": "20m"},
        file="id-cert.pub",
        key="signed_key",
    )

    run = pods.run(delivery, [requested], ["cat", "/vault/secrets/id-cert.pub"])

    assert "" == run.problem
    certificate = tmp_path / "id-cert.pub"
    certificate.write_text(run.log)
    shown = subprocess.run([str(SSH_KEYGEN), "-L", "-f", certificate], capture_output=True, text=True).stdout
    assert "Type: ssh-ed25519-cert-v01@openssh.com user certificate" in shown
    assert "Principals: \n                etl\n" in shown


@pytest.mark.parametrize("delivery", ["agent", "secret"])
def test_a_name_that_the_role_refuses_is_told_in_vaults_words(pods: Pods, delivery: str) -> None:
    requested = VaultSecret(
        "tests-pki/issue/web", engine="dynamic", parameters={"common_name": "a.evil.org"}, file="all"
    )

    run = pods.run(delivery, [requested], ["true"])

    assert "not allowed by this role" in run.problem


@pytest.mark.parametrize("delivery", ["agent", "secret"])
def test_bytes_versions_lists_of_keys_and_codes_arrive(pods: Pods, delivery: str) -> None:
    secrets = [
        VaultSecret("secret/payments/store", file="store.jks", key="jks", decode="base64"),
        VaultSecret("secret/payments/versions", version=1, env=["a"], prefix="OLD_"),
        VaultSecret("secret/payments/versions", env=["a"]),
        VaultSecret("tests-totp/code/etl", engine="dynamic", env={"CODE": "code"}),
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


@pytest.mark.parametrize("delivery", ["agent", "secret"])
@pytest.mark.parametrize(
    ("version", "words"),
    [(1, "version 1 .*was destroyed"), (9, "no version 9 of the secret at .secret/payments/gone")],
)
def test_a_version_that_is_destroyed_or_never_was_starts_no_pod(
    pods: Pods, delivery: str, version: int, words: str
) -> None:
    pods.servers.setup.kv("secret/payments/gone", {"a": "first"})
    pods.servers.vault.request("POST", "secret/data/payments/gone", {"data": {"a": "second"}})
    pods.servers.vault.request("POST", "secret/destroy/payments/gone", {"versions": [1]})

    run = pods.run(delivery, [VaultSecret("secret/payments/gone", version=version, env=["a"])], ["true"])

    assert re.search(words, run.problem)


def test_a_private_file_belongs_to_the_containers_user(pods: Pods) -> None:
    requested = VaultSecret("secret/payments/partner", file="pgpass", key="api_key", mode="0400")

    run = pods.run("agent", [requested], ["stat", "-c", "%a %u", "/vault/secrets/pgpass"])

    assert ("", "400 10001\n") == (run.problem, run.log)


# Prints, as JSON, of each role the serial numbers that were seen in whole sets of files, and when each set ends.
WATCH = """
import json, ssl, time
def whole(folder):
    context = ssl.create_default_context(cafile=folder + "/ca.pem")
    # Between two of the three files the agent may be at work: such a set is none.
    context.load_cert_chain(folder + "/tls.crt", folder + "/tls.key")
    of = ssl._ssl._test_decode_cert(folder + "/tls.crt")
    return of["serialNumber"], ssl.cert_time_to_seconds(of["notAfter"])
seen, late = {"brief": {}, "leased": {}}, []
while min(len(certificates) for certificates in seen.values()) < 2:
    for role, certificates in seen.items():
        try:
            serial, ends = whole("/home/app/" + role)
        except (ssl.SSLError, OSError):
            continue
        certificates[serial] = ends
        if ends < time.time():
            late.append(serial)
    time.sleep(0.02)
print(json.dumps([seen, late]))
"""


def test_a_certificate_is_renewed_into_files_before_it_ends_and_is_over_with_the_pod(pods: Pods) -> None:
    keys = {"tls.crt": "certificate", "tls.key": "private_key", "ca.pem": "issuing_ca"}
    named = {"common_name": "etl.example.com", "ttl": "12s"}
    requested = [
        VaultSecret(
            f"tests-pki/issue/{role}",
            engine="dynamic",
            parameters=named,
            files=keys,
            directory=f"/home/app/{role}",
        )
        for role in ("brief", "leased")
    ]

    run = pods.run("agent", requested, ["python", "-c", WATCH])

    assert "" == run.problem
    seen, late = json.loads(run.log)
    assert [] == late
    certificates = [serial for of_role in seen.values() for serial in of_role]
    assert set(certificates) <= {serial.replace(":", "").upper() for serial in issued(pods)}
    # One that Vault keeps no lease of ends by itself, soon; the other is revoked with the pod's login. What has
    # less than 2 s left Vault does not revoke any more.
    assert all(ends < time.time() + 12 for ends in seen["brief"].values())
    last = max(seen["leased"], key=lambda serial: seen["leased"][serial])
    deadline = time.monotonic() + 60
    while not revoked(pods, last):
        assert time.monotonic() < deadline, f"not revoked: {last}"
        time.sleep(0.1)


def revoked(pods: Pods, serial: str) -> bool:
    written = ":".join(textwrap.wrap(serial.lower(), 2))
    return bool(pods.servers.vault.request("GET", f"tests-pki/cert/{written}")["data"]["revocation_time"])
