"""Prepared transactions that are wrong in one way each, by name, and signed, rightly or not."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from fabric_protos.common import common_pb2
from fabric_protos.peer import (
    proposal_pb2,
    proposal_response_pb2,
    transaction_pb2,
)

from tests.adapters.fabric.devnet.gateway_client import GatewayClient
from tests.networks.fabric_strangers import GARBAGE, msp_of, sign_with_another_key, stranger

Change = Callable[[Any], None]
Fault = Callable[[GatewayClient, Any], None]


def faulty_envelope(client: GatewayClient, envelope: Any, fault: str) -> None:
    """Changes a prepared transaction in place, and signs it, rightly or not."""
    ENVELOPES[fault](client, envelope)


def _signed(sign: Callable[[GatewayClient, bytes], bytes]) -> Fault:
    def change(client: GatewayClient, envelope: Any) -> None:
        envelope.signature = sign(client, envelope.payload)

    return change


def _payload(
    change: Callable[[Any, Any, Any], None],
) -> Fault:
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


def _action(change: Change) -> Fault:
    """``change``: of the chaincode's action payload."""

    def changed(payload: Any, _channel: Any, _signature: Any) -> None:
        transaction = transaction_pb2.Transaction.FromString(payload.data)
        action = transaction_pb2.ChaincodeActionPayload.FromString(transaction.actions[0].payload)
        change(action)
        transaction.actions[0].payload = action.SerializeToString()
        payload.data = transaction.SerializeToString()

    return _payload(changed)


def _result(change: Change) -> Fault:
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


def _actions(count: int) -> Fault:
    def changed(payload: Any, _channel: Any, _signature: Any) -> None:
        transaction = transaction_pb2.Transaction.FromString(payload.data)
        (one,) = transaction.actions
        del transaction.actions[:]
        transaction.actions.extend([one] * count)
        payload.data = transaction.SerializeToString()

    return _payload(changed)


def _endorsements(change: Callable[[list[Any]], list[Any]]) -> Fault:
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


def _whole(payload: bytes) -> Fault:
    def changed(client: GatewayClient, envelope: Any) -> None:
        envelope.payload = payload
        envelope.signature = client.user.sign(payload)

    return changed


# Not among them: what a peer of Fabric 3.1.5 does not survive.
ENVELOPES: Mapping[str, Fault] = {
    "unsigned": _signed(lambda _client, _data: b""),
    "signature is garbage": _signed(lambda _client, _data: GARBAGE),
    "signed by another key": _signed(lambda _client, data: sign_with_another_key(data)),
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
