"""Certificates for what runs on one machine in development: authorities, TLS servers, identities.

Used by the Fabric development network and for the gateways' own TLS. An identity carries its role
as an organisational unit (peer, client, admin, orderer), which is what Fabric calls NodeOUs. Keys
are P-256 throughout, as Fabric's own tool makes them.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# A network made on one machine and read on another must not fail for minutes of clock difference.
_BACKDATED = timedelta(hours=1)
_LIFETIME = timedelta(days=3650)


@dataclass(frozen=True, slots=True, repr=False)
class KeyPair:
    """A private key and the certificate over its public half."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def write(self, folder: Path) -> None:
        """Writes ``key.pem`` (mode 0600) and ``certificate.pem`` into the folder, making it."""
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / "key.pem", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(self.key_pem())
        (folder / "certificate.pem").write_bytes(self.certificate_pem())

    @classmethod
    def read(cls, folder: Path) -> KeyPair:
        """The inverse of ``write``. Raises OSError, ValueError."""
        key = serialization.load_pem_private_key((folder / "key.pem").read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{folder / 'key.pem'} is not an elliptic-curve key")
        certificate = x509.load_pem_x509_certificate((folder / "certificate.pem").read_bytes())
        return cls(key, certificate)


def _name(common_name: str, organisation: str, unit: str | None) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation)]
    if unit is not None:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit))
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def make_authority(common_name: str, organisation: str) -> KeyPair:
    """A self-signed certificate authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(common_name, organisation, None)
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return KeyPair(key, certificate)


def _leaf(
    authority: KeyPair, name: x509.Name, public_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(authority.certificate.subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _LIFETIME - timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()),
            critical=False,
        )
    )


def issue_identity(
    authority: KeyPair, common_name: str, organisation: str, role: str | None
) -> KeyPair:
    """A signing identity. ``role`` is its organisational unit: peer, client, admin, orderer."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(common_name, organisation, role)
    certificate = _leaf(authority, name, key.public_key()).sign(authority.key, hashes.SHA256())
    return KeyPair(key, certificate)


def issue_tls_server(
    authority: KeyPair, common_name: str, organisation: str, hosts: Sequence[str]
) -> KeyPair:
    """A TLS server certificate for DNS names and IP addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(common_name, organisation, None)
    builder = _leaf(authority, name, key.public_key())
    builder = builder.add_extension(
        x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False
    ).add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return KeyPair(key, builder.sign(authority.key, hashes.SHA256()))


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
