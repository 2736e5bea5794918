"""What gateways sign: EIP-712 typed data for offers, acceptances and declines.

Domain: ``EIP712Domain(string name,string version)`` with name ``Isthmus`` and version ``1``. There
is no chain id in it: each leg names its own chain and contract, and so is bound to them. CAIP
identifiers are signed as their text.

    Offer(uint16 version,address initiator,address responder,bytes32 salt,bytes32 hashlock,
          Leg a,Leg b,uint64 validUntil,string reference)
    Leg(string chain,string lockContract,string asset,uint256 amount,string account,
        uint64 deadline)
    Acceptance(bytes32 offer,bytes32 hashlock,string recipientA,string senderB)
    Decline(address initiator,address responder,bytes32 hashlock,string reason)

    digest = keccak256(0x19 0x01 ‖ hashStruct(domain) ‖ hashStruct(message))

Source: EIP-712 (``adapters/codec/typed_data.py``). ``Acceptance.offer`` is the digest of the offer,
so that an acceptance cannot be moved to another offer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from adapters.codec.secp256k1 import address_of, recover
from adapters.codec.typed_data import Schema, Value
from adapters.model import Hashlock, InvalidValue
from adapters.spi import Scheme, Signer, SigningFailed
from relayers.protocol.offer import Acceptance, Offer, OfferedLeg

_SCHEMA: Final = Schema(
    {
        "Leg": (
            ("chain", "string"),
            ("lockContract", "string"),
            ("asset", "string"),
            ("amount", "uint256"),
            ("account", "string"),
            ("deadline", "uint64"),
        ),
        "Offer": (
            ("version", "uint16"),
            ("initiator", "address"),
            ("responder", "address"),
            ("salt", "bytes32"),
            ("hashlock", "bytes32"),
            ("a", "Leg"),
            ("b", "Leg"),
            ("validUntil", "uint64"),
            ("reference", "string"),
        ),
        "Acceptance": (
            ("offer", "bytes32"),
            ("hashlock", "bytes32"),
            ("recipientA", "string"),
            ("senderB", "string"),
        ),
        "Decline": (
            ("initiator", "address"),
            ("responder", "address"),
            ("hashlock", "bytes32"),
            ("reason", "string"),
        ),
    }
)
TYPES: Final = _SCHEMA.types
"""The members of each struct, in the order in which they are encoded."""


@dataclass(frozen=True, slots=True)
class Decline:
    """What the responder signs where it declines. ``reason`` is for people."""

    initiator: bytes
    responder: bytes
    hashlock: Hashlock
    reason: str


def encode_type(name: str) -> str:
    """``encodeType`` of EIP-712."""
    return _SCHEMA.encode_type(name)


# --- the three messages --------------------------------------------------------------------------


def _leg_values(leg: OfferedLeg) -> Mapping[str, Value]:
    return {
        "chain": str(leg.chain),
        "lockContract": leg.contract,
        "asset": str(leg.asset),
        "amount": leg.amount,
        "account": str(leg.account),
        "deadline": leg.deadline,
    }


def offer_values(offer: Offer) -> Mapping[str, Value]:
    """The offer as the members of the struct ``Offer``."""
    return {
        "version": offer.version,
        "initiator": offer.initiator,
        "responder": offer.responder,
        "salt": offer.salt,
        "hashlock": offer.hashlock,
        "a": _leg_values(offer.a),
        "b": _leg_values(offer.b),
        "validUntil": offer.valid_until,
        "reference": offer.reference,
    }


def acceptance_values(acceptance: Acceptance) -> Mapping[str, Value]:
    """The acceptance as the members of the struct ``Acceptance``."""
    return {
        "offer": acceptance.offer,
        "hashlock": acceptance.hashlock,
        "recipientA": str(acceptance.recipient_a),
        "senderB": str(acceptance.sender_b),
    }


def decline_values(decline: Decline) -> Mapping[str, Value]:
    """The decline as the members of the struct ``Decline``."""
    return {
        "initiator": decline.initiator,
        "responder": decline.responder,
        "hashlock": decline.hashlock,
        "reason": decline.reason,
    }


def offer_digest(offer: Offer) -> bytes:
    """32 bytes. Raises InvalidValue for a number that does not fit its type."""
    return _SCHEMA.digest("Offer", offer_values(offer))


def acceptance_digest(acceptance: Acceptance) -> bytes:
    """32 bytes. Raises InvalidValue."""
    return _SCHEMA.digest("Acceptance", acceptance_values(acceptance))


def decline_digest(decline: Decline) -> bytes:
    """32 bytes. Raises InvalidValue."""
    return _SCHEMA.digest("Decline", decline_values(decline))


# --- signing and verifying -----------------------------------------------------------------------


def gateway_address(signer: Signer) -> bytes:
    """The address (20 bytes) by which peers know this key. Raises InvalidValue for a key of another
    curve: offers are signed with secp256k1 alone."""
    if signer.scheme is not Scheme.SECP256K1:
        raise InvalidValue(
            f"the gateway's key is of scheme {signer.scheme}; offers are signed with secp256k1"
        )
    return address_of(signer.public_key)


async def sign(signer: Signer, digest: bytes) -> bytes:
    """65 bytes: r ‖ s ‖ recovery id. The signature is verified before it is handed out, so that a
    remote signer that answers with another key is found here. Raises SigningFailed."""
    signature = await signer.sign(digest)
    if not signed_by(gateway_address(signer), digest, signature):
        raise SigningFailed("the gateway's key made a signature that does not verify")
    return signature


def signed_by(address: bytes, digest: bytes, signature: bytes) -> bool:
    """Whether the key of this address made the signature (low s, exactly 65 bytes)."""
    try:
        return address_of(recover(digest, signature)) == address
    except InvalidValue:
        return False
