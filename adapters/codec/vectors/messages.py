"""Makes messages.json: run ``python -m adapters.codec.vectors.messages`` after changing it.

Bytes are 0x-prefixed hexadecimal, numbers decimal text (JSON numbers lose digits above 2^53), and
every list has entries of one form each:

    schema                 encodeType and typeHash of each struct, and the domain separator
    addresses              an account as CAIP-10 text, and its bytes
    refused_addresses      bytes that must be refused wherever an account is read
    lanes                  the members of Lane, and the lane id
    refused_lanes          the same without an id; ``field`` is what is wrong
    messages               the members of Message, the lane's name, and the message id
    refused_messages       the same without an id; ``field`` is what is wrong
    batches                an attestation's members and digest, the message ids of the batch in the
                           order of their nonces, and for each its proof
    refused_attestations   the members of Attestation; ``field`` is what is wrong

A payload is ``payload_pattern``, repeated and cut to ``payload_length`` bytes; ``payload_hash`` is
its keccak256. In each message sender and receiver are on the lane's two chains.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any, Final

from adapters.codec.interoperable_address import encode, encode_chain
from adapters.codec.keccak import keccak256
from adapters.codec.merkle import MessageTree
from adapters.codec.message import (
    MAX_PAYLOAD,
    SCHEMA,
    VERSION,
    Attestation,
    Lane,
    Message,
    attestation_digest,
    lane_id,
    message_id,
)
from adapters.codec.vectors import addresses
from adapters.codec.vectors.addresses import FABRIC, MAINNET, NATIVE, ODD_CHAINS, gateway, word
from adapters.model import MAX_UINT64, ChainId

PATH: Final = Path(__file__).with_suffix(".json")

Entry = dict[str, Any]
_NUMBERS = (1, 255, 256, 2**32 - 1, 2**32, 2**53 + 1, 2**63, MAX_UINT64 - 1, MAX_UINT64)


# --- lanes ---------------------------------------------------------------------------------------


def _lane(source: ChainId, destination: ChainId, **changes: Any) -> Lane:
    members: dict[str, Any] = {
        "source_gateway": gateway(source),
        "source_salt": word(f"salt on {source}"),
        "destination_gateway": gateway(destination),
        "destination_salt": word(f"salt on {destination}"),
    }
    return Lane(**members | changes)


def lanes() -> Mapping[str, Lane]:
    """By name."""
    ledgers = (MAINNET, NATIVE, FABRIC)
    found = {f"{a.namespace} to {b.namespace}": _lane(a, b) for a, b in permutations(ledgers, 2)}
    for name, chain in ODD_CHAINS.items():
        found[f"eip155 to {name}"] = _lane(MAINNET, chain)
        found[f"{name} to isthmus"] = _lane(chain, NATIVE)
    other = addresses.ordinary(MAINNET, "another gateway")
    ones = b"\xff" * 32
    return found | {
        "two gateways of one chain": _lane(MAINNET, MAINNET, destination_gateway=other),
        "one gateway set up anew": _lane(MAINNET, MAINNET, destination_salt=ones),
        "salts of zeros": _lane(MAINNET, NATIVE, source_salt=bytes(32), destination_salt=bytes(32)),
        "salts of ones": _lane(MAINNET, NATIVE, source_salt=ones, destination_salt=ones),
        "salts exchanged": _lane(
            MAINNET,
            NATIVE,
            source_salt=word(f"salt on {NATIVE}"),
            destination_salt=word(f"salt on {MAINNET}"),
        ),
        "a gateway of zeros": _lane(
            MAINNET, NATIVE, source_gateway=addresses.odd(MAINNET)["zeros"]
        ),
    }


def _lane_entry(name: str, lane: Lane) -> Entry:
    return {
        "name": name,
        "source_gateway": _hex(encode(lane.source_gateway)),
        "source_salt": _hex(lane.source_salt),
        "destination_gateway": _hex(encode(lane.destination_gateway)),
        "destination_salt": _hex(lane.destination_salt),
    }


def _refused_lanes() -> Iterator[Entry]:
    good = _lane_entry("", _lane(MAINNET, FABRIC))
    chains = {"source_gateway": MAINNET, "destination_gateway": FABRIC}
    for field, chain in chains.items():
        yield good | {
            "name": f"{field} is a chain alone",
            field: _hex(encode_chain(chain)),
            "field": field,
        }
        yield good | {"name": f"{field} is empty", field: "0x", "field": field}
        yield good | {
            "name": f"{field} has a byte after its end",
            field: good[field] + "00",
            "field": field,
        }
    yield good | {
        "name": "from a gateway to itself",
        "destination_gateway": good["source_gateway"],
        "destination_salt": good["source_salt"],
        "field": "destination_gateway",
    }


# --- messages ------------------------------------------------------------------------------------


def _message(lane: Lane, label: str, **changes: Any) -> Message:
    """An ordinary message on a lane, but for the changes."""
    message = Message(
        lane=lane_id(lane),
        nonce=7,
        sender=addresses.ordinary(lane.source, f"sender {label}"),
        receiver=addresses.ordinary(lane.destination, f"receiver {label}"),
        payload=f"payload {label}".encode(),
        gas_limit=200_000,
    )
    return replace(message, **changes)


def messages() -> Iterator[tuple[str, str, Message, bytes]]:
    """Name (unique), the lane's name, the message, and the pattern of its payload."""
    found = lanes()
    for name, lane in found.items():
        message = _message(lane, "ordinary")
        yield f"on {name}", name, message, message.payload
        ordered = replace(message, ordered=True, sequence=3, expiry=1_900_000_000)
        yield f"in order, on {name}", name, ordered, ordered.payload
    # On these lanes each ledger sends once and receives once.
    for name in ("eip155 to isthmus", "isthmus to fabric", "fabric to eip155"):
        lane = found[name]
        for oddity, account in addresses.odd(lane.source).items():
            message = _message(lane, "odd", sender=account)
            yield f"sender on {name}: {oddity}", name, message, message.payload
        for oddity, account in addresses.odd(lane.destination).items():
            message = _message(lane, "odd", receiver=account)
            yield f"receiver on {name}: {oddity}", name, message, message.payload
    name = "eip155 to fabric"
    for field, number, message in _numbers(found[name]):
        yield f"{field} {number}", name, message, message.payload
    for label, pattern, length in _payloads():
        payload = repeated(pattern, length)
        yield f"payload: {label}", name, _message(found[name], "payload", payload=payload), pattern
    itself = gateway(MAINNET)
    message = _message(found[name], "itself", sender=itself)
    yield "the gateway itself sends", name, message, message.payload
    for index in range(24):
        name = list(found)[index]
        message = _mixed(found[name], index)
        yield f"mixed {index}", name, message, message.payload


