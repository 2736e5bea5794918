"""A P-256 private key from a PEM file, in this process."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from adapters.fabric.identity import P256_ORDER
from adapters.spi import Scheme, SigningFailed


class PemSigner:
    """Signs with a key as Fabric's CA tools write it: PEM, unencrypted, P-256."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key

    @classmethod
    def load(cls, path: Path) -> PemSigner:
        """Raises SigningFailed; the message names the file, never what is in it."""
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except OSError as error:
            raise SigningFailed(f"key file {path} cannot be read: {error.strerror}") from error
        except (ValueError, TypeError):
            raise SigningFailed(f"key file {path} is not an unencrypted key in PEM") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(
            key.curve, ec.SECP256R1
        ):
            raise SigningFailed(f"the key in {path} is not ECDSA on P-256")
        return cls(key)

    @property
    def scheme(self) -> Scheme:
        return Scheme.P256

    @property
    def public_key(self) -> bytes:
        return self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    async def sign(self, digest: bytes) -> bytes:
        if len(digest) != 32:
            raise SigningFailed(f"a digest of {len(digest)} bytes cannot be signed; it must be 32")
        encoded = self._key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256())))
        r, s = decode_dss_signature(encoded)
        return r.to_bytes(32, "big") + min(s, P256_ORDER - s).to_bytes(32, "big") + b"\x00"

    def __repr__(self) -> str:
        return "PemSigner(<hidden>)"
