"""The API's own certificate authority: made at the start, kept in the cluster's folder, trusted by nobody else.

Needed by TLS to the API, which Vault and the clients verify.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import trustme

from k8s_vault_devcluster import private_file

_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")


@dataclass(frozen=True)
class ServerCertificate:
    """`ca` is PEM text; `certificate` and `key` are files."""

    ca: str
    certificate: Path
    key: Path


def make(folder: Path, host: str) -> ServerCertificate:
    """Make a CA and a certificate for `host`, an IP address. The CA's key is forgotten at once."""
    authority = trustme.CA(organization_name="devcluster")
    certificate = authority.issue_cert(*_NAMES, host)
    made = ServerCertificate(
        authority.cert_pem.bytes().decode(), folder / "apiserver.crt", folder / "apiserver.key"
    )
    certificate.cert_chain_pems[0].write_to_path(made.certificate)
    private_file.write(made.key, certificate.private_key_pem.bytes().decode())
    return made
