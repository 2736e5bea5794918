"""secp256k1 signatures as chains and offers carry them: 65 bytes, r ‖ s ‖ recovery id, s low.

Recovery takes digests, never messages. High-s signatures are refused everywhere: each has a low
twin, and two valid signatures for one statement break what counts on there being one.

``eth_keys`` works with libsecp256k1 (``coincurve``) where that is installed, and else by arithmetic
of its own, which does not look whether a point is on the curve: so that is looked at here.
"""

from __future__ import annotations

from eth_keys.datatypes import PublicKey, Signature
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError

from adapters.codec.keccak import keccak256
from adapters.model import InvalidValue

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
FIELD = 2**256 - 2**32 - 977


def recover(digest: bytes, signature: bytes) -> bytes:
    """The public key (65 bytes, uncompressed) that made this signature. Raises InvalidValue."""
    if len(digest) != 32:
        raise InvalidValue(f"digest is {len(digest)} bytes; it must be 32")
    if len(signature) != 65 or signature[64] not in (0, 1):
        raise InvalidValue("signature must be 65 bytes: r, s, and a recovery id of 0 or 1")
    if not 0 < int.from_bytes(signature[32:64], "big") <= ORDER // 2:
        raise InvalidValue("signature has a high s; only the low one of the two is accepted")
    try:
        key = Signature(signature).recover_public_key_from_msg_hash(digest)
    except (BadSignature, ValidationError, ValueError) as error:
        raise InvalidValue("signature does not belong to any key") from error
    if not _on_curve(key.to_bytes()):
        raise InvalidValue("signature does not belong to any key")
    return b"\x04" + key.to_bytes()


def _on_curve(point: bytes) -> bool:
    """Of x ‖ y: y² = x³ + 7 in the field (SEC 2, section 2.4.1)."""
    x, y = int.from_bytes(point[:32], "big"), int.from_bytes(point[32:], "big")
    return x < FIELD and y < FIELD and (y * y - x * x * x - 7) % FIELD == 0


def address_of(public_key: bytes) -> bytes:
    """The Ethereum address (20 bytes) of an uncompressed public key."""
    if len(public_key) != 65 or public_key[0] != 4:
        raise InvalidValue("public key must be 65 bytes, uncompressed")
    return keccak256(public_key[1:])[-20:]


def compress(public_key: bytes) -> bytes:
    """The 33-byte form of an uncompressed public key."""
    if len(public_key) != 65 or public_key[0] != 4:
        raise InvalidValue("public key must be 65 bytes, uncompressed")
    return bytes([2 + (public_key[64] & 1)]) + public_key[1:33]


def decompress(public_key: bytes) -> bytes:
    """The 65-byte form of a compressed public key. Raises InvalidValue."""
    try:
        point: bytes = PublicKey.from_compressed_bytes(public_key).to_bytes()
    except (ValidationError, ValueError) as error:
        raise InvalidValue("public key is not a point of the curve") from error
    if not _on_curve(point):
        raise InvalidValue("public key is not a point of the curve")
    return b"\x04" + point
