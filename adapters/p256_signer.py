"""Signs with an ECDSA key on P-256 that is in this process: deterministic (RFC 6979), s low."""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from adapters.spi import Scheme, SigningFailed

P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""n of the curve (SEC 2, 2.4.2)."""


class P256Signer:
    """Satisfies ``Signer``. Whoever makes one sees to it that the key is on P-256."""

    scheme = Scheme.P256

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        self.public_key = key.public_key().public_bytes(
            Encoding.X962, PublicFormat.UncompressedPoint
        )

    async def sign(self, digest: bytes) -> bytes:
        if len(digest) != 32:
            raise SigningFailed(f"a digest is 32 bytes, and this one is {len(digest)}")
        algorithm = ec.ECDSA(utils.Prehashed(hashes.SHA256()), deterministic_signing=True)
        try:
            r, s = utils.decode_dss_signature(self._key.sign(digest, algorithm))
        except UnsupportedAlgorithm as error:
            raise SigningFailed("the OpenSSL here cannot sign deterministically") from error
        low = min(s, P256_ORDER - s)
        return r.to_bytes(32, "big") + low.to_bytes(32, "big") + b"\x00"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.public_key.hex()}, <hidden>)"
