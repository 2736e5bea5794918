"""RLP, Ethereum's encoding of nested byte strings (Yellow Paper, appendix B). Encoding only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Union

Item = Union[bytes, int, Sequence["Item"]]  # noqa: UP007 - a recursive alias needs the old form


def encode(item: Item) -> bytes:
    """Numbers are written big-endian without leading zeros; zero is the empty string."""
    if isinstance(item, int):
        return encode(item.to_bytes((item.bit_length() + 7) // 8, "big"))
    if isinstance(item, bytes):
        if len(item) == 1 and item[0] < 0x80:
            return item
        return _prefix(len(item), 0x80) + item
    body = b"".join(encode(part) for part in item)
    return _prefix(len(body), 0xC0) + body


def _prefix(length: int, offset: int) -> bytes:
    if length < 56:
        return bytes([offset + length])
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([offset + 55 + len(size)]) + size
