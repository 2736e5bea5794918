"""A step in progress: the state as it becomes, and what is to be written with it."""

from __future__ import annotations

from typing import assert_never

from adapters.model import ChainId
from adapters.values import dataclass, replace
from relayers.protocol import timelocks
from relayers.protocol.alerts import AlertKind
from relayers.protocol.facts import At
from relayers.protocol.intents import (
    Intent,
    Kind,
    OwnSecret,
    SeenSecret,
    SendAcceptance,
    SendDecline,
    SendOffer,
    SubmitClaim,
    SubmitLock,
    SubmitRefund,
    intent_id,
)
from relayers.protocol.state import Level, Phase, Role, Swap, UserEvent


@dataclass(frozen=True, slots=True)
class Work:
    """Frozen as all else: each method gives the work that follows.

    Every step makes a handful of these, so they are built outright: that takes a third of the time
    of ``replace``.
    """

    before: Swap | None
    state: Swap
    at: At
    intents: tuple[Intent, ...] = ()
    closed: tuple[str, ...] = ()
    events: tuple[UserEvent, ...] = ()

    @classmethod
    def on(cls, state: Swap, at: At) -> Work:
        return cls(state, state, at)

    @classmethod
    def fresh(cls, state: Swap, at: At) -> Work:
        return cls(None, state, at)

    @property
    def now(self) -> int:
        """Unix seconds: the latest that the clock or a head of this swap's chains claims."""
        offer, at = self.state.offer, self.at
        views = (at.view(offer.a.chain), at.view(offer.b.chain))
        return timelocks.now(at.clock, [view.head for view in views if view is not None])

    def becoming(self, state: Swap) -> Work:
        """The same work with another state."""
        return Work(self.before, state, self.at, self.intents, self.closed, self.events)

    def reached(self, chain: ChainId, deadline: int) -> bool:
        """Whether the chain's own newest block time has come to the deadline."""
        view = self.at.view(chain)
        return view is not None and view.head.time >= deadline

    def frozen(self) -> str | None:
        """Why one of this swap's chains is not to be relied on for anything new."""
        for chain in (self.state.offer.a.chain, self.state.offer.b.chain):
            view = self.at.view(chain)
            if view is not None and view.frozen is not None:
                return f"{chain} is frozen: {view.frozen}"
        return None

    def enter(self, phase: Phase, reason: str = "") -> Work:
        return self.becoming(replace(self.state, phase=phase, reason=reason or self.state.reason))

    def tell(self, event: UserEvent) -> Work:
        events = (*self.events, event)
        return Work(self.before, self.state, self.at, self.intents, self.closed, events)

    def inform(self, kind: str, text: str) -> Work:
        return self.tell(UserEvent(kind, Level.INFO, text))

    def alert(self, kind: AlertKind, text: str) -> Work:
        """Alerts once per kind and swap."""
        if kind in self.state.alerted:
            return self
        state = replace(self.state, alerted=(*self.state.alerted, kind.value))
        return self.becoming(state).tell(UserEvent(kind.value, Level.ALERT, text))

    def ask(self, kind: Kind) -> Work:
        """Asks for an intent, unless it is being done already. One that was closed opens anew."""
        before = self.state
        if before.waits_for(kind):
            return self
        asked = tuple((other, at) for other, at in before.asked if other is not kind)
        state = replace(
            before,
            asked=(*asked, (kind, self.at.clock)),
            closed=tuple(other for other in before.closed if other is not kind),
        )
        intents = (*self.intents, _intent(state, kind))
        return Work(self.before, state, self.at, intents, self.closed, self.events)

    def close(self, *kinds: Kind) -> Work:
        """Says of intents that they need no more doing."""
        work = self
        for kind in kinds:
            if not work.state.waits_for(kind):
                continue
            state = replace(work.state, closed=(*work.state.closed, kind))
            ident = intent_id(state.hashlock, kind)
            # Asked for and closed in one step: nobody need hear of it.
            intents = tuple(intent for intent in work.intents if intent.id != ident)
            closed = (*work.closed, ident)
            work = Work(work.before, state, work.at, intents, closed, work.events)
        return work


def _intent(state: Swap, kind: Kind) -> Intent:
    ident = intent_id(state.hashlock, kind)
    match kind:
        case Kind.SEND_OFFER:
            return SendOffer(ident, state.offer, state.offer_signature)
        case Kind.SEND_ACCEPTANCE:
            assert state.acceptance is not None
            assert state.acceptance_signature is not None
            return SendAcceptance(
                ident, state.offer.initiator, state.acceptance, state.acceptance_signature
            )
        case Kind.SEND_DECLINE:
            return SendDecline(ident, state.offer.initiator, state.hashlock, state.reason)
        case Kind.LOCK:
            own = state.own
            assert own is not None
            limit = (
                timelocks.initiator_lock_limit
                if state.role is Role.INITIATOR
                else timelocks.responder_lock_limit
            )
            before = limit(state.schedule, state.offer.b.deadline)
            return SubmitLock(ident, own.terms, own.lock_id, before)
        case Kind.CLAIM:
            their = state.their
            assert their is not None
            seen = state.preimage is not None
            secret = SeenSecret() if seen else OwnSecret(state.offer.salt)
            return SubmitClaim(ident, their.terms.chain, their.lock_id, state.hashlock, secret)
        case Kind.REFUND:
            own = state.own
            assert own is not None
            return SubmitRefund(ident, own.terms.chain, own.lock_id, own.terms.deadline)
        case _:
            assert_never(kind)
