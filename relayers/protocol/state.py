"""What is known of one swap: the snapshot that the journal keeps, and what one step yields."""

from __future__ import annotations

from enum import StrEnum

from adapters.model import Hashlock, LockId, LockTerms, Position, Preimage, Stage
from adapters.values import dataclass, replace
from relayers.protocol.intents import Intent, Kind
from relayers.protocol.offer import Acceptance, Offer
from relayers.protocol.timelocks import Schedule


class Role(StrEnum):
    INITIATOR = "initiator"
    RESPONDER = "responder"


class Phase(StrEnum):
    """Where a swap is, seen from one side. `table.py` says what each means and what may follow."""

    OFFERED = "offered"
    RECEIVED = "received"
    ACCEPTED = "accepted"
    LOCKING = "locking"
    LOCKED = "locked"
    CLAIMING = "claiming"
    REVEALING = "revealing"
    SETTLING = "settling"
    REFUNDING = "refunding"
    # ends
    DECLINED = "declined"
    EXPIRED = "expired"
    FAILED = "failed"
    REFUNDED = "refunded"
    COMPLETED = "completed"
    LOST = "lost"


ENDS = frozenset(
    {
        Phase.DECLINED,
        Phase.EXPIRED,
        Phase.FAILED,
        Phase.REFUNDED,
        Phase.COMPLETED,
        Phase.LOST,
    }
)


STRANGERS_KEPT = 16
"""A bound on what others can write into a swap's snapshot: anybody may lock under a hashlock."""


# Why: what is asked most often of all. Python 3.11 takes four times as long to find a member of an
# enum as to find a name.
_INITIATOR = Role.INITIATOR
_FINAL = Stage.FINAL


class Settlement(StrEnum):
    CLAIMED = "claimed"
    REFUNDED = "refunded"


@dataclass(frozen=True, slots=True)
class Leg:
    """One of the two locks, as its chain has shown it so far. Times are the gateway's clock.

    What a reorg takes away is None again, but the moment at which it was first seen stays: the
    finality bound counts from there, re-inclusion included.
    """

    lock_id: LockId
    terms: LockTerms
    opened: Stage | None = None
    """PENDING or FINAL; None while it is not on its chain, as far as is known."""
    opened_at: int = 0
    opened_by: Position | None = None
    """Where it was last seen; None also where only its settlement was seen."""
    settled: Settlement | None = None
    settled_stage: Stage | None = None
    settled_at: int = 0
    settled_by: Position | None = None
    retracted: Settlement | None = None
    """The settlement that a reorg took away; ``settled_at`` is when it was first seen."""
    expired: bool = False
    """The chain's own time has been seen at or after the deadline. It stays so, though a reorg may
    show an earlier head afterwards."""
    missed: bool = False
    """The chain was asked for it by its id, after its deadline, and does not have it."""

    @property
    def open_final(self) -> bool:
        return self.opened is _FINAL

    @property
    def settled_final(self) -> bool:
        return self.settled is not None and self.settled_stage is _FINAL

    def settled_as(self, settlement: Settlement) -> bool:
        """Finally, and so."""
        return self.settled is settlement and self.settled_final

    @property
    def gone(self) -> bool:
        """Not seen on its chain, and too late to come: the chain takes no lock after its deadline.

        One that was under way may still surface; then it is not gone any more.
        """
        return self.opened is None and self.expired

    @property
    def absent(self) -> bool:
        """Gone, and not only unseen: only then is an own lock given up for not there."""
        return self.gone and self.missed


@dataclass(frozen=True, slots=True)
class Swap:
    """A swap from one side's view. ``a`` and ``b`` are there once it is agreed."""

    role: Role
    phase: Phase
    offer: Offer
    offer_signature: bytes
    schedule: Schedule
    acceptance: Acceptance | None = None
    acceptance_signature: bytes | None = None
    a: Leg | None = None
    b: Leg | None = None
    preimage: Preimage | None = None
    """Only once it was seen on a chain."""
    asked: tuple[tuple[Kind, int], ...] = ()
    """The intents asked for, each with the gateway's clock at that moment."""
    closed: tuple[Kind, ...] = ()
    """Those of them that need no more doing."""
    alerted: tuple[str, ...] = ()
    strangers: tuple[LockId, ...] = ()
    """Locks seen under this hashlock that are not ours: the first STRANGERS_KEPT of them."""
    reason: str = ""
    """Why it left the good path, in one sentence."""
    begun: int = 0
    changed: int = 0

    @property
    def hashlock(self) -> Hashlock:
        return self.offer.hashlock

    @property
    def own(self) -> Leg | None:
        """The lock that this side makes."""
        return self.a if self.role is _INITIATOR else self.b

    @property
    def their(self) -> Leg | None:
        """The lock that this side is paid by."""
        return self.b if self.role is _INITIATOR else self.a

    @property
    def ended(self) -> bool:
        return self.phase in ENDS

    def asked_at(self, kind: Kind) -> int | None:
        for asked, at in self.asked:
            if asked is kind:
                return at
        return None

    def waits_for(self, kind: Kind) -> bool:
        """Asked for, and not closed."""
        return kind not in self.closed and self.asked_at(kind) is not None

    def waiting_since(self, kind: Kind) -> int | None:
        """When it was asked for, while it is not closed."""
        return None if kind in self.closed else self.asked_at(kind)

    def with_leg(self, leg: Leg) -> Swap:
        if leg is self.a or leg is self.b:
            return self
        if self.a is not None and leg.lock_id == self.a.lock_id:
            return replace(self, a=leg)
        return replace(self, b=leg)


class Level(StrEnum):
    INFO = "info"
    WARNING = "warning"
    ALERT = "alert"
    """Somebody must look now: a bound broke, or an asset is at risk."""


@dataclass(frozen=True, slots=True)
class UserEvent:
    """Something that the users of the gateway are told. ``kind`` is stable; ``text`` is prose."""

    kind: str
    level: Level
    text: str


class Ignored(StrEnum):
    """Why a fact moved nothing."""

    NO_SWAP = "no_swap"
    KNOWN_ALREADY = "known_already"
    NOT_OUR_LOCK = "not_our_lock"
    STRANGERS_LOCK = "strangers_lock"
    """Not ours, under our hashlock, and it changes nothing and is told to nobody."""
    NOT_NOW = "not_now"
    """The swap is not in a phase in which this fact means anything."""
    TOO_LATE = "too_late"
    STALE_HEAD = "stale_head"
    CHAIN_FROZEN = "chain_frozen"
    NOT_AGREED = "not_agreed"
    """What the peer says does not fit what was offered."""


TRACELESS = frozenset({Ignored.NO_SWAP, Ignored.STRANGERS_LOCK})
"""What anybody can have happen as often as they like: a journal keeps nothing of it."""


@dataclass(frozen=True, slots=True)
class Move:
    """What one step yields: the next state and what goes with it, to be written together."""

    state: Swap | None
    intents: tuple[Intent, ...] = ()
    closed: tuple[str, ...] = ()
    """Ids of intents that need no more doing."""
    events: tuple[UserEvent, ...] = ()
    ignored: Ignored | None = None
    detail: str = ""
    """With ``ignored``: one sentence for whoever asked."""
