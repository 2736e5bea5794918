"""An X.509 identity of an MSP, and how it signs for Fabric."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fabric_protos.msp import identities_pb2

from adapters.p256_signer import P256_ORDER
from adapters.spi import Scheme, Signer


class NotAnIdentity(ValueError):
    """The certificate is not one that Fabric takes, or belongs to another key."""


@dataclass(frozen=True, slots=True)
class Identity:
    """``certificate`` is X.509 in PEM; ``signer`` holds its private key. See ``identity_of``."""

    msp_id: str
    certificate: bytes
    signer: Signer

    @property
    def serialized(self) -> bytes:
        """The creator of proposals: msp.SerializedIdentity."""
        encoded: bytes = identities_pb2.SerializedIdentity(
            mspid=self.msp_id, id_bytes=self.certificate
        ).SerializeToString()
        return encoded

    async def sign(self, message: bytes) -> bytes:
        """ECDSA over the SHA-256 of the message, in DER. Of the two values of s it takes the low
        one: peers and orderers refuse the other. Raises SigningFailed."""
        signature = await self.signer.sign(hashlib.sha256(message).digest())
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
        return encode_dss_signature(r, min(s, P256_ORDER - s))


def identity_of(msp_id: str, certificate: bytes, signer: Signer) -> Identity:
    """Checks that the key is the certificate's. Raises NotAnIdentity."""
    if signer.scheme is not Scheme.P256:
        raise NotAnIdentity(f"Fabric identities sign with P-256; the key is {signer.scheme.value}")
    if public_key_of(certificate) != signer.public_key:
        raise NotAnIdentity("the certificate belongs to another key than the one that signs")
    return Identity(msp_id, certificate, signer)


def public_key_of(certificate: bytes) -> bytes:
    """The uncompressed point (65 bytes) of a certificate's P-256 key. Raises NotAnIdentity."""
    try:
        key = x509.load_pem_x509_certificate(certificate).public_key()
    except ValueError as error:
        raise NotAnIdentity("the certificate is not X.509 in PEM") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise NotAnIdentity("the certificate's key is not ECDSA on P-256")
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
