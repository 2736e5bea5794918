"""Signers whose key is in this process. Signatures are deterministic (RFC 6979) and low-s."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec

from adapters.codec.secp256k1 import ORDER as SECP256K1_ORDER
from adapters.p256_signer import P256_ORDER, P256Signer
from adapters.spi import Scheme, SigningFailed
from relayers.signing.keystore import KeyFileError


class LocalSecp256k1Signer:
    """Satisfies ``adapters.spi.Signer``. ``secret`` is 32 bytes. Raises KeyFileError."""

    scheme = Scheme.SECP256K1

    def __init__(self, secret: bytes) -> None:
        from eth_keys.datatypes import PrivateKey

        if not 0 < int.from_bytes(secret, "big") < SECP256K1_ORDER or len(secret) != 32:
            raise KeyFileError("this is not a secp256k1 key: it must be 32 bytes below the order")
        self._key = PrivateKey(secret)
        self.public_key = b"\x04" + self._key.public_key.to_bytes()

    async def sign(self, digest: bytes) -> bytes:
        if len(digest) != 32:
            raise SigningFailed(f"a digest is 32 bytes, and this one is {len(digest)}")
        return self._key.sign_msg_hash(digest).to_bytes()

    def __repr__(self) -> str:
        return f"LocalSecp256k1Signer({self.public_key.hex()}, <hidden>)"


class LocalP256Signer(P256Signer):
    """A P-256 signer of a key that an operator gave. Raises KeyFileError for one on another
    curve."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        if not isinstance(key.curve, ec.SECP256R1):
            raise KeyFileError(f"this key is on the curve {key.curve.name}; it must be P-256")
        super().__init__(key)

    @classmethod
    def from_secret(cls, secret: bytes) -> LocalP256Signer:
        """``secret`` is 32 bytes. Raises KeyFileError."""
        number = int.from_bytes(secret, "big")
        if not 0 < number < P256_ORDER or len(secret) != 32:
            raise KeyFileError("this is not a P-256 key: it must be 32 bytes below the order")
        return cls(ec.derive_private_key(number, ec.SECP256R1()))
