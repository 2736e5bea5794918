"""Proposals and transactions, built and read with Fabric's own messages.

A transaction's id is SHA-256(nonce ‖ creator) in hex, so it is known before anything is sent and
belongs to its creator alone. The header of the proposal becomes the header of the transaction:
what an endorser signs, what the client signs and what is committed name the same id, channel,
creator, chaincode and timestamp.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fabric_protos.common import common_pb2
from fabric_protos.peer import chaincode_pb2, proposal_pb2, transaction_pb2
from google.protobuf.message import DecodeError

from adapters.fabric.identity import Identity

_NONCE_BYTES = 24


class NotOurTransaction(ValueError):
    """The prepared transaction is not the one that was proposed: it must not be signed."""


@dataclass(frozen=True, slots=True, repr=False)
class Proposal:
    """A signed proposal. Its bytes hold the arguments: of a claim, the preimage."""

    transaction: str
    channel: str
    signed: Any
    """peer.SignedProposal"""
    header: bytes
    input: bytes


async def propose(
    identity: Identity, channel: str, chaincode: str, words: Sequence[bytes], timestamp: int
) -> Proposal:
    """``words``: the function's name and its arguments. ``timestamp``: nanoseconds since 1970.

    Raises SigningFailed.
    """
    creator = identity.serialized
    nonce = os.urandom(_NONCE_BYTES)
    transaction = hashlib.sha256(nonce + creator).hexdigest()
    called = chaincode_pb2.ChaincodeID(name=chaincode)
    channel_header = common_pb2.ChannelHeader(
        type=common_pb2.ENDORSER_TRANSACTION,
        channel_id=channel,
        tx_id=transaction,
        extension=proposal_pb2.ChaincodeHeaderExtension(chaincode_id=called).SerializeToString(),
    )
    channel_header.timestamp.FromNanoseconds(timestamp)
    header: bytes = common_pb2.Header(
        channel_header=channel_header.SerializeToString(),
        signature_header=common_pb2.SignatureHeader(
            creator=creator, nonce=nonce
        ).SerializeToString(),
    ).SerializeToString()
    invocation: bytes = chaincode_pb2.ChaincodeInvocationSpec(
        chaincode_spec=chaincode_pb2.ChaincodeSpec(
            type=chaincode_pb2.ChaincodeSpec.NODE,  # what Fabric's clients send for any language
            chaincode_id=called,
            input=chaincode_pb2.ChaincodeInput(args=list(words)),
        )
    ).SerializeToString()
    body: bytes = proposal_pb2.Proposal(
        header=header,
        payload=proposal_pb2.ChaincodeProposalPayload(input=invocation).SerializeToString(),
    ).SerializeToString()
    signed = proposal_pb2.SignedProposal(proposal_bytes=body, signature=await identity.sign(body))
    return Proposal(transaction, channel, signed, header, invocation)


def check_prepared(proposal: Proposal, envelope: Any) -> None:
    """Refuses to let the client sign what it did not propose (NotOurTransaction).

    What the endorsers wrote is for the policy to judge; header and input are the client's.
    """
    try:
        payload = common_pb2.Payload.FromString(envelope.payload)
        transaction = transaction_pb2.Transaction.FromString(payload.data)
        inputs = []
        for action in transaction.actions:
            signed = transaction_pb2.ChaincodeActionPayload.FromString(action.payload)
            proposed = proposal_pb2.ChaincodeProposalPayload.FromString(
                signed.chaincode_proposal_payload
            )
            inputs.append(proposed.input)
    except DecodeError as error:
        raise NotOurTransaction("the gateway's prepared transaction cannot be decoded") from error
    own = common_pb2.Header.FromString(proposal.header)
    if payload.header != own or inputs != [proposal.input]:
        raise NotOurTransaction("the gateway prepared another transaction than the one proposed")
