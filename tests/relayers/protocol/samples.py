"""One swap with round numbers, and the facts that can happen to it."""

from __future__ import annotations

from adapters.model import (
    AccountId,
    AssetId,
    Bounds,
    ChainId,
    Hashlock,
    Head,
    LockClaimed,
    LockEvent,
    LockId,
    LockOpened,
    LockRefunded,
    LockTerms,
    Observation,
    Position,
    Preimage,
    Stage,
)
from relayers.protocol import timelocks
from relayers.protocol.facts import At, ChainView
from relayers.protocol.offer import Acceptance, Offer, OfferedLeg, terms_a, terms_b
from relayers.protocol.timelocks import GatewayBounds, Schedule

CHAIN_A = ChainId("sim", "a")
CHAIN_B = ChainId("sim", "b")
START = 1_000_000
SCHEDULE = Schedule(
    a=Bounds(inclusion=4, finality=10, clock=2, late=0),
    b=Bounds(inclusion=6, finality=14, clock=3, late=5),
    gateway=GatewayBounds(reaction=5, outage=20),
    stale_a=8,
    stale_b=9,
)
PREIMAGE = Preimage(bytes(range(32)))
HASHLOCK: Hashlock = PREIMAGE.hashlock()
VALID_UNTIL = START + 100
T1, T2 = timelocks.deadlines(SCHEDULE, VALID_UNTIL, slack=3)
SIGNATURE = b"\x01" * 65


def account(chain: ChainId, name: str) -> AccountId:
    return AccountId(chain, f"0x{name.encode().hex()}")


OFFER = Offer(
    version=1,
    initiator=b"i" * 20,
    responder=b"r" * 20,
    salt=b"s" * 32,
    hashlock=HASHLOCK,
    a=OfferedLeg(
        CHAIN_A, "locks", AssetId(CHAIN_A, "slip44", "1"), 70, account(CHAIN_A, "alice"), T1
    ),
    b=OfferedLeg(
        CHAIN_B, "locks", AssetId(CHAIN_B, "slip44", "2"), 50, account(CHAIN_B, "alice"), T2
    ),
    valid_until=VALID_UNTIL,
)
ACCEPTANCE = Acceptance(b"d" * 32, HASHLOCK, account(CHAIN_A, "bob"), account(CHAIN_B, "bob"))
LOCK_A = LockId(b"A" * 32)
LOCK_B = LockId(b"B" * 32)
STRANGER = LockId(b"S" * 32)


def terms_of(lock_id: LockId) -> LockTerms:
    return terms_a(OFFER, ACCEPTANCE) if lock_id == LOCK_A else terms_b(OFFER, ACCEPTANCE)


def at(clock: int, time_a: int | None = None, time_b: int | None = None) -> At:
    """The moment ``clock``, with heads of that time unless told otherwise."""
    return At(
        clock,
        (
            ChainView(head(CHAIN_A, clock if time_a is None else time_a)),
            ChainView(head(CHAIN_B, clock if time_b is None else time_b)),
        ),
    )


def head(chain: ChainId, time: int) -> Head:
    return Head(chain, time, time.to_bytes(32, "big"), time, time - 2)


def opened(lock_id: LockId) -> LockOpened:
    return LockOpened(lock_id, terms_of(lock_id))


def claimed(lock_id: LockId) -> LockClaimed:
    return LockClaimed(lock_id, HASHLOCK, PREIMAGE)


def refunded(lock_id: LockId) -> LockRefunded:
    return LockRefunded(lock_id, HASHLOCK)


def observation(event: LockEvent, stage: Stage, block: int = 1) -> Observation:
    chain = CHAIN_A if event.lock_id == LOCK_A else CHAIN_B
    return Observation(chain, event, stage, Position(block, block.to_bytes(32, "big"), 0, "tx"))
