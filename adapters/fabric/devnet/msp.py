"""Membership: whose certificate is an identity of which organisation, and in which role.

The rules are those of Fabric's X.509 MSP with NodeOUs (``msp/mspimpl*.go``): an identity names its
MSP, its certificate chains to that MSP's CA, is no CA itself, and carries exactly one of the role
units client, peer, admin, orderer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature as InvalidCertificateSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fabric_protos.msp import identities_pb2, msp_principal_pb2
from google.protobuf.message import DecodeError

from adapters.fabric.devnet.signature import verify

ROLES = ("client", "peer", "admin", "orderer")


class UnknownIdentity(Exception):
    """The bytes do not name a certificate of an organisation of this channel."""


class InvalidIdentity(Exception):
    """The organisation is known, but the certificate is none of its valid identities."""

    def __init__(self, msp_id: str, message: str) -> None:
        super().__init__(message)
        self.msp_id = msp_id


@dataclass(frozen=True, slots=True)
class Identity:
    """A valid identity of an organisation of the channel."""

    msp_id: str
    role: str
    certificate: x509.Certificate
    public_key: ec.EllipticCurvePublicKey

    def verify(self, data: bytes, signature: bytes) -> None:
        """Raises signature.InvalidSignature."""
        verify(self.public_key, data, signature)

    def satisfies(self, principal: msp_principal_pb2.MSPPrincipal) -> bool:
        """Whether this identity is one that the principal names. Only role principals are known
        here; every other kind is satisfied by nobody."""
        if principal.principal_classification != msp_principal_pb2.MSPPrincipal.ROLE:
            return False
        try:
            role = msp_principal_pb2.MSPRole.FromString(principal.principal)
        except DecodeError:
            return False
        if role.msp_identifier != self.msp_id:
            return False
        name = msp_principal_pb2.MSPRole.MSPRoleType.Name(role.role).lower()
        return bool(name == "member" or name == self.role)

    def expired(self, now: datetime) -> bool:
        return now > self.certificate.not_valid_after_utc


def serialize(msp_id: str, certificate_pem: bytes) -> bytes:
    """An identity as it travels: the MSP's name and the certificate in PEM."""
    identity = identities_pb2.SerializedIdentity(mspid=msp_id, id_bytes=certificate_pem)
    serialized: bytes = identity.SerializeToString()
    return serialized


class Membership:
    """The organisations of a channel: MSP id to CA certificate. Reads of identities are cached."""

    def __init__(self, authorities: Mapping[str, x509.Certificate]) -> None:
        self._authorities = dict(authorities)
        self._cached = lru_cache(maxsize=1024)(self._read)

    @property
    def msp_ids(self) -> tuple[str, ...]:
        return tuple(self._authorities)

    def identity(self, serialized: bytes) -> Identity:
        """Reads a SerializedIdentity. Raises UnknownIdentity, InvalidIdentity.

        Expiry is not looked at: a block's validation must not depend on when it is read. Those
        who take in proposals and envelopes check it.
        """
        return self._cached(serialized)

    def _read(self, serialized: bytes) -> Identity:
        try:
            named = identities_pb2.SerializedIdentity.FromString(serialized)
            certificate = x509.load_pem_x509_certificate(named.id_bytes)
        except (DecodeError, ValueError) as error:
            raise UnknownIdentity("identity is not a PEM certificate with an MSP id") from error
        authority = self._authorities.get(named.mspid)
        if authority is None:
            raise UnknownIdentity(f"MSP {named.mspid} is unknown")
        try:
            certificate.verify_directly_issued_by(authority)
        except (InvalidCertificateSignature, ValueError, TypeError) as error:
            raise UnknownIdentity(
                f"certificate was not issued by the CA of {named.mspid}"
            ) from error
        key = certificate.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(
            key.curve, ec.SECP256R1
        ):
            raise InvalidIdentity(named.mspid, "certificate's key is not on the curve P-256")
        if _is_authority(certificate):
            raise InvalidIdentity(named.mspid, "a CA certificate cannot act as an identity")
        units = [
            attribute.value
            for attribute in certificate.subject.get_attributes_for_oid(
                NameOID.ORGANIZATIONAL_UNIT_NAME
            )
        ]
        roles = [role for role in ROLES if role in units]
        if len(roles) != 1:
            raise InvalidIdentity(
                named.mspid, f"certificate must have one unit of {', '.join(ROLES)}; it has {units}"
            )
        return Identity(named.mspid, roles[0], certificate, key)


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return bool(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except x509.ExtensionNotFound:
        return False