def _numbers(lane: Lane) -> Iterator[tuple[str, int, Message]]:
    for field in ("nonce", "sequence", "expiry", "gas_limit"):
        for number in (0, *_NUMBERS):
            changes = {"ordered": True} if field == "sequence" else {}
            yield field, number, _message(lane, field, **changes, **{field: number})
    most = dict.fromkeys(("nonce", "sequence", "expiry", "gas_limit"), MAX_UINT64)
    yield "all", MAX_UINT64, _message(lane, "all", ordered=True, **most)
    yield "all", 0, _message(lane, "all", nonce=0, gas_limit=0, payload=b"")


def _payloads() -> Iterator[tuple[str, bytes, int]]:
    yield "empty", b"", 0
    yield "one zero byte", b"\0", 1
    # Around a word, a block of keccak256 (136 bytes) and a byte's worth.
    for length in (31, 32, 33, 63, 64, 65, 135, 136, 137, 255, 256, 257, 272, 1000, 4096):
        yield f"{length} bytes", word("payload")[:7], length
    for length in (2**15, MAX_PAYLOAD - 1, MAX_PAYLOAD):
        yield f"{length} bytes", word("payload"), length
    yield "the most bytes, all zero", b"\0", MAX_PAYLOAD
    yield "the most bytes, all ones", b"\xff", MAX_PAYLOAD
    for label, text in {
        "Greek": "Ισθμός της Κορίνθου",
        "Chinese": "跨链消息",
        "Arabic": "رسالة",
        "emoji": "🚀🔗",
        "an accent in one piece": "é",
        "an accent in two pieces": "e\u0301",
    }.items():
        yield f"text, {label}", text.encode(), len(text.encode())
    yield "bytes that are not UTF-8", b"\xff\xfe\x80\xc0\xaf", 5
    abi = (32).to_bytes(32, "big") + (5).to_bytes(32, "big") + b"hello".ljust(32, b"\0")
    yield "bytes as Solidity encodes them", abi, len(abi)


