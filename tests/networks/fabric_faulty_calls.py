"""Calls of the Gateway service that are wrong in one way each, by name: malformed, unsigned, signed
by the wrong key or the wrong way, by somebody unknown."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from fabric_protos.common import common_pb2
from fabric_protos.gateway import gateway_pb2
from fabric_protos.msp import identities_pb2
from fabric_protos.orderer import ab_pb2
from fabric_protos.peer import (
    chaincode_pb2,
    proposal_pb2,
    proposal_response_pb2,
    transaction_pb2,
)

from adapters.devnet_certificates import issue_identity, make_authority
from tests.adapters.fabric.devnet.gateway_client import GatewayClient, Proposal, User
from tests.networks.fabric import CHAINCODE, TOKEN

GARBAGE = b"\xff\xff\xff\xff"
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


def _other_key(data: bytes) -> bytes:
    return User(b"", ec.generate_private_key(ec.SECP256R1())).sign(data)


def stranger(msp_id: str) -> User:
    """Whose certificate is by an authority that nobody knows."""
    authority = make_authority("nobody", msp_id)
    issued = issue_identity(authority, "stranger", msp_id, "client")
    serialized = identities_pb2.SerializedIdentity(
        mspid=msp_id, id_bytes=issued.certificate_pem()
    ).SerializeToString()
    return User(serialized, issued.key)


def msp_of(user: User) -> str:
    return str(identities_pb2.SerializedIdentity.FromString(user.serialized).mspid)


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
    "signed by another key": _set(sign=_other_key),
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


# --- envelopes -----------------------------------------------------------------------------------


def faulty_envelope(client: GatewayClient, envelope: Any, fault: str) -> None:
    """Changes a prepared transaction in place, and signs it, rightly or not."""
    ENVELOPES[fault](client, envelope)


def _signed(sign: Callable[[GatewayClient, bytes], bytes]) -> Callable[[GatewayClient, Any], None]:
    def change(client: GatewayClient, envelope: Any) -> None:
        envelope.signature = sign(client, envelope.payload)

    return change


def _payload(
    change: Callable[[Any, Any, Any], None],
) -> Callable[[GatewayClient, Any], None]:
    """``change``: of the payload, its channel header and its signature header."""

    def changed(client: GatewayClient, envelope: Any) -> None:
        payload = common_pb2.Payload.FromString(envelope.payload)
        channel = common_pb2.ChannelHeader.FromString(payload.header.channel_header)
        signature = common_pb2.SignatureHeader.FromString(payload.header.signature_header)
        change(payload, channel, signature)
        payload.header.channel_header = channel.SerializeToString()
        payload.header.signature_header = signature.SerializeToString()
        envelope.payload = payload.SerializeToString()
        envelope.signature = client.user.sign(envelope.payload)

    return changed


def _action(change: Change) -> Callable[[GatewayClient, Any], None]:
    """``change``: of the chaincode's action payload."""

    def changed(payload: Any, _channel: Any, _signature: Any) -> None:
        transaction = transaction_pb2.Transaction.FromString(payload.data)
        action = transaction_pb2.ChaincodeActionPayload.FromString(transaction.actions[0].payload)
        change(action)
        transaction.actions[0].payload = action.SerializeToString()
        payload.data = transaction.SerializeToString()

    return _payload(changed)


def _result(change: Change) -> Callable[[GatewayClient, Any], None]:
    """``change``: of what the chaincode did."""

    def changed(action: Any) -> None:
        envelope = action.action
        response = proposal_response_pb2.ProposalResponsePayload.FromString(
            envelope.proposal_response_payload
        )
        done = proposal_pb2.ChaincodeAction.FromString(response.extension)
        change(done)
        response.extension = done.SerializeToString()
        envelope.proposal_response_payload = response.SerializeToString()

    return _action(changed)


