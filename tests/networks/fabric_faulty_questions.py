"""Questions for commits and for events that are wrong in one way each, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fabric_protos.gateway import gateway_pb2
from fabric_protos.orderer import ab_pb2

from tests.adapters.fabric.devnet.gateway_client import GatewayClient, User
from tests.networks.fabric import TOKEN
from tests.networks.fabric_strangers import GARBAGE, msp_of, sign_with_another_key, stranger


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
    "signed by another key": _question(sign=sign_with_another_key),
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
