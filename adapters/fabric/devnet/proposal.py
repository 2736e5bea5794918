"""Proposals: taking one apart, and telling whether its creator may have it endorsed.

The checks, their order and their words are those of a Fabric peer (``core/endorser`` there).
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from fabric_protos.common import common_pb2
from fabric_protos.peer import chaincode_pb2, proposal_pb2, transaction_pb2
from google.protobuf.message import DecodeError

from adapters.fabric.devnet.msp import InvalidIdentity, Membership, UnknownIdentity
from adapters.fabric.devnet.signature import InvalidSignature
from adapters.fabric.devnet.system_chaincodes import UNPARSED

TIME_WINDOW = timedelta(minutes=15)
"""By how much a proposal's timestamp may be off the peer's clock (Fabric's default)."""


class ProposalRefused(Exception):
    """The proposal itself is at fault; the message goes to the client."""


class ProposalFiltered(ProposalRefused):
    """A filter before the peer refused the proposal: to a gateway that looks like a lost peer."""


class Malformed(Exception):
    """Bytes that should be a message are none; the message names it as Fabric does."""


def parse(kind: Any, data: bytes) -> Any:
    """Reads one protobuf message. Raises Malformed."""
    try:
        return kind.FromString(data)
    except DecodeError:
        raise Malformed(f"error unmarshalling {kind.DESCRIPTOR.name}: {UNPARSED}") from None


@dataclass(frozen=True, slots=True, repr=False)
class Unpacked:
    """The parts of a signed proposal. It has no repr: arguments may be secrets."""

    signed: proposal_pb2.SignedProposal
    header: common_pb2.Header
    channel_header: common_pb2.ChannelHeader
    payload: proposal_pb2.ChaincodeProposalPayload
    spec: chaincode_pb2.ChaincodeSpec | None

    @property
    def channel(self) -> str:
        return str(self.channel_header.channel_id)

    @property
    def transaction(self) -> str:
        return str(self.channel_header.tx_id)

    @property
    def chaincode(self) -> str:
        """The chaincode that the gateway routes by; empty where none is named."""
        return "" if self.spec is None else str(self.spec.chaincode_id.name)

    def public_payload(self) -> bytes:
        """The payload without transient data: what goes into the transaction."""
        public = proposal_pb2.ChaincodeProposalPayload(input=self.payload.input)
        serialized: bytes = public.SerializeToString()
        return serialized

    def hash(self) -> bytes:
        """Binds an endorsement to this proposal; 32 bytes."""
        return hashlib.sha256(
            self.header.channel_header + self.header.signature_header + self.public_payload()
        ).digest()


def unpack(signed: proposal_pb2.SignedProposal) -> Unpacked:
    """Takes a proposal apart, as far as the gateway needs it. Raises Malformed."""
    proposal = parse(proposal_pb2.Proposal, signed.proposal_bytes)
    header = parse(common_pb2.Header, proposal.header)
    channel_header = parse(common_pb2.ChannelHeader, header.channel_header)
    payload = parse(proposal_pb2.ChaincodeProposalPayload, proposal.payload)
    invocation = parse(chaincode_pb2.ChaincodeInvocationSpec, payload.input)
    spec = invocation.chaincode_spec if invocation.HasField("chaincode_spec") else None
    return Unpacked(signed, header, channel_header, payload, spec)


def check(proposal: Unpacked, membership: Membership) -> str:
    """What a peer demands of a proposal before it runs anything. Returns the chaincode's name by
    the header. Raises ProposalRefused."""
    try:
        creator_header = parse(common_pb2.SignatureHeader, proposal.header.signature_header)
        extension = parse(proposal_pb2.ChaincodeHeaderExtension, proposal.channel_header.extension)
    except Malformed as malformed:
        raise ProposalRefused(str(malformed)) from malformed
    _filter(proposal, creator_header, membership)
    if not extension.HasField("chaincode_id"):
        raise ProposalRefused("ChaincodeHeaderExtension.ChaincodeId is nil")
    if not extension.chaincode_id.name:
        raise ProposalRefused("ChaincodeHeaderExtension.ChaincodeId.Name is empty")
    if proposal.spec is None:
        raise ProposalRefused("chaincode invocation spec did not contain chaincode spec")
    if not proposal.spec.HasField("input"):
        raise ProposalRefused("chaincode input did not contain any input")
    objection = _objection(proposal, creator_header, membership)
    if objection is not None:
        raise ProposalRefused(f"error validating proposal: {objection}")
    return str(extension.chaincode_id.name)


def _filter(
    proposal: Unpacked, creator_header: common_pb2.SignatureHeader, membership: Membership
) -> None:
    now = datetime.now(UTC)
    with contextlib.suppress(UnknownIdentity, InvalidIdentity):
        if membership.identity(creator_header.creator).expired(now):
            raise ProposalFiltered("proposal client identity expired")
    try:
        given = proposal.channel_header.timestamp.ToDatetime(UTC)
    except (OverflowError, ValueError):
        given = datetime.min.replace(tzinfo=UTC)
    if abs(given - now) > TIME_WINDOW:
        raise ProposalFiltered(
            f"request unauthorized due to incorrect timestamp {given:%Y-%m-%dT%H:%M:%SZ}, peer "
            f"time {now:%Y-%m-%dT%H:%M:%SZ}, peer.authentication.timewindow 15m0s"
        )


def _objection(
    proposal: Unpacked, creator_header: common_pb2.SignatureHeader, membership: Membership
) -> str | None:
    header = proposal.channel_header
    if header.type not in (common_pb2.ENDORSER_TRANSACTION, common_pb2.CONFIG):
        return f"invalid header type {_header_type(header.type)}"
    if header.epoch != 0:
        return "epoch is non-zero"
    if not creator_header.nonce:
        return "nonce is empty"
    if not creator_header.creator:
        return "creator is empty"
    expected = hashlib.sha256(creator_header.nonce + creator_header.creator).hexdigest()
    if header.tx_id != expected:
        return f"incorrectly computed txid '{header.tx_id}' -- expected '{expected}'"
    if not proposal.signed.signature:
        return "empty signature bytes"
    denied = f"access denied: channel [{proposal.channel}] creator org"
    try:
        creator = membership.identity(creator_header.creator)
        creator.verify(proposal.signed.proposal_bytes, proposal.signed.signature)
    except UnknownIdentity:
        return f"{denied} unknown, creator is malformed"
    except InvalidIdentity as invalid:
        return f"{denied} [{invalid.msp_id}]"
    except InvalidSignature:
        return f"{denied} [{creator.msp_id}]"
    return None


def _header_type(number: int) -> str:
    try:
        return str(common_pb2.HeaderType.Name(number))
    except ValueError:
        return str(number)


def prepared_transaction(
    proposal: Unpacked, action: transaction_pb2.ChaincodeEndorsedAction
) -> common_pb2.Envelope:
    """The transaction that the client signs: the proposal without transient data, endorsed."""
    payload = transaction_pb2.ChaincodeActionPayload(
        chaincode_proposal_payload=proposal.public_payload(), action=action
    )
    transaction = transaction_pb2.Transaction(
        actions=[
            transaction_pb2.TransactionAction(
                header=proposal.header.signature_header, payload=payload.SerializeToString()
            )
        ]
    )
    whole = common_pb2.Payload(header=proposal.header, data=transaction.SerializeToString())
    return common_pb2.Envelope(payload=whole.SerializeToString())
