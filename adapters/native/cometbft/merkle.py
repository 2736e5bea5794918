"""CometBFT's Merkle root over a list (RFC 6962): leaves SHA-256(0x00 ‖ item), inner nodes
SHA-256(0x01 ‖ left ‖ right), split at the largest power of two below the length."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def merkle_root(items: Sequence[bytes]) -> bytes:
    """32 bytes; of an empty list, SHA-256 of nothing."""
    match len(items):
        case 0:
            return hashlib.sha256(b"").digest()
        case 1:
            return hashlib.sha256(b"\x00" + items[0]).digest()
        case count:
            middle = 1 << (count - 1).bit_length() - 1
            left, right = merkle_root(items[:middle]), merkle_root(items[middle:])
            return hashlib.sha256(b"\x01" + left + right).digest()