def _actions(count: int) -> Callable[[GatewayClient, Any], None]:
    def changed(payload: Any, _channel: Any, _signature: Any) -> None:
        transaction = transaction_pb2.Transaction.FromString(payload.data)
        (one,) = transaction.actions
        del transaction.actions[:]
        transaction.actions.extend([one] * count)
        payload.data = transaction.SerializeToString()

    return _payload(changed)


def _endorsements(change: Callable[[list[Any]], list[Any]]) -> Callable[[GatewayClient, Any], None]:
    def changed(action: Any) -> None:
        given = list(action.action.endorsements)
        del action.action.endorsements[:]
        action.action.endorsements.extend(change(given))

    return _action(changed)


def _spoilt(given: list[Any], **fields: bytes) -> list[Any]:
    for name, value in fields.items():
        setattr(given[0], name, value)
    return given


def _by_a_client(client: GatewayClient, envelope: Any) -> None:
    """One of the two endorsements is by the client itself."""

    def changed(action: Any) -> None:
        mine = action.action.endorsements[0]
        mine.endorser = client.user.serialized
        mine.signature = client.user.sign(action.action.proposal_response_payload + mine.endorser)

    _action(changed)(client, envelope)


def _endorsed_by_a_stranger(client: GatewayClient, envelope: Any) -> None:
    user = stranger(msp_of(client.user))

    def changed(action: Any) -> None:
        mine = action.action.endorsements[0]
        mine.endorser = user.serialized
        mine.signature = user.sign(action.action.proposal_response_payload + mine.endorser)

    _action(changed)(client, envelope)


def _whole(payload: bytes) -> Callable[[GatewayClient, Any], None]:
    def changed(client: GatewayClient, envelope: Any) -> None:
        envelope.payload = payload
        envelope.signature = client.user.sign(payload)

    return changed


# Not among them: what a peer of Fabric 3.1.5 does not survive.
ENVELOPES: Mapping[str, Callable[[GatewayClient, Any], None]] = {
    "unsigned": _signed(lambda _client, _data: b""),
    "signature is garbage": _signed(lambda _client, _data: GARBAGE),
    "signed by another key": _signed(lambda _client, data: _other_key(data)),
    "signed with a high s": _signed(lambda client, data: client.user.sign(data, high_s=True)),
    "payload is empty": _whole(b""),
    "payload is garbage": _whole(GARBAGE),
    "header is of a configuration": _payload(
        lambda _p, channel, _s: setattr(channel, "type", common_pb2.CONFIG)
    ),
    "header is of another orderer": _payload(
        lambda _p, channel, _s: setattr(channel, "type", common_pb2.ORDERER_TRANSACTION)
    ),
    "header is of a message": _payload(
        lambda _p, channel, _s: setattr(channel, "type", common_pb2.MESSAGE)
    ),
    "an absent channel": _payload(lambda _p, channel, _s: setattr(channel, "channel_id", "absent")),
    "transaction id is another's": _payload(
        lambda _p, channel, _s: setattr(channel, "tx_id", os.urandom(32).hex())
    ),
    "epoch is not zero": _payload(lambda _p, channel, _s: setattr(channel, "epoch", 1)),
    "creator is garbage": _payload(
        lambda _p, _c, signature: setattr(signature, "creator", GARBAGE)
    ),
    "nonce is another": _payload(lambda _p, _c, signature: setattr(signature, "nonce", b"n" * 24)),
    "nonce is empty": _payload(lambda _p, _c, signature: setattr(signature, "nonce", b"")),
    "data is garbage": _payload(lambda payload, _c, _s: setattr(payload, "data", GARBAGE)),
    "data is empty": _payload(lambda payload, _c, _s: setattr(payload, "data", b"")),
    "no action": _actions(0),
    "two actions": _actions(2),
    "action is garbage": _payload(
        lambda payload, _c, _s: setattr(
            payload,
            "data",
            transaction_pb2.Transaction(
                actions=[transaction_pb2.TransactionAction(payload=GARBAGE)]
            ).SerializeToString(),
        )
    ),
    "no endorsement": _endorsements(lambda given: []),
    "one endorsement": _endorsements(lambda given: given[:1]),
    "one endorsement twice": _endorsements(lambda given: [given[0], given[0]]),
    "an endorsement's signature is garbage": _endorsements(
        lambda given: _spoilt(given, signature=GARBAGE)
    ),
    "an endorsement is unsigned": _endorsements(lambda given: _spoilt(given, signature=b"")),
    "an endorser is garbage": _endorsements(lambda given: _spoilt(given, endorser=GARBAGE)),
    "an endorser is empty": _endorsements(lambda given: _spoilt(given, endorser=b"")),
    "an endorser is the client": _by_a_client,
    "an endorser is a stranger": _endorsed_by_a_stranger,
    "results are changed": _result(
        lambda done: setattr(done, "results", done.results.replace(b"faulty", b"fauLty"))
    ),
    "results are garbage": _result(lambda done: setattr(done, "results", GARBAGE)),
    "event is changed": _result(lambda done: setattr(done, "events", b"")),
    "response is changed": _result(lambda done: setattr(done.response, "status", 500)),
    "proposal payload is garbage": _action(
        lambda action: setattr(action, "chaincode_proposal_payload", GARBAGE)
    ),
    "response payload is garbage": _action(
        lambda action: setattr(action.action, "proposal_response_payload", GARBAGE)
    ),
}


