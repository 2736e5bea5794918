"""Blocks as peers encode them, and the hash by which a channel is known."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from fabric_protos.common import common_pb2

from adapters.fabric.block import NotABlock, chain_of, header_hash, read_block
from adapters.model import ChainId


@pytest.mark.parametrize(
    ("number", "integer"),
    [
        (0, "020100"),
        (1, "020101"),
        (127, "02017f"),
        (128, "02020080"),
        (255, "020200ff"),
        (256, "02020100"),
        (2**63, "0209008000000000000000"),
    ],
)
def test_the_header_is_hashed_in_der(number: int, integer: str) -> None:
    previous, data = bytes(32), b"\xff" * 32
    body = bytes.fromhex(integer) + b"\x04\x20" + previous + b"\x04\x20" + data
    der = b"\x30" + bytes([len(body)]) + body
    assert header_hash(number, previous, data) == hashlib.sha256(der).digest()


def test_the_genesis_header_has_an_empty_previous_hash() -> None:
    der = b"\x30\x27" + b"\x02\x01\x00" + b"\x04\x00" + b"\x04\x20" + bytes(32)
    assert header_hash(0, b"", bytes(32)) == hashlib.sha256(der).digest()


def test_a_long_field_has_a_long_length() -> None:
    body = b"\x02\x01\x00" + b"\x04\x81\x80" + bytes(128) + b"\x04\x82\x01\x00" + bytes(256)
    der = b"\x30\x82" + len(body).to_bytes(2, "big") + body
    assert header_hash(0, bytes(128), bytes(256)) == hashlib.sha256(der).digest()


def test_a_channel_is_named_by_half_its_genesis_hash() -> None:
    assert chain_of(bytes(range(32))) == ChainId("fabric", bytes(range(16)).hex())


def envelope(transaction: str) -> bytes:
    header = common_pb2.ChannelHeader(tx_id=transaction).SerializeToString()
    payload = common_pb2.Payload(header=common_pb2.Header(channel_header=header))
    encoded: bytes = common_pb2.Envelope(payload=payload.SerializeToString()).SerializeToString()
    return encoded


def block(codes: bytes, *envelopes: bytes) -> Any:
    made = common_pb2.Block()
    made.header.number = 7
    made.header.previous_hash = bytes(32)
    made.header.data_hash = hashlib.sha256(b"".join(envelopes)).digest()
    made.data.data.extend(envelopes)
    made.metadata.metadata.extend([b"", b"", codes, b"", b""])
    return made


def test_transactions_come_with_their_validation_codes() -> None:
    made = block(b"\x00\x0b\xfe", envelope("a"), envelope("b"), envelope(""))
    read = read_block(made.SerializeToString())
    assert (read.number, read.previous_hash) == (7, bytes(32))
    assert read.hash == header_hash(7, bytes(32), made.header.data_hash)
    told = [(entry.id, entry.valid, entry.status) for entry in read.transactions]
    assert told == [
        ("a", True, "VALID"),
        ("b", False, "MVCC_READ_CONFLICT"),
        ("", False, "NOT_VALIDATED"),
    ]


def test_what_contradicts_itself_is_not_a_block() -> None:
    for encoded in (b"\xff\xff", block(b"\x00\x00", envelope("a")).SerializeToString()):
        with pytest.raises(NotABlock):
            read_block(encoded)
    forged = block(b"\x00", envelope("a"))
    forged.data.data[0] = envelope("b")
    with pytest.raises(NotABlock, match="does not fit its header"):
        read_block(forged.SerializeToString())
