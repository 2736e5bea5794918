"""Messages between chains, their lanes, and what notaries sign; one schema for every language.

    Lane(bytes sourceGateway,bytes32 sourceSalt,bytes destinationGateway,bytes32 destinationSalt)
    Message(uint16 version,bytes32 lane,uint64 nonce,bytes sender,bytes receiver,bytes payload,
            bool ordered,uint64 sequence,uint64 expiry,uint64 gasLimit)
    Attestation(bytes32 lane,uint64 epoch,bytes32 root,uint64 firstNonce,uint64 count)

    lane id            hashStruct(Lane)
    message id         hashStruct(Message); the lane binds the chains and the gateways
    attestation        digest = keccak256(0x19 0x01 ‖ hashStruct(EIP712Domain) ‖ hashStruct)

Gateways, senders and receivers are interoperable addresses (``interoperable_address.py``), here as
the accounts that they stand for. The domain is ``typed_data.py``'s. Source: EIP-712.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NewType

from adapters.codec import interoperable_address
from adapters.codec.typed_data import Schema, Value
from adapters.model import MAX_UINT64, AccountId, ChainId, InvalidValue, check_uint64
from adapters.values import dataclass

LaneId = NewType("LaneId", bytes)
"""32 bytes."""

MessageId = NewType("MessageId", bytes)
"""32 bytes."""

VERSION: Final = 1
MAX_PAYLOAD: Final = 65_536
"""Bytes."""
NEVER: Final = 0
"""The expiry of a message that does not expire."""

SCHEMA: Final = Schema(
    {
        "Lane": (
            ("sourceGateway", "bytes"),
            ("sourceSalt", "bytes32"),
            ("destinationGateway", "bytes"),
            ("destinationSalt", "bytes32"),
        ),
        "Message": (
            ("version", "uint16"),
            ("lane", "bytes32"),
            ("nonce", "uint64"),
            ("sender", "bytes"),
            ("receiver", "bytes"),
            ("payload", "bytes"),
            ("ordered", "bool"),
            ("sequence", "uint64"),
            ("expiry", "uint64"),
            ("gasLimit", "uint64"),
        ),
        "Attestation": (
            ("lane", "bytes32"),
            ("epoch", "uint64"),
            ("root", "bytes32"),
            ("firstNonce", "uint64"),
            ("count", "uint64"),
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Lane:
    """From one gateway to another. The salts, 32 bytes, are those that the gateways were deployed
    with: a gateway set up anew has other lanes. Raises InvalidValue."""

    source_gateway: AccountId
    source_salt: bytes
    destination_gateway: AccountId
    destination_salt: bytes

    def __post_init__(self) -> None:
        interoperable_address.encode(self.source_gateway, "source_gateway")
        interoperable_address.encode(self.destination_gateway, "destination_gateway")
        _check_word(self.source_salt, "source_salt")
        _check_word(self.destination_salt, "destination_salt")
        if (self.source_gateway, self.source_salt) == (
            self.destination_gateway,
            self.destination_salt,
        ):
            raise InvalidValue(
                "destination_gateway is the source gateway: a lane leads to another one",
                "destination_gateway",
            )

    @property
    def source(self) -> ChainId:
        return self.source_gateway.chain

    @property
    def destination(self) -> ChainId:
        return self.destination_gateway.chain


@dataclass(frozen=True, slots=True)
class Message:
    """What ``sender`` on the lane's source chain says to ``receiver`` on its destination.

    ``nonce``: its number on the lane. ``sequence``: of an ordered message its number among those of
    one sender to one receiver on the lane; else 0. ``expiry``: the Unix second of the destination's
    time from which on it can only be cancelled, 0 for never.
    ``gas_limit``: what the receiver may use up, in the destination's unit. Raises InvalidValue.
    """

    lane: LaneId
    nonce: int
    sender: AccountId
    receiver: AccountId
    payload: bytes
    ordered: bool = False
    sequence: int = 0
    expiry: int = NEVER
    gas_limit: int = 0
    version: int = VERSION

    def __post_init__(self) -> None:
        if self.version != VERSION or isinstance(self.version, bool):
            raise InvalidValue(
                f"version is {self.version!r}; messages here are of version {VERSION}", "version"
            )
        _check_lane(self.lane)
        check_uint64(self.nonce, "nonce")
        interoperable_address.encode(self.sender, "sender")
        interoperable_address.encode(self.receiver, "receiver")
        if not isinstance(self.payload, bytes):
            raise InvalidValue("payload is not bytes", "payload")
        if len(self.payload) > MAX_PAYLOAD:
            raise InvalidValue(
                f"payload is {len(self.payload)} bytes; {MAX_PAYLOAD} is the most", "payload"
            )
        if not isinstance(self.ordered, bool):
            raise InvalidValue("ordered is neither true nor false", "ordered")
        check_uint64(self.sequence, "sequence")
        if self.sequence and not self.ordered:
            raise InvalidValue(
                f"sequence is {self.sequence}; a message that is not ordered has 0", "sequence"
            )
        check_uint64(self.expiry, "expiry")
        check_uint64(self.gas_limit, "gas_limit")

    def expired(self, time: int) -> bool:
        """Whether it can only be cancelled at this time of its destination (Unix seconds)."""
        return self.expiry != NEVER and time >= self.expiry


@dataclass(frozen=True, slots=True)
class Attestation:
    """What a notary signs: the messages whose ids are the leaves under ``root`` were sent on the
    lane; there are ``count`` of them, with nonces from ``first_nonce``. ``epoch`` is that of the
    notary set. Raises InvalidValue."""

    lane: LaneId
    epoch: int
    root: bytes
    first_nonce: int
    count: int

    def __post_init__(self) -> None:
        _check_lane(self.lane)
        check_uint64(self.epoch, "epoch")
        _check_word(self.root, "root")
        if not any(self.root):
            raise InvalidValue("root is zero", "root")
        check_uint64(self.first_nonce, "first_nonce")
        check_uint64(self.count, "count")
        if self.count == 0:
            raise InvalidValue("count is 0: an attestation is of one message at least", "count")
        # The last nonce must be one; the sum itself may be 2^64.
        if self.count - 1 > MAX_UINT64 - self.first_nonce:
            raise InvalidValue(
                f"count is {self.count}: with first_nonce {self.first_nonce} the last nonce would "
                "be above 2^64 - 1",
                "count",
            )

    def covers(self, nonce: int) -> bool:
        """Whether a message of this nonce can be in the batch."""
        return 0 <= nonce - self.first_nonce < self.count


def lane_id(lane: Lane) -> LaneId:
    return LaneId(SCHEMA.hash_struct("Lane", lane_values(lane)))


def message_id(message: Message) -> MessageId:
    return MessageId(SCHEMA.hash_struct("Message", message_values(message)))


def attestation_digest(attestation: Attestation) -> bytes:
    """What is signed, 32 bytes."""
    return SCHEMA.digest("Attestation", attestation_values(attestation))


def check_route(message: Message, lane: Lane) -> None:
    """Raises InvalidValue where a message is not of this lane, its sender not on the lane's source
    chain, or its receiver not on the destination: the id binds the lane, not these two."""
    if message.lane != lane_id(lane):
        raise InvalidValue("lane is another one than the message was read from", "lane")
    if message.sender.chain != lane.source:
        raise InvalidValue(
            f"sender is on {message.sender.chain}; the lane leads from {lane.source}", "sender"
        )
    if message.receiver.chain != lane.destination:
        raise InvalidValue(
            f"receiver is on {message.receiver.chain}; the lane leads to {lane.destination}",
            "receiver",
        )


def lane_values(lane: Lane) -> Mapping[str, Value]:
    """The lane as the members of the struct ``Lane``."""
    return {
        # Named as where they are checked, so that what was encoded there is still known.
        "sourceGateway": interoperable_address.encode(lane.source_gateway, "source_gateway"),
        "sourceSalt": lane.source_salt,
        "destinationGateway": interoperable_address.encode(
            lane.destination_gateway, "destination_gateway"
        ),
        "destinationSalt": lane.destination_salt,
    }


def message_values(message: Message) -> Mapping[str, Value]:
    """The message as the members of the struct ``Message``."""
    return {
        "version": message.version,
        "lane": message.lane,
        "nonce": message.nonce,
        "sender": interoperable_address.encode(message.sender, "sender"),
        "receiver": interoperable_address.encode(message.receiver, "receiver"),
        "payload": message.payload,
        "ordered": message.ordered,
        "sequence": message.sequence,
        "expiry": message.expiry,
        "gasLimit": message.gas_limit,
    }


def attestation_values(attestation: Attestation) -> Mapping[str, Value]:
    """The attestation as the members of the struct ``Attestation``."""
    return {
        "lane": attestation.lane,
        "epoch": attestation.epoch,
        "root": attestation.root,
        "firstNonce": attestation.first_nonce,
        "count": attestation.count,
    }


def _check_lane(value: bytes) -> None:
    _check_word(value, "lane")
    if not any(value):
        raise InvalidValue("lane is zero", "lane")


def _check_word(value: bytes, field: str) -> None:
    if not isinstance(value, bytes) or len(value) != 32:
        raise InvalidValue(f"{field} must be 32 bytes", field)
