"""Offers, acceptances and declines as JSON between gateways.

Strict: a field that is unknown, missing or of another form refuses the whole message. Amounts are
decimal strings in smallest units, bytes are 0x-hex in lower case, times are Unix seconds. There is
one text for each value: what is signed cannot be written in two ways.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from adapters.model import AccountId, AssetId, ChainId, Hashlock, InvalidValue
from relayers.offers.refusal import OfferRefused, Refusal
from relayers.offers.typed_data import Decline
from relayers.protocol.offer import MAX_REASON, MAX_REFERENCE, Acceptance, Offer, OfferedLeg

MAX_BODY = 16 * 1024
"""Bytes; no message between gateways is longer."""

Address = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]{40}$")]
Bytes32 = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]{64}$")]
Signature = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]{130}$")]
DecimalText = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,77}$")]
Time = Annotated[int, Field(gt=0, lt=2**63)]
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class LegBody(_Message):
    """One leg; ``account`` is the initiator's."""

    chain: Identifier
    contract: Identifier
    asset: Identifier
    amount: DecimalText
    account: Identifier
    deadline: Time


class OfferBody(_Message):
    """An offer, field by field as it is signed."""

    version: Annotated[int, Field(ge=1, lt=2**16)]
    initiator: Address
    responder: Address
    salt: Bytes32
    hashlock: Bytes32
    a: LegBody
    b: LegBody
    valid_until: Time
    reference: Annotated[str, StringConstraints(max_length=MAX_REFERENCE)] = ""


class AcceptanceBody(_Message):
    """An acceptance, field by field as it is signed."""

    offer: Bytes32
    hashlock: Bytes32
    recipient_a: Identifier
    sender_b: Identifier


class DeclineBody(_Message):
    """A decline, field by field as it is signed."""

    initiator: Address
    responder: Address
    hashlock: Bytes32
    reason: Annotated[str, StringConstraints(max_length=MAX_REASON)]


class OfferMessage(_Message):
    offer: OfferBody
    signature: Signature


class AcceptanceMessage(_Message):
    acceptance: AcceptanceBody
    signature: Signature


class DeclineMessage(_Message):
    decline: DeclineBody
    signature: Signature


class Receipt(_Message):
    """The answer to each message that was taken."""

    hashlock: Bytes32
    phase: str


class Hello(_Message):
    """Who answers, and which versions of the offer protocol it speaks."""

    organisation: str
    address: Address
    versions: tuple[int, ...]


# --- values to messages --------------------------------------------------------------------------


def to_hex(value: bytes) -> str:
    return "0x" + value.hex()


def from_hex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def _leg_body(leg: OfferedLeg) -> LegBody:
    return LegBody(
        chain=str(leg.chain),
        contract=leg.contract,
        asset=str(leg.asset),
        amount=str(leg.amount),
        account=str(leg.account),
        deadline=leg.deadline,
    )


def offer_body(offer: Offer) -> OfferBody:
    return OfferBody(
        version=offer.version,
        initiator=to_hex(offer.initiator),
        responder=to_hex(offer.responder),
        salt=to_hex(offer.salt),
        hashlock=to_hex(offer.hashlock),
        a=_leg_body(offer.a),
        b=_leg_body(offer.b),
        valid_until=offer.valid_until,
        reference=offer.reference,
    )


def offer_message(offer: Offer, signature: bytes) -> OfferMessage:
    return OfferMessage(offer=offer_body(offer), signature=to_hex(signature))


def acceptance_message(acceptance: Acceptance, signature: bytes) -> AcceptanceMessage:
    body = AcceptanceBody(
        offer=to_hex(acceptance.offer),
        hashlock=to_hex(acceptance.hashlock),
        recipient_a=str(acceptance.recipient_a),
        sender_b=str(acceptance.sender_b),
    )
    return AcceptanceMessage(acceptance=body, signature=to_hex(signature))


def decline_message(decline: Decline, signature: bytes) -> DeclineMessage:
    body = DeclineBody(
        initiator=to_hex(decline.initiator),
        responder=to_hex(decline.responder),
        hashlock=to_hex(decline.hashlock),
        reason=decline.reason,
    )
    return DeclineMessage(decline=body, signature=to_hex(signature))


# --- messages to values --------------------------------------------------------------------------


_M = TypeVar("_M", bound=BaseModel)


def parse(model: type[_M], body: bytes) -> _M:
    """Reads a message. Raises OfferRefused (invalid_value) that names the first wrong field."""
    if len(body) > MAX_BODY:
        raise OfferRefused(
            Refusal.INVALID_VALUE, f"the message is longer than {MAX_BODY} bytes, the most allowed"
        )
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or None
        where = field if field is not None else "the message"
        raise OfferRefused(Refusal.INVALID_VALUE, f"{where}: {first['msg']}", field) from None


def _leg_of(body: LegBody) -> OfferedLeg:
    return OfferedLeg(
        chain=ChainId.parse(body.chain),
        contract=body.contract,
        asset=AssetId.parse(body.asset),
        amount=int(body.amount),
        account=AccountId.parse(body.account),
        deadline=body.deadline,
    )


def offer_of(message: OfferMessage) -> tuple[Offer, bytes]:
    """The offer and its signature (65 bytes). Raises OfferRefused (invalid_value)."""
    body = message.offer
    legs: dict[str, OfferedLeg] = {}
    for name, leg in (("a", body.a), ("b", body.b)):
        try:
            legs[name] = _leg_of(leg)
        except InvalidValue as error:
            raise OfferRefused(
                Refusal.INVALID_VALUE, f"offer.{name}: {error}", f"offer.{name}"
            ) from None
    try:
        offer = Offer(
            version=body.version,
            initiator=from_hex(body.initiator),
            responder=from_hex(body.responder),
            salt=from_hex(body.salt),
            hashlock=Hashlock(from_hex(body.hashlock)),
            a=legs["a"],
            b=legs["b"],
            valid_until=body.valid_until,
            reference=body.reference,
        )
    except InvalidValue as error:
        raise OfferRefused(Refusal.INVALID_VALUE, f"offer: {error}", "offer") from None
    return offer, from_hex(message.signature)


def acceptance_of(message: AcceptanceMessage) -> tuple[Acceptance, bytes]:
    """The acceptance and its signature (65 bytes). Raises OfferRefused (invalid_value)."""
    body = message.acceptance
    accounts: dict[str, AccountId] = {}
    for name, text in (("recipient_a", body.recipient_a), ("sender_b", body.sender_b)):
        try:
            accounts[name] = AccountId.parse(text)
        except InvalidValue as error:
            field = f"acceptance.{name}"
            raise OfferRefused(Refusal.INVALID_VALUE, f"{field}: {error}", field) from None
    acceptance = Acceptance(
        offer=from_hex(body.offer), hashlock=Hashlock(from_hex(body.hashlock)), **accounts
    )
    return acceptance, from_hex(message.signature)


def decline_of(message: DeclineMessage) -> tuple[Decline, bytes]:
    """The decline and its signature (65 bytes)."""
    body = message.decline
    decline = Decline(
        initiator=from_hex(body.initiator),
        responder=from_hex(body.responder),
        hashlock=Hashlock(from_hex(body.hashlock)),
        reason=body.reason,
    )
    return decline, from_hex(message.signature)
