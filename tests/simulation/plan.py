"""What happens in one run, drawn from its seed before it begins."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum

from adapters.model import Bounds, ChainId
from relayers.protocol.timelocks import GatewayBounds, Schedule

A = ChainId("sim", "a")
B = ChainId("sim", "b")
START = 1_000_000
INTERVAL = 3
"""Seconds between blocks, where none is late."""
DEPTH = 2
STALE = 8
GATEWAY = GatewayBounds(reaction=7, outage=20)
LATE = 12
"""L of a chain on which an endorsed claim can be held back."""
TOO_LATE = 75
"""Seconds after its deadline at which a claim comes where L is broken: beyond all that a gateway
must allow for before it can be sure (L, epsilon, F, R and O of its own)."""


def bounds(late: bool) -> Bounds:
    """I: a late block. F: two late blocks on top, and one reorg with re-inclusion."""
    return Bounds(inclusion=5, finality=18, clock=2, late=LATE if late else 0)


class Deviation(StrEnum):
    """What an adversary does. It also claims whatever it can, whenever it can."""

    WRONG_AMOUNT = "wrong amount"
    WRONG_ASSET = "wrong asset"
    WRONG_RECIPIENT = "wrong recipient"
    WRONG_DEADLINE = "wrong deadline"
    WRONG_HASH = "wrong hash"
    NEVER_LOCK = "never lock"
    LOCK_LATE = "lock late"
    REFUND_EARLY = "refund early"
    CLAIM_LATE = "claim late"
    ACCEPT_TWICE = "accept twice"
    ALTER_MESSAGES = "alter messages"
    NEVER_REVEAL = "never reveal"
    REVEAL_LATE = "reveal late"
    HOLD_BACK = "hold an endorsement back"
    TIGHT_OFFER = "tight offer"


LOCKING = (
    Deviation.WRONG_AMOUNT,
    Deviation.WRONG_ASSET,
    Deviation.WRONG_RECIPIENT,
    Deviation.WRONG_DEADLINE,
    Deviation.WRONG_HASH,
    Deviation.NEVER_LOCK,
    Deviation.LOCK_LATE,
    Deviation.REFUND_EARLY,
    Deviation.ALTER_MESSAGES,
)
AS_RESPONDER = (*LOCKING, Deviation.CLAIM_LATE, Deviation.ACCEPT_TWICE)
AS_INITIATOR = (
    *LOCKING,
    Deviation.NEVER_REVEAL,
    Deviation.REVEAL_LATE,
    Deviation.HOLD_BACK,
    Deviation.TIGHT_OFFER,
)


class Bound(StrEnum):
    """A bound that a run breaks; then there must be an alert."""

    INCLUSION = "I"
    FINALITY = "F"
    CLOCK = "epsilon"
    LATE = "L"
    REACTION = "R"
    OUTAGE = "O"


class Answer(StrEnum):
    """What an honest responder's user says to the offer."""

    ACCEPT = "accept"
    REJECT = "reject"
    NOTHING = "nothing"


class Fault(StrEnum):
    """Kinds of faults, for the report of which transitions met which; a watchtower, which moves
    locks under the sides' hands, counts as one."""

    NONE = "none"
    MESSAGES = "messages"
    CRASH = "crash"
    REORG = "reorg"
    LATE_BLOCK = "late block"
    SUBMISSION = "submission"
    STALE_HEAD = "stale head"
    STRANGER = "stranger"
    TOWER = "watchtower"
    ADVERSARY = "adversary"
    BROKEN_BOUND = "broken bound"


@dataclass(frozen=True, slots=True)
class Crash:
    """A gateway dies at a journal write (counted from 0) and is back ``down`` seconds later."""

    write: int
    down: float


@dataclass(frozen=True, slots=True)
class Freeze:
    """A gateway's node shows an old head of a chain from a moment on, for some seconds."""

    chain: ChainId
    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Cut:
    """No message passes between the two from a moment on, for some seconds."""

    at: float
    seconds: float

    def covers(self, since_start: float) -> bool:
        return self.at <= since_start < self.at + self.seconds


