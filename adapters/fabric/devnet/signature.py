"""ECDSA over P-256 and SHA-256 as Fabric wants it: DER, and s in the lower half of the order.

Every ECDSA signature has a twin with the other s; Fabric accepts only the low one, so that a
signed transaction cannot be changed without its key (``bccsp/utils/ecdsa.go`` in Fabric).
"""

from __future__ import annotations

import cryptography.exceptions
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class InvalidSignature(Exception):
    """The signature is not one that Fabric accepts from this key; the message says why."""


def sign(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    """A DER signature over SHA-256 of the data, with a low s."""
    r, s = utils.decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return utils.encode_dss_signature(r, min(s, ORDER - s))


def verify(key: ec.EllipticCurvePublicKey, data: bytes, signature: bytes) -> None:
    """Returns if the signature is the key's over SHA-256 of the data. Raises InvalidSignature."""
    try:
        _, s = utils.decode_dss_signature(signature)
    except ValueError as error:
        raise InvalidSignature("signature is not DER-encoded ECDSA") from error
    if not 0 < s <= ORDER // 2:
        raise InvalidSignature("signature has a high s; Fabric accepts only the low one")
    try:
        key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
    except cryptography.exceptions.InvalidSignature as error:
        raise InvalidSignature("signature does not match the data and the key") from error