def _mixed(lane: Lane, index: int) -> Message:
    def number(field: str) -> int:
        return int.from_bytes(word(f"mixed {index} {field}")[: 1 + index % 8], "big")

    ordered = index % 3 == 0
    return _message(
        lane,
        f"mixed {index}",
        nonce=number("nonce"),
        payload=word(f"mixed {index} payload") * (index % 5),
        ordered=ordered,
        sequence=number("sequence") if ordered else 0,
        expiry=number("expiry"),
        gas_limit=number("gas limit"),
    )


def repeated(pattern: bytes, length: int) -> bytes:
    """The payload of a pattern and a length."""
    return (pattern * (length // len(pattern) + 1))[:length] if pattern else b""


def _message_entry(name: str, lane: str, message: Message, pattern: bytes) -> Entry:
    return {
        "name": name,
        "lane_name": lane,
        "version": str(message.version),
        "lane": _hex(message.lane),
        "nonce": str(message.nonce),
        "sender": _hex(encode(message.sender)),
        "receiver": _hex(encode(message.receiver)),
        "payload_pattern": _hex(pattern),
        "payload_length": str(len(message.payload)),
        "payload_hash": _hex(keccak256(message.payload)),
        "ordered": message.ordered,
        "sequence": str(message.sequence),
        "expiry": str(message.expiry),
        "gas_limit": str(message.gas_limit),
    }


def _refused_messages() -> Iterator[Entry]:
    name = "eip155 to isthmus"
    message = _message(lanes()[name], "refused")
    good = _message_entry("", name, message, message.payload)

    def bad(label: str, field: str, **changes: Any) -> Entry:
        return good | changes | {"name": label, "field": field}

    for version in (0, VERSION + 1, 256, 2**16 - 1):
        yield bad(f"version {version}", "version", version=str(version))
    yield bad("lane zero", "lane", lane=_hex(bytes(32)))
    for length in (MAX_PAYLOAD + 1, 2 * MAX_PAYLOAD):
        payload = repeated(b"\x01", length)
        yield bad(
            f"payload of {length} bytes",
            "payload",
            payload_pattern="0x01",
            payload_length=str(length),
            payload_hash=_hex(keccak256(payload)),
        )
    for sequence in (1, MAX_UINT64):
        yield bad(f"not ordered, sequence {sequence}", "sequence", sequence=str(sequence))
    for field, account in (("sender", message.sender), ("receiver", message.receiver)):
        whole = encode(account)
        for label, data in {
            "is empty": b"",
            "is a chain alone": encode_chain(account.chain),
            "names no chain": whole[:4] + b"\0" + whole[5 + whole[4] :],
            "has a byte after its end": whole + b"\0",
            "is of version 2": b"\x00\x02" + whole[2:],
            "is of an unknown chain type": whole[:2] + b"\xff\xff" + whole[4:],
        }.items():
            yield bad(f"{field} {label}", field, **{field: _hex(data)})


# --- batches -------------------------------------------------------------------------------------


def batches() -> Iterator[tuple[str, str, Attestation, list[Message]]]:
    """Name (unique), the lane's name, the attestation, and the messages by nonce."""
    names = list(lanes())
    for index, count in enumerate((1, 2, 3, 4, 5, 7, 8, 9, 16, 33, 64)):
        yield _batch(f"of {count}", names[index % 6], epoch=index, first=count * 1000, count=count)
    for epoch, first, count in (
        (0, 0, 1),
        (MAX_UINT64, MAX_UINT64, 1),
        (MAX_UINT64, MAX_UINT64 - 2, 3),
        (2**32, 2**53, 2),
        (1, 255, 2),
    ):
        yield _batch(
            f"epoch {epoch}, from {first}", names[0], epoch=epoch, first=first, count=count
        )


def _batch(
    name: str, lane: str, epoch: int, first: int, count: int
) -> tuple[str, str, Attestation, list[Message]]:
    on = lanes()[lane]
    found = [
        _message(on, f"{index} of {name}", nonce=first + index, gas_limit=index)
        for index in range(count)
    ]
    root = MessageTree([message_id(message) for message in found]).root
    return name, lane, Attestation(lane_id(on), epoch, root, first, count), found


def _attestation_entry(name: str, lane: str, attestation: Attestation) -> Entry:
    return {
        "name": name,
        "lane_name": lane,
        "lane": _hex(attestation.lane),
        "epoch": str(attestation.epoch),
        "root": _hex(attestation.root),
        "first_nonce": str(attestation.first_nonce),
        "count": str(attestation.count),
    }


def _batch_entry(
    name: str, lane: str, attestation: Attestation, found: list[Message]
) -> tuple[Entry, list[Entry]]:
    """The batch, and its messages as entries of their own."""
    ids = [message_id(message) for message in found]
    tree = MessageTree(ids)
    entry = _attestation_entry(name, lane, attestation) | {
        "digest": _hex(attestation_digest(attestation)),
        "ids": [_hex(one) for one in ids],
        "proofs": [[_hex(node) for node in tree.proof(one)] for one in ids],
    }
    sent = [
        _message_entry(f"batch {name}, nonce {message.nonce}", lane, message, message.payload)
        | {"message_id": _hex(one)}
        for message, one in zip(found, ids, strict=True)
    ]
    return entry, sent


def _refused_attestations() -> Iterator[Entry]:
    name, lane, attestation, _ = _batch("", "eip155 to isthmus", 3, 40, 2)
    good = _attestation_entry(name, lane, attestation)
    for label, field, changes in (
        ("lane zero", "lane", {"lane": _hex(bytes(32))}),
        ("root zero", "root", {"root": _hex(bytes(32))}),
        ("count 0", "count", {"count": "0"}),
        ("ends above", "count", {"first_nonce": str(MAX_UINT64), "count": "2"}),
        ("the most from 2", "count", {"first_nonce": "2", "count": str(MAX_UINT64)}),
        (
            "the most from the most",
            "count",
            dict.fromkeys(("first_nonce", "count"), str(MAX_UINT64)),
        ),
    ):
        yield good | changes | {"name": label, "field": field}


# --- the file ------------------------------------------------------------------------------------


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


def _schema() -> Entry:
    return {
        "domain_separator": _hex(SCHEMA.domain_separator()),
        "types": [
            {
                "name": name,
                "type": SCHEMA.encode_type(name),
                "type_hash": _hex(SCHEMA.type_hash(name)),
            }
            for name in SCHEMA.types
        ],
    }


def text() -> str:
    """The file as it should be."""
    made = [_batch_entry(*batch) for batch in batches()]
    document = {
        "how_to_read": "adapters/codec/vectors/messages.py",
        "schema": _schema(),
        "addresses": [
            {"name": name, "account": str(account), "encoded": _hex(encode(account))}
            for name, account in addresses.accounts()
        ],
        "refused_addresses": [
            {"name": name, "encoded": _hex(data)} for name, data in addresses.refused()
        ],
        "lanes": [
            _lane_entry(name, lane) | {"lane_id": _hex(lane_id(lane))}
            for name, lane in lanes().items()
        ],
        "refused_lanes": list(_refused_lanes()),
        "messages": [
            *(
                _message_entry(*one) | {"message_id": _hex(message_id(one[2]))}
                for one in messages()
            ),
            *(entry for _, sent in made for entry in sent),
        ],
        "refused_messages": list(_refused_messages()),
        "batches": [batch for batch, _ in made],
        "refused_attestations": list(_refused_attestations()),
    }
    return json.dumps(document, indent=1) + "\n"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="ascii")
