"""What two gateways agree on: the initiator's offer and the responder's acceptance.

Both are plain values; how they are signed (EIP-712) and carried is told elsewhere. Leg A is what
the initiator gives, leg B what it gets. An offer and its acceptance together fix every field of
both locks, and with that both lock ids, before anything is locked.
"""

from __future__ import annotations

from adapters.model import (
    AccountId,
    Amount,
    AssetId,
    ChainId,
    Hashlock,
    InvalidValue,
    LockTerms,
    check_amount,
    check_hashlock,
)
from adapters.values import dataclass

PROTOCOL_VERSIONS = (1,)
"""The offer protocol versions that this code speaks, newest first."""

MAX_REFERENCE = 128
MAX_REASON = 500
"""Characters of why an offer is declined."""


@dataclass(frozen=True, slots=True)
class OfferedLeg:
    """One side of an offer. ``account`` is the initiator's: it sends on A, it receives on B."""

    chain: ChainId
    contract: str
    asset: AssetId
    amount: Amount
    account: AccountId
    deadline: int

    def __post_init__(self) -> None:
        check_amount(self.amount)
        for field in ("asset", "account"):
            chain = getattr(self, field).chain
            if chain != self.chain:
                raise InvalidValue(f"{field} is on {chain}, but its leg is on {self.chain}", field)


@dataclass(frozen=True, slots=True)
class Offer:
    """What the initiator signs.

    ``initiator`` and ``responder`` are the gateways' keys as Ethereum addresses (20 bytes).
    ``salt`` is 32 random bytes from which the initiator derives its preimage.
    ``valid_until``: Unix seconds; an acceptance must be made before.
    ``reference``: the user's own text, at most 128 characters, carried unread.
    """

    version: int
    initiator: bytes
    responder: bytes
    salt: bytes
    hashlock: Hashlock
    a: OfferedLeg
    b: OfferedLeg
    valid_until: int
    reference: str = ""

    def __post_init__(self) -> None:
        check_hashlock(self.hashlock)
        if len(self.initiator) != 20 or len(self.responder) != 20:
            raise InvalidValue("initiator and responder must be addresses of 20 bytes")
        if self.initiator == self.responder:
            raise InvalidValue("initiator and responder are the same gateway")
        if len(self.salt) != 32:
            raise InvalidValue(f"salt is {len(self.salt)} bytes; it must be 32")
        if self.a.chain == self.b.chain:
            raise InvalidValue(f"both legs are on {self.a.chain}; a swap needs two chains")
        if len(self.reference) > MAX_REFERENCE or not self.reference.isprintable():
            raise InvalidValue(
                f"reference must be at most {MAX_REFERENCE} printable characters", "reference"
            )


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What the responder signs. ``recipient_a`` receives on A; ``sender_b`` sends on B."""

    offer: bytes
    """The EIP-712 digest of the offer; 32 bytes."""
    hashlock: Hashlock
    recipient_a: AccountId
    sender_b: AccountId


def terms_a(offer: Offer, acceptance: Acceptance) -> LockTerms:
    """The initiator's lock. Raises InvalidValue where an account is on the wrong chain."""
    return LockTerms(
        chain=offer.a.chain,
        contract=offer.a.contract,
        sender=offer.a.account,
        recipient=acceptance.recipient_a,
        asset=offer.a.asset,
        amount=offer.a.amount,
        hashlock=offer.hashlock,
        deadline=offer.a.deadline,
    )


def terms_b(offer: Offer, acceptance: Acceptance) -> LockTerms:
    """The responder's lock. Raises InvalidValue where an account is on the wrong chain."""
    return LockTerms(
        chain=offer.b.chain,
        contract=offer.b.contract,
        sender=acceptance.sender_b,
        recipient=offer.b.account,
        asset=offer.b.asset,
        amount=offer.b.amount,
        hashlock=offer.hashlock,
        deadline=offer.b.deadline,
    )
