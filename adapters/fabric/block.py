"""Blocks and transactions of a channel, read out of Fabric's own encoding.

The hash of a block is the SHA-256 of its header in DER:

    SEQUENCE { INTEGER number, OCTET STRING previous hash, OCTET STRING data hash }

The genesis block's header has number 0 and an empty previous hash; the first 32 hex digits of its
hash are the reference of the channel's CAIP-2 id. Signatures and validation codes are in the
block's metadata, which the hash leaves out: all peers give one block one hash.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from fabric_protos.common import common_pb2
from fabric_protos.peer import transaction_pb2
from google.protobuf.message import DecodeError

from adapters.model import ChainId

NAMESPACE = "fabric"

_SEQUENCE, _INTEGER, _OCTETS = b"\x30", b"\x02", b"\x04"
_VALID = 0


class NotABlock(ValueError):
    """The bytes are not a block of Fabric, or one that contradicts itself."""


@dataclass(frozen=True, slots=True)
class BlockTransaction:
    """One envelope of a block. ``id`` is empty for what is not a chaincode's transaction."""

    id: str
    code: int
    """The validation code that the peer gave it when it committed the block."""
    raw: bytes
    timestamp: int
    """Seconds since 1970, as whoever made it says."""

    @property
    def status(self) -> str:
        return validation_code_name(self.code)

    @property
    def valid(self) -> bool:
        return self.code == _VALID


@dataclass(frozen=True, slots=True)
class FabricBlock:
    number: int
    hash: bytes
    previous_hash: bytes
    transactions: tuple[BlockTransaction, ...]


def header_hash(number: int, previous_hash: bytes, data_hash: bytes) -> bytes:
    """32 bytes; see the module."""
    body = (
        _der(_INTEGER, _unsigned(number)) + _der(_OCTETS, previous_hash) + _der(_OCTETS, data_hash)
    )
    return hashlib.sha256(_der(_SEQUENCE, body)).digest()


def chain_of(genesis_hash: bytes) -> ChainId:
    """The CAIP-2 id of the channel with this genesis header hash."""
    return ChainId(NAMESPACE, genesis_hash.hex()[:32])


def read_block(encoded: bytes) -> FabricBlock:
    """Decodes a block and checks that its data fits its header. Raises NotABlock."""
    try:
        block = common_pb2.Block.FromString(encoded)
        envelopes = list(block.data.data)
        if hashlib.sha256(b"".join(envelopes)).digest() != block.header.data_hash:
            raise NotABlock(f"the data of block {block.header.number} does not fit its header")
        codes = _validation_codes(block, len(envelopes))
        transactions = tuple(
            BlockTransaction(header.tx_id, code, raw, header.timestamp.seconds)
            for raw, code in zip(envelopes, codes, strict=True)
            for header in (_channel_header(raw),)
        )
    except DecodeError as error:
        raise NotABlock("the peer's answer is not an encoded block") from error
    header = block.header
    return FabricBlock(
        header.number,
        header_hash(header.number, header.previous_hash, header.data_hash),
        header.previous_hash,
        transactions,
    )


def validation_code_name(code: int) -> str:
    """Fabric's word for a validation code, for example MVCC_READ_CONFLICT."""
    try:
        name: str = transaction_pb2.TxValidationCode.Name(code)
    except ValueError:
        return f"validation code {code}"
    return name


def _validation_codes(block: Any, count: int) -> bytes:
    """One byte a transaction. A block without them (the genesis block) holds configuration, which
    is valid by being there."""
    index: int = common_pb2.TRANSACTIONS_FILTER
    metadata = block.metadata.metadata
    codes: bytes = metadata[index] if len(metadata) > index else b""
    if len(codes) == count:
        return codes
    if codes:
        raise NotABlock(f"block {block.header.number} has {len(codes)} codes for {count} entries")
    return bytes(count)


def _channel_header(envelope: bytes) -> Any:
    payload = common_pb2.Payload.FromString(common_pb2.Envelope.FromString(envelope).payload)
    return common_pb2.ChannelHeader.FromString(payload.header.channel_header)


def _unsigned(number: int) -> bytes:
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


def _der(tag: bytes, body: bytes) -> bytes:
    length = len(body)
    if length < 128:
        return tag + bytes([length]) + body
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return tag + bytes([128 | len(size)]) + size + body
