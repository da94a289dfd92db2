"""What programs take as their files: libpq and ssh want private ones, a keystore has to be exact."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs12,
)

from airflow_k8s_vault import VaultFile, VaultSecret
from tests.delivery.pods import Pods

pytestmark = pytest.mark.integration
SSH_KEYGEN = shutil.which("ssh-keygen")


@pytest.fixture(scope="module")
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


def public(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def test_psql_takes_its_password_from_a_private_file_and_from_no_other(pods: Pods) -> None:
    at = urlsplit(pods.servers.postgres.uri())
    line = f"{at.hostname}:{at.port}:*:{at.username}:{at.password}\n"
    pods.servers.setup.kv("secret/payments/pgpass", {"line": line})
    requested = VaultSecret(
        "secret/payments/pgpass",
        files=[
            VaultFile(".pgpass", key="line", mode="0400", directory="/home/etl/private"),
            VaultFile("open", key="line"),
        ],
    )
    connect = f"psql -w -h {at.hostname} -p {at.port} -U {at.username} -d postgres -Atc"
    script = (
        f"PGPASSFILE=/home/etl/private/.pgpass {connect} 'select 40 + 2' &&"
        f" ! PGPASSFILE=/vault/secrets/open {connect} 'select 1' 2>&1"
    )

    run = pods.run("agent", [requested], ["sh", "-c", script], template="payments/etl")

    assert "" == run.problem
    assert "42" == run.log.splitlines()[0], run.log
    assert "has group or world access" in run.log


@pytest.mark.skipif(
    "KUBECONFIG" in os.environ,
    reason="no image of the other tests has ssh-keygen, and a cluster pulls none for this",
)
@pytest.mark.skipif(
    SSH_KEYGEN is None, reason="devcluster's images have this machine's programs, and here is no ssh-keygen"
)
def test_ssh_keygen_takes_a_key_file(pods: Pods, key: Ed25519PrivateKey) -> None:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    pods.servers.setup.kv("secret/payments/ssh", {"id_ed25519": private})
    template = (pods.servers.templates_dir / "base.yaml.j2").read_text()
    # ssh-keygen runs for a user that /etc/passwd knows.
    template = template.replace("10001", "65534").replace("{{ images.python }}", "buildpack-deps:trixie-scm")
    (pods.servers.templates_dir / "payments/ssh.yaml.j2").write_text(template)
    (pods.servers.templates_dir / "payments/ssh.vars.yaml").write_text(
        (pods.servers.templates_dir / "base.vars.yaml").read_text()
    )
    requested = VaultSecret(
        "secret/payments/ssh", file="id_ed25519", key="id_ed25519", mode="0400", directory="/home/etl/.ssh"
    )

    command = ["ssh-keygen", "-y", "-f", "/home/etl/.ssh/id_ed25519"]
    run = pods.run("agent", [requested], command, template="payments/ssh")

    assert ("", public(key)) == (run.problem, run.log.strip())


@pytest.mark.parametrize("delivery", ["agent", "secret"])
def test_a_keystore_arrives_byte_for_byte(pods: Pods, key: Ed25519PrivateKey, delivery: str) -> None:
    name, now = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "etl")]), datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1)
    builder = builder.public_key(key.public_key()).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    store = pkcs12.serialize_key_and_certificates(
        b"etl", key, builder.sign(key, None), None, BestAvailableEncryption(b"changeit")
    )
    pods.servers.setup.kv("secret/payments/keystore", {"p12": base64.b64encode(store).decode()})
    requested = VaultSecret("secret/payments/keystore", file="keystore.p12", key="p12", decode="base64")

    run = pods.run(delivery, [requested], ["sha256sum", "/vault/secrets/keystore.p12"])

    assert ("", hashlib.sha256(store).hexdigest()) == (run.problem, run.log.split()[0])