@dataclass(frozen=True, slots=True)
class Plan:
    """``adversary``: the name of the side that it plays, None where both are honest."""

    seed: int
    late_a: bool
    late_b: bool
    drift: dict[ChainId, int]
    slack: int
    adversary: str | None
    deviation: Deviation | None
    crashes: dict[str, Crash]
    freezes: dict[str, Freeze]
    reorgs: dict[ChainId, tuple[int, ...]]
    """The heights at which a reorg of at most DEPTH blocks happens."""
    reorgs_lose: bool
    """What was in a replaced block is not put in again by the chain, but must be sent again."""
    late_blocks: dict[ChainId, frozenset[int]]
    message_faults: float
    cut: Cut | None
    submission_faults: float
    strangers: int
    tower: bool = False
    """A watchtower without a key of either side watches too."""
    broken: Bound | None = None
    answer: Answer = Answer.ACCEPT

    @property
    def schedule(self) -> Schedule:
        return Schedule(bounds(self.late_a), bounds(self.late_b), GATEWAY, STALE, STALE)

    @property
    def must_complete(self) -> bool:
        """Two honest sides, kept bounds, and time enough: nothing excuses another end."""
        return (
            self.adversary is None
            and self.broken is None
            and self.slack >= 40
            and self.cut is None
            and self.answer is Answer.ACCEPT
        )

    @property
    def faults(self) -> frozenset[Fault]:
        present = {
            Fault.MESSAGES: self.message_faults > 0 or self.cut is not None,
            Fault.CRASH: bool(self.crashes),
            Fault.REORG: any(self.reorgs.values()),
            Fault.LATE_BLOCK: any(self.late_blocks.values()),
            Fault.SUBMISSION: self.submission_faults > 0,
            Fault.STALE_HEAD: bool(self.freezes),
            Fault.STRANGER: self.strangers > 0,
            Fault.TOWER: self.tower,
            Fault.ADVERSARY: self.adversary is not None,
            Fault.BROKEN_BOUND: self.broken is not None,
        }
        found = frozenset(fault for fault, there in present.items() if there)
        return found or frozenset({Fault.NONE})


def plan_of(seed: int) -> Plan:
    """The plan of a seed; the same for ever under one version of this file."""
    chance = random.Random(seed)
    rarely = random.Random(f"{seed} rarely")
    adversary = chance.choice([None, "alice", "bob"])
    deviation = None
    if adversary is not None:
        deviation = chance.choice(AS_INITIATOR if adversary == "alice" else AS_RESPONDER)
    late_b = deviation is Deviation.HOLD_BACK or chance.random() < 0.3
    honest = [name for name in ("alice", "bob") if name != adversary]
    crashes = {
        name: Crash(chance.randrange(45), chance.uniform(0.5, 10))
        for name in honest
        if chance.random() < 0.5
    }
    freezes = {
        name: Freeze(chance.choice([A, B]), chance.uniform(0, 60), chance.uniform(3, 9))
        for name in honest
        if chance.random() < 0.25
    }
    reorgs = {}
    late_blocks = {}
    for chain in (A, B):
        spaced = range(4 + chance.randrange(8), 70, 12)
        reorgs[chain] = tuple(spaced) if chance.random() < 0.4 else ()
        late_blocks[chain] = frozenset(
            chance.sample(range(80), 12) if chance.random() < 0.4 else ()
        )
    broken = chance.choice(list(Bound)) if adversary is None and chance.random() < 0.25 else None
    if broken is Bound.LATE:
        broken = None  # nobody holds an endorsement back where both are honest
    if deviation is Deviation.HOLD_BACK and rarely.random() < 0.5:
        broken = Bound.LATE
    elif adversary is not None and rarely.random() < 0.15:
        broken = rarely.choice((Bound.INCLUSION, Bound.FINALITY, Bound.CLOCK, Bound.OUTAGE))
    return Plan(
        seed=seed,
        late_a=chance.random() < 0.3,
        late_b=late_b,
        drift={chain: chance.randrange(-2, 3) for chain in (A, B)},
        slack=chance.choice([0, 40, 60]),
        adversary=adversary,
        deviation=deviation,
        crashes=crashes,
        freezes=freezes,
        reorgs=reorgs,
        reorgs_lose=chance.random() < 0.3,
        late_blocks=late_blocks,
        message_faults=chance.choice([0.0, 0.0, 0.3]),
        cut=Cut(rarely.uniform(0, 3), rarely.uniform(5, 60)) if rarely.random() < 0.06 else None,
        submission_faults=chance.choice([0.0, 0.0, 0.4]),
        strangers=chance.choice([0, 0, 2]),
        tower=chance.random() < 0.3,
        broken=broken,
        answer=rarely.choices(list(Answer), (94, 3, 3))[0],
    )
