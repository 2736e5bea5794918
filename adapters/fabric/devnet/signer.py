"""An identity that signs: an organisation's peer, its administrator, the orderer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from adapters.devnet_certificates import KeyPair
from adapters.fabric.devnet.msp import serialize
from adapters.fabric.devnet.signature import sign


@dataclass(frozen=True, slots=True, repr=False)
class SigningIdentity:
    """A key with the serialized identity that it signs for."""

    msp_id: str
    serialized: bytes
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def of(cls, msp_id: str, pair: KeyPair) -> SigningIdentity:
        return cls(msp_id, serialize(msp_id, pair.certificate_pem()), pair.key)

    @classmethod
    def read(cls, msp_id: str, folder: Path) -> SigningIdentity:
        """Reads ``key.pem`` and ``certificate.pem``. Raises OSError, ValueError."""
        return cls.of(msp_id, KeyPair.read(folder))

    def sign(self, data: bytes) -> bytes:
        """DER, low s, over SHA-256 of the data."""
        return sign(self.key, data)
