"""Intents: what a swap asks to be done. Carried out at least once, recognised by the chain.

An intent's id is made of the swap's hashlock and the intent's kind: a swap has at most one of each
kind open, and one that was closed may be asked for anew under the same id. What it makes on a chain
has an id that follows from the agreement, so that a second try is recognised there.
"""

from __future__ import annotations

from enum import StrEnum

from adapters.model import ChainId, Hashlock, LockId, LockTerms
from adapters.values import dataclass
from relayers.protocol.offer import Acceptance, Offer


class Kind(StrEnum):
    SEND_OFFER = "send_offer"
    SEND_ACCEPTANCE = "send_acceptance"
    SEND_DECLINE = "send_decline"
    LOCK = "lock"
    CLAIM = "claim"
    REFUND = "refund"


def intent_id(hashlock: Hashlock, kind: Kind) -> str:
    return f"{hashlock.hex()}:{kind}"


def swap_of(intent: str) -> Hashlock:
    """The key of the swap that the intent with this id is of."""
    return Hashlock(bytes.fromhex(intent.partition(":")[0]))


@dataclass(frozen=True, slots=True)
class SendOffer:
    id: str
    offer: Offer
    signature: bytes


@dataclass(frozen=True, slots=True)
class SendAcceptance:
    id: str
    peer: bytes
    """The other gateway's key as an address (20 bytes)."""
    acceptance: Acceptance
    signature: bytes


@dataclass(frozen=True, slots=True)
class SendDecline:
    id: str
    peer: bytes
    hashlock: Hashlock
    reason: str


@dataclass(frozen=True, slots=True)
class SubmitLock:
    """Lock, but only while now < ``before``: later the arithmetic no longer holds."""

    id: str
    terms: LockTerms
    lock_id: LockId
    before: int


@dataclass(frozen=True, slots=True)
class OwnSecret:
    """The preimage is ours: derived from the offer's salt at the moment of the call."""

    salt: bytes


@dataclass(frozen=True, slots=True)
class SeenSecret:
    """The preimage is on a chain already, and in the swap's snapshot."""


@dataclass(frozen=True, slots=True)
class SubmitClaim:
    """Claim. It names the lock, never the preimage. With an own secret the executor first puts
    RevealBegun to the swap, and goes on only in REVEALING."""

    id: str
    chain: ChainId
    lock_id: LockId
    hashlock: Hashlock
    secret: OwnSecret | SeenSecret


@dataclass(frozen=True, slots=True)
class SubmitRefund:
    """Refund, as soon as the chain's time has reached ``deadline``."""

    id: str
    chain: ChainId
    lock_id: LockId
    deadline: int


Intent = SendOffer | SendAcceptance | SendDecline | SubmitLock | SubmitClaim | SubmitRefund
