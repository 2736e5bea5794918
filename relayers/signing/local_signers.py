"""Signers whose key is in this process. Signatures are deterministic (RFC 6979) and low-s."""

from __future__ import annotations

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from adapters.codec.secp256k1 import ORDER as SECP256K1_ORDER
from adapters.spi import Scheme, SigningFailed
from relayers.signing.keystore import KeyFileError

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


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
        _check(digest)
        return self._key.sign_msg_hash(digest).to_bytes()

    def __repr__(self) -> str:
        return f"LocalSecp256k1Signer({self.public_key.hex()}, <hidden>)"


class LocalP256Signer:
    """Satisfies ``adapters.spi.Signer``."""

    scheme = Scheme.P256

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        if not isinstance(key.curve, ec.SECP256R1):
            raise KeyFileError(f"this key is on the curve {key.curve.name}; it must be P-256")
        self._key = key
        self.public_key = key.public_key().public_bytes(
            Encoding.X962, PublicFormat.UncompressedPoint
        )

    @classmethod
    def from_secret(cls, secret: bytes) -> LocalP256Signer:
        """``secret`` is 32 bytes. Raises KeyFileError."""
        number = int.from_bytes(secret, "big")
        if not 0 < number < P256_ORDER or len(secret) != 32:
            raise KeyFileError("this is not a P-256 key: it must be 32 bytes below the order")
        return cls(ec.derive_private_key(number, ec.SECP256R1()))

    async def sign(self, digest: bytes) -> bytes:
        _check(digest)
        algorithm = ec.ECDSA(utils.Prehashed(hashes.SHA256()), deterministic_signing=True)
        try:
            r, s = utils.decode_dss_signature(self._key.sign(digest, algorithm))
        except UnsupportedAlgorithm as error:
            raise SigningFailed("the OpenSSL here cannot sign deterministically") from error
        low = min(s, P256_ORDER - s)
        return r.to_bytes(32, "big") + low.to_bytes(32, "big") + b"\x00"

    def __repr__(self) -> str:
        return f"LocalP256Signer({self.public_key.hex()}, <hidden>)"


def _check(digest: bytes) -> None:
    if len(digest) != 32:
        raise SigningFailed(f"a digest is 32 bytes, and this one is {len(digest)}")