# --- questions -----------------------------------------------------------------------------------


@dataclass
class Question:
    """A CommitStatus or a ChaincodeEvents request, before it is signed."""

    client: GatewayClient
    inner: Any
    bytes: bytes | None = None
    sign: Callable[[bytes], bytes] | None = None


def faulty_question(client: GatewayClient, fault: str, *, events: bool) -> Any:
    """The signed request."""
    fields = {"identity": client.user.serialized, "channel_id": client.channel}
    if events:
        start = ab_pb2.SeekPosition(specified=ab_pb2.SeekSpecified(number=0))
        inner = gateway_pb2.ChaincodeEventsRequest(
            chaincode_id=TOKEN, start_position=start, **fields
        )
    else:
        inner = gateway_pb2.CommitStatusRequest(transaction_id="ab" * 32, **fields)
    question = Question(client, inner)
    QUESTIONS[fault](question)
    encoded = question.inner.SerializeToString() if question.bytes is None else question.bytes
    signature = (question.sign or client.user.sign)(encoded)
    kind = (
        gateway_pb2.SignedChaincodeEventsRequest
        if events
        else gateway_pb2.SignedCommitStatusRequest
    )
    return kind(request=encoded, signature=signature)


def _question(**fields: Any) -> Callable[[Question], None]:
    def change(question: Question) -> None:
        for name, value in fields.items():
            setattr(question, name, value)

    return change


def _asked(**fields: Any) -> Callable[[Question], None]:
    def change(question: Question) -> None:
        for name, value in fields.items():
            setattr(question.inner, name, value)

    return change


def _asked_by(user: Callable[[Question], User]) -> Callable[[Question], None]:
    def change(question: Question) -> None:
        one = user(question)
        question.inner.identity = one.serialized
        question.sign = one.sign

    return change


def _asked_with_a_high_s(question: Question) -> None:
    question.sign = lambda data: question.client.user.sign(data, high_s=True)


QUESTIONS: Mapping[str, Callable[[Question], None]] = {
    "unsigned": _question(sign=lambda _: b""),
    "signature is garbage": _question(sign=lambda _: GARBAGE),
    "signed by another key": _question(sign=_other_key),
    "signed with a high s": _asked_with_a_high_s,
    "by a stranger": _asked_by(lambda question: stranger(msp_of(question.client.user))),
    "in the name of an absent organisation": _asked_by(
        lambda question: question.client.user.claiming("NobodyMSP")
    ),
    "identity is empty": _asked(identity=b""),
    "identity is garbage": _asked(identity=GARBAGE),
    "no channel": _asked(channel_id=""),
    "an absent channel": _asked(channel_id="absent"),
    "request is garbage": _question(bytes=GARBAGE),
    "request is empty": _question(bytes=b""),
}
