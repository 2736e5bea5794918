"""Proposals that are wrong in one way each, by name: malformed, unsigned, signed by the wrong key
or the wrong way, by somebody unknown."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fabric_protos.common import common_pb2
from fabric_protos.msp import identities_pb2
from fabric_protos.peer import (
    chaincode_pb2,
    proposal_pb2,
)

from tests.adapters.fabric.devnet.gateway_client import GatewayClient, Proposal, User
from tests.networks.fabric import CHAINCODE, TOKEN
from tests.networks.fabric_strangers import GARBAGE, msp_of, sign_with_another_key, stranger

WORDS = ("put", "faulty", "x")
Change = Callable[[Any], None]


@dataclass
class Parts:
    """Of a proposal, to be changed before they are put together and signed."""

    client: GatewayClient
    channel_header: Any
    signature_header: Any
    extension: Any
    invocation: Any
    transient: dict[str, bytes]
    request_id: str | None = None
    """The transaction id beside the proposal; by default its own."""
    header: bytes | None = None
    payload: bytes | None = None
    body: bytes | None = None
    sign: Callable[[bytes], bytes] | None = None


def _parts(client: GatewayClient) -> Parts:
    proposal = client.proposal(*WORDS, chaincode=TOKEN)
    body = proposal_pb2.Proposal.FromString(proposal.signed.proposal_bytes)
    header = common_pb2.Header.FromString(body.header)
    channel_header = common_pb2.ChannelHeader.FromString(header.channel_header)
    payload = proposal_pb2.ChaincodeProposalPayload.FromString(body.payload)
    return Parts(
        client,
        channel_header,
        common_pb2.SignatureHeader.FromString(header.signature_header),
        proposal_pb2.ChaincodeHeaderExtension.FromString(channel_header.extension),
        chaincode_pb2.ChaincodeInvocationSpec.FromString(payload.input),
        {},
    )


def faulty_proposal(client: GatewayClient, fault: str) -> Proposal:
    parts = _parts(client)
    PROPOSALS[fault](parts)
    if parts.channel_header.extension:
        parts.channel_header.extension = parts.extension.SerializeToString()
    header = parts.header
    if header is None:
        header = common_pb2.Header(
            channel_header=parts.channel_header.SerializeToString(),
            signature_header=parts.signature_header.SerializeToString(),
        ).SerializeToString()
    payload = parts.payload
    if payload is None:
        payload = proposal_pb2.ChaincodeProposalPayload(
            input=parts.invocation.SerializeToString(), TransientMap=parts.transient
        ).SerializeToString()
    body = parts.body
    if body is None:
        body = proposal_pb2.Proposal(header=header, payload=payload).SerializeToString()
    sign = parts.sign or client.user.sign
    signed = proposal_pb2.SignedProposal(proposal_bytes=body, signature=sign(body))
    return Proposal(parts.request_id or parts.channel_header.tx_id, signed)


def _by(parts: Parts, user: User) -> None:
    """The same, by somebody else."""
    parts.signature_header.creator = user.serialized
    nonce = parts.signature_header.nonce
    parts.channel_header.tx_id = hashlib.sha256(nonce + user.serialized).hexdigest()
    parts.sign = user.sign


def _set(**fields: Any) -> Change:
    def change(parts: Parts) -> None:
        for name, value in fields.items():
            setattr(parts, name, value)

    return change


def _in(part: str, **fields: Any) -> Change:
    def change(parts: Parts) -> None:
        for name, value in fields.items():
            setattr(getattr(parts, part), name, value)

    return change


def _high_s(parts: Parts) -> None:
    parts.sign = lambda data: parts.client.user.sign(data, high_s=True)


def _creator(serialized: bytes) -> Change:
    def change(parts: Parts) -> None:
        _by(parts, User(serialized, parts.client.user.key))

    return change


def _claiming(msp_id: str) -> Change:
    return lambda parts: _by(parts, parts.client.user.claiming(msp_id))


def _nonce(nonce: bytes) -> Change:
    def change(parts: Parts) -> None:
        parts.signature_header.nonce = nonce
        parts.channel_header.tx_id = hashlib.sha256(
            nonce + parts.client.user.serialized
        ).hexdigest()

    return change


def _chaincode(name: str) -> Change:
    def change(parts: Parts) -> None:
        parts.extension.chaincode_id.name = name
        parts.invocation.chaincode_spec.chaincode_id.name = name

    return change


def _off(seconds: int) -> Change:
    def change(parts: Parts) -> None:
        parts.channel_header.timestamp.seconds += seconds

    return change


def _calls(chaincode: str, *words: str) -> Change:
    def change(parts: Parts) -> None:
        _chaincode(chaincode)(parts)
        del parts.invocation.chaincode_spec.input.args[:]
        parts.invocation.chaincode_spec.input.args.extend(word.encode() for word in words)

    return change


def _late_settlement(seconds: int) -> Change:
    def change(parts: Parts) -> None:
        _calls(CHAINCODE, "refund", "00" * 32)(parts)
        _off(seconds)(parts)

    return change


PROPOSALS: Mapping[str, Change] = {
    "unsigned": _set(sign=lambda _: b""),
    "signature is garbage": _set(sign=lambda _: GARBAGE),
    "signed by another key": _set(sign=sign_with_another_key),
    "signed with a high s": _high_s,
    "by a stranger": lambda parts: _by(parts, stranger(msp_of(parts.client.user))),
    "in the name of an absent organisation": _claiming("NobodyMSP"),
    "creator is empty": _creator(b""),
    "creator is garbage": _creator(GARBAGE),
    "creator has no certificate": _creator(
        identities_pb2.SerializedIdentity(mspid="OrgAMSP").SerializeToString()
    ),
    "nonce is empty": _nonce(b""),
    "nonce is long": _nonce(b"n" * 1000),
    "transaction id is another's": _in("channel_header", tx_id="ab" * 32),
    "transaction id is empty": _in("channel_header", tx_id=""),
    "transaction id beside it differs": _set(request_id="cd" * 32),
    "header is of a configuration": _in("channel_header", type=common_pb2.CONFIG),
    "header is of a message": _in("channel_header", type=common_pb2.MESSAGE),
    "header is of no known type": _in("channel_header", type=99),
    "epoch is not zero": _in("channel_header", epoch=1),
    "version is not zero": _in("channel_header", version=7),
    "no channel": _in("channel_header", channel_id=""),
    "an absent channel": _in("channel_header", channel_id="absent"),
    "no extension": _in("channel_header", extension=b""),
    "an absent chaincode": _chaincode("absent"),
    "no chaincode": _chaincode(""),
    "an unfit name of a chaincode": _chaincode("no such!"),
    "header and payload name different chaincodes": lambda parts: setattr(
        parts.extension.chaincode_id, "name", CHAINCODE
    ),
    "header is garbage": _set(header=GARBAGE),
    "header is empty": _set(header=b""),
    "payload is garbage": _set(payload=GARBAGE),
    "payload is empty": _set(payload=b""),
    "body is garbage": _set(body=GARBAGE),
    "body is empty": _set(body=b""),
    "no arguments": _calls(TOKEN),
    "transient data": _set(transient={"secret": b"x"}),
    "ten minutes behind": _late_settlement(-600),
    "ten minutes ahead": _late_settlement(600),
    "no timestamp": lambda parts: parts.channel_header.ClearField("timestamp"),
    "commits a definition that nobody approved": _calls(
        "_lifecycle", "CommitChaincodeDefinition", "x"
    ),
    "asks the system for what is not there": _calls("qscc", "GetBlockByNumber", "trade", "99999"),
    "asks the system without enough words": _calls("qscc", "GetBlockByNumber"),
    "calls a function that the system lacks": _calls("qscc", "Nonsense", "trade"),
}
