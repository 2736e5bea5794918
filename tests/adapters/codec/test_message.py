"""Lanes, messages and attestations: the vectors, eth_account's encoder, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from eth_account.messages import SignableMessage, _hash_eip191_message, encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from adapters.codec import message as codec
from adapters.codec.interoperable_address import decode, encode
from adapters.codec.keccak import keccak256
from adapters.codec.merkle import MessageTree, verify
from adapters.codec.message import (
    MAX_PAYLOAD,
    SCHEMA,
    Attestation,
    Lane,
    LaneId,
    Message,
    attestation_digest,
    check_route,
    lane_id,
    message_id,
)
from adapters.codec.vectors import messages as vectors
from adapters.model import MAX_UINT64, AccountId, InvalidValue

MADE = json.loads(vectors.PATH.read_text())
CHAIN = "eip155:1:0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
OTHER = "eip155:1:0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"
NATIVE = f"isthmus:{'ab' * 16}:{'cd' * 32}"
LANE = Lane(AccountId.parse(CHAIN), b"\x01" * 32, AccountId.parse(NATIVE), b"\x02" * 32)
MESSAGE = Message(
    lane=lane_id(LANE),
    nonce=1,
    sender=AccountId.parse(CHAIN),
    receiver=AccountId.parse(NATIVE),
    payload=b"hello",
    ordered=True,
    sequence=2,
    expiry=3,
    gas_limit=4,
)
ATTESTATION = Attestation(lane_id(LANE), 1, b"\x03" * 32, 10, 5)


def unhex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def payload_of(entry: dict[str, Any]) -> bytes:
    pattern, length = unhex(entry["payload_pattern"]), int(entry["payload_length"])
    return (pattern * (length // max(len(pattern), 1) + 1))[:length]


def read_lane(entry: dict[str, Any]) -> Lane:
    return Lane(
        decode(unhex(entry["source_gateway"]), "source_gateway"),
        unhex(entry["source_salt"]),
        decode(unhex(entry["destination_gateway"]), "destination_gateway"),
        unhex(entry["destination_salt"]),
    )


def read_message(entry: dict[str, Any]) -> Message:
    return Message(
        version=int(entry["version"]),
        lane=LaneId(unhex(entry["lane"])),
        nonce=int(entry["nonce"]),
        sender=decode(unhex(entry["sender"]), "sender"),
        receiver=decode(unhex(entry["receiver"]), "receiver"),
        payload=payload_of(entry),
        ordered=entry["ordered"],
        sequence=int(entry["sequence"]),
        expiry=int(entry["expiry"]),
        gas_limit=int(entry["gas_limit"]),
    )


def read_attestation(entry: dict[str, Any]) -> Attestation:
    return Attestation(
        lane=LaneId(unhex(entry["lane"])),
        epoch=int(entry["epoch"]),
        root=unhex(entry["root"]),
        first_nonce=int(entry["first_nonce"]),
        count=int(entry["count"]),
    )


def by_eth_account(struct: str, values: dict[str, Any]) -> SignableMessage:
    """Of the raw members of a vector, without any of our code but the names of the members."""
    return encode_typed_data(
        full_message={
            "types": {
                "EIP712Domain": [
                    {"name": "name", "type": "string"},
                    {"name": "version", "type": "string"},
                ],
                struct: [
                    {"name": name, "type": kind}
                    for kind, name in (
                        member.split(" ")
                        for member in TYPE_TEXTS[struct].partition("(")[2][:-1].split(",")
                    )
                ],
            },
            "primaryType": struct,
            "domain": {"name": "Isthmus", "version": "1"},
            "message": values,
        }
    )


TYPE_TEXTS = {
    "Lane": "Lane(bytes sourceGateway,bytes32 sourceSalt,bytes destinationGateway,"
    "bytes32 destinationSalt)",
    "Message": "Message(uint16 version,bytes32 lane,uint64 nonce,bytes sender,bytes receiver,"
    "bytes payload,bool ordered,uint64 sequence,uint64 expiry,uint64 gasLimit)",
    "Attestation": "Attestation(bytes32 lane,uint64 epoch,bytes32 root,uint64 firstNonce,"
    "uint64 count)",
}


# --- the vectors ---------------------------------------------------------------------------------


def test_the_file_is_what_the_code_generates() -> None:
    assert vectors.PATH.read_text(encoding="ascii") == vectors.text(), (
        "run python -m adapters.codec.vectors.messages"
    )


def test_the_vectors_are_enough_and_all_different() -> None:
    for kind, least in (("messages", 200), ("lanes", 20), ("batches", 10), ("addresses", 30)):
        assert len(MADE[kind]) >= least
    for kind, identifier in (
        ("messages", "message_id"),
        ("lanes", "lane_id"),
        ("batches", "digest"),
        ("addresses", "encoded"),
        ("refused_addresses", "encoded"),
    ):
        assert len({entry["name"] for entry in MADE[kind]}) == len(MADE[kind])
        # Two vectors with one id would be one input twice, or a collision.
        assert len({entry[identifier] for entry in MADE[kind]}) == len(MADE[kind])
    lengths = {int(entry["payload_length"]) for entry in MADE["messages"]}
    assert {0, 1, 32, MAX_PAYLOAD - 1, MAX_PAYLOAD} <= lengths
    for field in ("nonce", "sequence", "expiry", "gas_limit"):
        assert {"0", str(MAX_UINT64)} <= {entry[field] for entry in MADE["messages"]}


def test_the_schema_is_what_is_agreed() -> None:
    text = "".join((codec.__doc__ or "").split())
    made = {entry["name"]: entry for entry in MADE["schema"]["types"]}
    for struct, expected in TYPE_TEXTS.items():
        assert SCHEMA.encode_type(struct) == made[struct]["type"] == expected
        assert unhex(made[struct]["type_hash"]) == keccak256(expected.encode())
        assert expected.replace(" ", "") in text, f"{struct} is documented otherwise"
    assert unhex(MADE["schema"]["domain_separator"]) == keccak256(
        keccak256(b"EIP712Domain(string name,string version)")
        + keccak256(b"Isthmus")
        + keccak256(b"1")
    )


def test_addresses() -> None:
    for entry in MADE["addresses"]:
        account = AccountId.parse(entry["account"])
        assert encode(account) == unhex(entry["encoded"]), entry["name"]
        assert decode(unhex(entry["encoded"])) == account, entry["name"]


@pytest.mark.parametrize("entry", MADE["refused_addresses"], ids=lambda entry: entry["name"])
def test_refused_addresses(entry: dict[str, str]) -> None:
    with pytest.raises(InvalidValue, match=r"^receiver") as refused:
        decode(unhex(entry["encoded"]), "receiver")
    assert refused.value.field == "receiver"


@pytest.mark.parametrize("entry", MADE["lanes"], ids=lambda entry: entry["name"])
def test_lanes(entry: dict[str, str]) -> None:
    assert lane_id(read_lane(entry)) == unhex(entry["lane_id"])
    other = by_eth_account(
        "Lane",
        {
            "sourceGateway": unhex(entry["source_gateway"]),
            "sourceSalt": unhex(entry["source_salt"]),
            "destinationGateway": unhex(entry["destination_gateway"]),
            "destinationSalt": unhex(entry["destination_salt"]),
        },
    )
    assert other.body == unhex(entry["lane_id"])


@pytest.mark.parametrize("entry", MADE["messages"], ids=lambda entry: entry["name"])
def test_messages(entry: dict[str, Any]) -> None:
    message = read_message(entry)
    assert keccak256(message.payload) == unhex(entry["payload_hash"])
    assert message_id(message) == unhex(entry["message_id"])
    other = by_eth_account(
        "Message",
        {
            "version": int(entry["version"]),
            "lane": unhex(entry["lane"]),
            "nonce": int(entry["nonce"]),
            "sender": unhex(entry["sender"]),
            "receiver": unhex(entry["receiver"]),
            "payload": payload_of(entry),
            "ordered": entry["ordered"],
            "sequence": int(entry["sequence"]),
            "expiry": int(entry["expiry"]),
            "gasLimit": int(entry["gas_limit"]),
        },
    )
    assert other.body == unhex(entry["message_id"])
    (on,) = [lane for lane in MADE["lanes"] if lane["name"] == entry["lane_name"]]
    check_route(message, read_lane(on))


@pytest.mark.parametrize("entry", MADE["batches"], ids=lambda entry: entry["name"])
def test_batches(entry: dict[str, Any]) -> None:
    attestation = read_attestation(entry)
    assert attestation_digest(attestation) == unhex(entry["digest"])
    other = by_eth_account(
        "Attestation",
        {
            "lane": unhex(entry["lane"]),
            "epoch": int(entry["epoch"]),
            "root": unhex(entry["root"]),
            "firstNonce": int(entry["first_nonce"]),
            "count": int(entry["count"]),
        },
    )
    assert _hash_eip191_message(other) == unhex(entry["digest"])
    ids = [unhex(one) for one in entry["ids"]]
    tree = MessageTree(ids)
    assert tree.root == attestation.root
    sent = {unhex(one["message_id"]): one for one in MADE["messages"]}
    for index, (one, proof) in enumerate(zip(ids, entry["proofs"], strict=True)):
        assert tree.proof(one) == tuple(map(unhex, proof))
        assert verify(attestation.root, one, list(map(unhex, proof)))
        assert int(sent[one]["nonce"]) == attestation.first_nonce + index
        assert sent[one]["lane"] == entry["lane"]
    assert len(ids) == attestation.count


READERS = {
    "refused_lanes": read_lane,
    "refused_messages": read_message,
    "refused_attestations": read_attestation,
}


@pytest.mark.parametrize(
    ("kind", "entry"),
    [(kind, entry) for kind in READERS for entry in MADE[kind]],
    ids=lambda part: part["name"] if isinstance(part, dict) else part,
)
def test_refused(kind: str, entry: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue) as refused:
        READERS[kind](entry)
    assert refused.value.field == entry["field"]
    assert str(refused.value).startswith(entry["field"])


# --- what an id covers ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        replace(MESSAGE, lane=LaneId(b"\x09" * 32)),
        replace(MESSAGE, nonce=2),
        replace(MESSAGE, sender=AccountId.parse(OTHER)),
        replace(MESSAGE, receiver=AccountId.parse(CHAIN)),
        replace(MESSAGE, sender=MESSAGE.receiver, receiver=MESSAGE.sender),
        replace(MESSAGE, payload=b"hello\0"),
        replace(MESSAGE, ordered=False, sequence=0),
        replace(MESSAGE, sequence=0),
        replace(MESSAGE, expiry=0),
        replace(MESSAGE, gas_limit=0),
        replace(MESSAGE, expiry=MESSAGE.gas_limit, gas_limit=MESSAGE.expiry),
    ],
)
def test_a_message_id_covers_every_field(changed: Message) -> None:
    assert message_id(changed) != message_id(MESSAGE)


@pytest.mark.parametrize(
    "changed",
    [
        replace(LANE, source_gateway=AccountId.parse(OTHER)),
        replace(LANE, source_salt=bytes(32)),
        replace(LANE, destination_gateway=AccountId.parse(OTHER)),
        replace(LANE, destination_salt=bytes(32)),
        Lane(
            LANE.destination_gateway, LANE.destination_salt, LANE.source_gateway, LANE.source_salt
        ),
    ],
)
def test_a_lane_id_covers_every_field(changed: Lane) -> None:
    assert lane_id(changed) != lane_id(LANE)


@pytest.mark.parametrize(
    "changed",
    [
        replace(ATTESTATION, lane=LaneId(b"\x09" * 32)),
        replace(ATTESTATION, epoch=2),
        replace(ATTESTATION, root=b"\x09" * 32),
        replace(ATTESTATION, first_nonce=9),
        replace(ATTESTATION, count=6),
    ],
)
def test_an_attestation_covers_every_field(changed: Attestation) -> None:
    assert attestation_digest(changed) != attestation_digest(ATTESTATION)


def test_a_message_belongs_to_one_lane_and_its_two_chains() -> None:
    check_route(MESSAGE, LANE)
    with pytest.raises(InvalidValue, match=r"^lane is another"):
        check_route(MESSAGE, replace(LANE, source_salt=bytes(32)))
    with pytest.raises(InvalidValue, match=f"^sender is on isthmus:{'ab' * 16}; the lane"):
        check_route(replace(MESSAGE, sender=MESSAGE.receiver), LANE)
    with pytest.raises(InvalidValue, match=r"^receiver is on eip155:1; the lane"):
        check_route(replace(MESSAGE, receiver=MESSAGE.sender), LANE)


# --- what is refused -----------------------------------------------------------------------------

NOT_UINT64 = [-1, 2**64, True, 1.0, "1", None]
NOT_WORDS = [b"", bytes(31), b"\x01" * 33, "0x" + "01" * 32, bytearray(b"\x01" * 32), None]


@pytest.mark.parametrize("field", ["nonce", "sequence", "expiry", "gas_limit"])
@pytest.mark.parametrize("value", NOT_UINT64)
def test_a_number_that_does_not_fit_is_refused(field: str, value: Any) -> None:
    with pytest.raises(InvalidValue, match=f"^{field} must be a whole number") as refused:
        replace(MESSAGE, **{field: value})
    assert refused.value.field == field


@pytest.mark.parametrize("field", ["epoch", "first_nonce", "count"])
@pytest.mark.parametrize("value", NOT_UINT64)
def test_an_attestations_number_that_does_not_fit_is_refused(field: str, value: Any) -> None:
    with pytest.raises(InvalidValue, match=f"^{field} must be a whole number") as refused:
        replace(ATTESTATION, **{field: value})
    assert refused.value.field == field


@pytest.mark.parametrize("value", NOT_WORDS)
def test_what_is_not_32_bytes_is_refused(value: Any) -> None:
    for whole, field in (
        (LANE, "source_salt"),
        (LANE, "destination_salt"),
        (MESSAGE, "lane"),
        (ATTESTATION, "lane"),
        (ATTESTATION, "root"),
    ):
        with pytest.raises(InvalidValue, match=f"^{field} must be 32 bytes") as refused:
            replace(whole, **{field: value})
        assert refused.value.field == field


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": True}, "^version is True; messages here are of version 1"),
        ({"payload": "hello"}, "^payload is not bytes"),
        ({"payload": bytearray(b"hello")}, "^payload is not bytes"),
        ({"payload": bytes(MAX_PAYLOAD + 1)}, "^payload is 65537 bytes; 65536 is the most"),
        ({"ordered": 1}, "^ordered is neither"),
        ({"ordered": False}, "^sequence is 2; a message that is not ordered has 0"),
        ({"sender": AccountId.parse(CHAIN.lower())}, "^sender is not written with its checksum"),
        ({"receiver": AccountId.parse("sim:a:b")}, "^receiver: chains of sim have no"),
    ],
)
def test_what_is_no_message_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidValue, match=reason):
        replace(MESSAGE, **changes)


# --- batches and time ----------------------------------------------------------------------------


@given(st.integers(0, MAX_UINT64), st.integers(1, MAX_UINT64))
def test_the_last_nonce_of_a_batch_is_a_nonce(first: int, count: int) -> None:
    if first + count - 1 <= MAX_UINT64:
        found = replace(ATTESTATION, first_nonce=first, count=count)
        assert found.covers(first)
        assert found.covers(first + count - 1)
        assert not found.covers(first + count)
        assert not found.covers(first - 1)
    else:
        with pytest.raises(InvalidValue, match=r"^count is"):
            replace(ATTESTATION, first_nonce=first, count=count)


def test_a_batch_may_end_with_the_last_nonce() -> None:
    assert replace(ATTESTATION, first_nonce=MAX_UINT64, count=1).covers(MAX_UINT64)
    assert replace(ATTESTATION, first_nonce=1, count=MAX_UINT64).covers(MAX_UINT64)
    with pytest.raises(InvalidValue, match="the last nonce would be above"):
        replace(ATTESTATION, first_nonce=MAX_UINT64, count=2)


def test_a_message_expires_at_its_expiry_or_never() -> None:
    assert not replace(MESSAGE, expiry=100).expired(99)
    assert replace(MESSAGE, expiry=100).expired(100)
    assert not replace(MESSAGE, expiry=0).expired(MAX_UINT64)
