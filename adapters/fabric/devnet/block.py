"""Blocks: how they are hashed, linked, signed and read.

    header hash = SHA-256(DER(SEQUENCE { INTEGER number, OCTET STRING previous,
                                      OCTET STRING data hash }))
    data hash   = SHA-256(the envelopes, one after the other)

as ``protoutil/blockutils.go`` in Fabric computes them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

from fabric_protos.common import common_pb2
from fabric_protos.peer import (
    chaincode_event_pb2,
    proposal_pb2,
    proposal_response_pb2,
    transaction_pb2,
)
from google.protobuf.message import DecodeError

from adapters.fabric.devnet.signer import SigningIdentity

SIGNATURES = common_pb2.SIGNATURES
FILTER = common_pb2.TRANSACTIONS_FILTER
COMMIT_HASH = common_pb2.COMMIT_HASH
_METADATA_SLOTS = 5


def _der(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(size))) + size + content


def header_bytes(header: common_pb2.BlockHeader) -> bytes:
    """The header in ASN.1 DER: what its hash and the orderers' signatures are over."""
    number = header.number.to_bytes(header.number.bit_length() // 8 + 1, "big")
    return _der(
        0x30,
        _der(0x02, number) + _der(0x04, header.previous_hash) + _der(0x04, header.data_hash),
    )


def header_hash(header: common_pb2.BlockHeader) -> bytes:
    """32 bytes."""
    return hashlib.sha256(header_bytes(header)).digest()


def data_hash(envelopes: Sequence[bytes]) -> bytes:
    """32 bytes."""
    return hashlib.sha256(b"".join(envelopes)).digest()


def make_block(number: int, previous_hash: bytes, envelopes: Sequence[bytes]) -> common_pb2.Block:
    """A block whose metadata is still empty."""
    return common_pb2.Block(
        header=common_pb2.BlockHeader(
            number=number, previous_hash=previous_hash, data_hash=data_hash(envelopes)
        ),
        data=common_pb2.BlockData(data=envelopes),
        metadata=common_pb2.BlockMetadata(metadata=[b""] * _METADATA_SLOTS),
    )


def sign_block(block: common_pb2.Block, orderer: SigningIdentity) -> None:
    """Puts the ordering service's signature into the block's metadata."""
    value = common_pb2.OrdererBlockMetadata(
        last_config=common_pb2.LastConfig(index=0)
    ).SerializeToString()
    creator = common_pb2.SignatureHeader(
        creator=orderer.serialized, nonce=os.urandom(24)
    ).SerializeToString()
    signature = orderer.sign(value + creator + header_bytes(block.header))
    block.metadata.metadata[SIGNATURES] = common_pb2.Metadata(
        value=value,
        signatures=[common_pb2.MetadataSignature(signature_header=creator, signature=signature)],
    ).SerializeToString()


@dataclass(frozen=True, slots=True)
class EmittedEvent:
    """A chaincode's event in a block, with the place of its transaction."""

    position: int
    event: chaincode_event_pb2.ChaincodeEvent


def valid_events(block: common_pb2.Block) -> list[EmittedEvent]:
    """The chaincode events of the block's valid transactions, in the block's order."""
    flags = block.metadata.metadata[FILTER]
    events: list[EmittedEvent] = []
    for position, envelope in enumerate(block.data.data):
        if flags[position] != transaction_pb2.VALID:
            continue
        event = _event(envelope)
        if event is not None:
            events.append(EmittedEvent(position, event))
    return events


def _event(envelope: bytes) -> chaincode_event_pb2.ChaincodeEvent | None:
    try:
        payload = common_pb2.Payload.FromString(common_pb2.Envelope.FromString(envelope).payload)
        header = common_pb2.ChannelHeader.FromString(payload.header.channel_header)
        if header.type != common_pb2.ENDORSER_TRANSACTION:
            return None
        transaction = transaction_pb2.Transaction.FromString(payload.data)
        action = chaincode_action(transaction.actions[0])
        event = chaincode_event_pb2.ChaincodeEvent.FromString(action.events)
    except (DecodeError, IndexError):
        return None
    return event if event.chaincode_id and event.event_name and event.tx_id else None


def chaincode_action(action: transaction_pb2.TransactionAction) -> proposal_pb2.ChaincodeAction:
    """What a chaincode answered, wrote and emitted, out of a transaction. Raises DecodeError."""
    payload = transaction_pb2.ChaincodeActionPayload.FromString(action.payload)
    response = proposal_response_pb2.ProposalResponsePayload.FromString(
        payload.action.proposal_response_payload
    )
    return proposal_pb2.ChaincodeAction.FromString(response.extension)
