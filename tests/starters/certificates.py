"""A certificate authority of a test's own, for the names of clouds and for clusters' endpoints."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

_DAY = datetime.timedelta(days=1)


class Certificates(NamedTuple):
    """Files, as PEM: the authority's certificate, a server's, and its key."""

    ca: Path
    certificate: Path
    key: Path


def make(folder: Path, names: tuple[str, ...]) -> Certificates:
    """Make an authority, and one certificate of it for all these names and for 127.0.0.1."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name, name = _name("clouds-ca"), _name(names[0])
    ca = _builder(ca_name, ca_name, ca_key.public_key()).add_extension(x509.BasicConstraints(True, 0), True)
    alternatives = [x509.DNSName(each) for each in names]
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    leaf = _builder(name, ca_name, key.public_key())
    leaf = leaf.add_extension(x509.SubjectAlternativeName([*alternatives, address]), False)
    leaf = leaf.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), False)
    made = Certificates(folder / "clouds-ca.pem", folder / "clouds.pem", folder / "clouds.key")
    made.ca.write_bytes(ca.sign(ca_key, hashes.SHA256()).public_bytes(Encoding.PEM))
    made.certificate.write_bytes(leaf.sign(ca_key, hashes.SHA256()).public_bytes(Encoding.PEM))
    made.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return made


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    start = datetime.datetime.now(datetime.UTC) - _DAY
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(start)
    builder = builder.not_valid_after(start + 3 * _DAY)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), False)
