"""The few protobuf fields that CometBFT's hashes are made of, written by hand.

Fields that hold their default are left out, as proto3 says; an embedded message that Go keeps by
value is always written, even if empty. Sources: CometBFT 0.38, ``proto/tendermint/types``.
"""

from __future__ import annotations

from adapters.native.app.timestamp import Timestamp


def varint(value: int) -> bytes:
    """Base-128, least significant group first; negatives as 64-bit two's complement."""
    value &= 2**64 - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def integer(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value) if value else b""


def fixed64(field: int, value: int) -> bytes:
    return varint(field << 3 | 1) + value.to_bytes(8, "little", signed=True) if value else b""


def octets(field: int, value: bytes) -> bytes:
    return message(field, value) if value else b""


def text(field: int, value: str) -> bytes:
    return octets(field, value.encode())


def message(field: int, value: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(value)) + value


def timestamp(value: Timestamp) -> bytes:
    return integer(1, value.seconds) + integer(2, value.nanos)
