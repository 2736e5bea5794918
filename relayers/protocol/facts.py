"""Facts: the only things that move a swap. Each says what happened, never what to do."""

from __future__ import annotations

from adapters.model import ChainId, Head, LockId, LockState, Observation, Preimage
from adapters.values import dataclass
from relayers.protocol.offer import Acceptance, Offer
from relayers.protocol.timelocks import Schedule


@dataclass(frozen=True, slots=True)
class ChainView:
    """What the gateway knows of a chain at a moment. ``frozen``: why no new lock or reveal may be
    made there (a broken finality rule), until an operator says otherwise."""

    head: Head
    frozen: str | None = None


@dataclass(frozen=True, slots=True)
class At:
    """When a fact was taken in: the gateway's clock (Unix seconds) and the newest heads known.

    It is written with the fact, so that a replay is exact.
    """

    clock: int
    chains: tuple[ChainView, ...]

    def view(self, chain: ChainId) -> ChainView | None:
        for view in self.chains:
            known = view.head.chain
            # Mostly the very same value, and then nothing needs comparing.
            if known is chain or known == chain:
                return view
        return None


# --- from this gateway's user, or its acceptance policy ------------------------------------------


@dataclass(frozen=True, slots=True)
class OfferMade:
    """Our user offers. The gateway has checked it, made its hashlock, and signed it."""

    offer: Offer
    signature: bytes
    schedule: Schedule


@dataclass(frozen=True, slots=True)
class OfferAccepted:
    """Our user, or the policy for this peer, accepts what a peer offered."""

    acceptance: Acceptance
    signature: bytes
    lock_a: LockId
    lock_b: LockId


@dataclass(frozen=True, slots=True)
class OfferDeclined:
    """Our user, or a policy, declines what a peer offered."""

    reason: str


# --- from the other gateway, verified ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OfferReceived:
    offer: Offer
    signature: bytes
    schedule: Schedule


@dataclass(frozen=True, slots=True)
class AcceptanceReceived:
    acceptance: Acceptance
    signature: bytes
    lock_a: LockId
    lock_b: LockId


@dataclass(frozen=True, slots=True)
class DeclineReceived:
    reason: str


# --- from a chain --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Observed:
    observation: Observation


@dataclass(frozen=True, slots=True)
class LookedUp:
    """What a chain said when it was asked for a lock by its id. It is as good as seen, and may be
    ahead of the stream of events.

    ``final``: it stays so. ABSENT is told only of a lock whose deadline the chain's time had
    reached before it was asked, so that it can never come any more.
    """

    chain: ChainId
    lock_id: LockId
    state: LockState
    final: bool
    preimage: Preimage | None = None


# --- from the executor ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RevealBegun:
    """The executor is about to carry the preimage out, with heads just read. Only if the swap is
    then in REVEALING may it go on."""

    lock_id: LockId


@dataclass(frozen=True, slots=True)
class Refused:
    """An intent was refused, and the same try would be refused again. ``by_chain``: by the chain
    that a transaction was handed to. False where this gateway's own check refused before anything
    was signed, and where the other gateway refused a message."""

    intent: str
    by_chain: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Delivered:
    """The other gateway has taken a message."""

    intent: str


# --- from the engine's timers --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Woken:
    """A moment that the swap asked to be woken at has come: on the gateway's clock, or, where
    ``chain`` is named, in that chain's time. It stays come, though by the time that this is taken
    in the clock was set back or a reorg shows an earlier head."""

    due: int
    chain: ChainId | None = None


FactBody = (
    OfferMade
    | OfferAccepted
    | OfferDeclined
    | OfferReceived
    | AcceptanceReceived
    | DeclineReceived
    | Observed
    | LookedUp
    | RevealBegun
    | Refused
    | Delivered
    | Woken
)


@dataclass(frozen=True, slots=True)
class Fact:
    body: FactBody
    at: At
