"""The swap: ``step(state, fact)`` says what becomes of a swap when something happens.

It is total and pure. Each step absorbs the fact (what is now known) and then decides (what follows
from all that is known at this time), so that the order and number of facts do not matter: deciding
twice changes nothing, and a fact that was absorbed already is absorbed into the same state.

``wakes(state)`` says when the swap wants to be looked at again though nothing has happened.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from adapters.model import (
    ChainId,
    InvalidValue,
    LockClaimed,
    LockOpened,
    LockRefunded,
    Observation,
    Stage,
    hashlock_of,
)
from relayers.protocol import timelocks
from relayers.protocol.breaches import breaches, watch_times
from relayers.protocol.facts import (
    AcceptanceReceived,
    At,
    DeclineReceived,
    Delivered,
    Fact,
    Observed,
    OfferAccepted,
    OfferDeclined,
    OfferMade,
    OfferReceived,
    Refused,
    RevealBegun,
    Woken,
)
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
from relayers.protocol.offer import terms_a, terms_b
from relayers.protocol.state import (
    Ignored,
    Leg,
    Level,
    Move,
    Phase,
    Role,
    Settlement,
    Swap,
    UserEvent,
)

STRANGERS_TOLD = 3
"""Of locks that are not ours, the user is told of the first few; the rest is counted."""


def step(state: Swap | None, fact: Fact) -> Move:
    """The next state, with all that must be written together with it. Never raises."""
    at = fact.at
    match fact.body:
        case OfferMade(offer, signature, schedule):
            if state is not None:
                return _ignore(state, Ignored.KNOWN_ALREADY, "this hashlock was seen before")
            fresh = Swap(Role.INITIATOR, Phase.OFFERED, offer, signature, schedule, begun=at.clock)
            told = _told("offered", "offer made; waiting for the other side to accept")
            return _Work.on(fresh, at).ask(Kind.SEND_OFFER).tell(told).decide()
        case OfferReceived(offer, signature, schedule):
            if state is not None:
                return _ignore(state, Ignored.KNOWN_ALREADY, "this hashlock was seen before")
            fresh = Swap(Role.RESPONDER, Phase.RECEIVED, offer, signature, schedule, begun=at.clock)
            told = _told("received", "offer received; waiting to be accepted or rejected")
            return _Work.on(fresh, at).tell(told).decide()
    if state is None:
        return Move(None, ignored=Ignored.NO_SWAP, detail="no swap is known under this hashlock")
    work = _Work.on(state, at)
    match fact.body:
        case OfferAccepted():
            return _accept(work, fact.body)
        case OfferDeclined(reason):
            if state.role is not Role.RESPONDER or state.phase is not Phase.RECEIVED:
                return _ignore(state, Ignored.NOT_NOW, f"the swap is {state.phase}")
            work = work.enter(Phase.DECLINED, reason).ask(Kind.SEND_DECLINE)
            return work.tell(_told("declined", f"offer rejected: {reason}")).decide()
        case AcceptanceReceived():
            return _accepted(work, fact.body)
        case DeclineReceived(reason):
            if state.role is not Role.INITIATOR or state.phase is not Phase.OFFERED:
                return _ignore(state, Ignored.NOT_NOW, f"the swap is {state.phase}")
            work = work.enter(Phase.DECLINED, reason).close(Kind.SEND_OFFER)
            return work.tell(
                _told("declined", f"the other side rejected the offer: {reason}")
            ).decide()
        case Observed(observation):
            return _observed(work, observation)
        case RevealBegun(lock_id):
            return _reveal(work, lock_id)
        case Refused():
            return _refused(work, fact.body)
        case Delivered(intent):
            for kind in (Kind.SEND_OFFER, Kind.SEND_ACCEPTANCE, Kind.SEND_DECLINE):
                if intent == intent_id(state.hashlock, kind):
                    return work.close(kind).decide()
            return _ignore(state, Ignored.NOT_NOW, "no such message")
        case Woken():
            return work.decide()
        case _:
            assert_never(fact.body)


# --- what each fact means ------------------------------------------------------------------------


def _accept(work: _Work, body: OfferAccepted) -> Move:
    state = work.state
    if state.role is not Role.RESPONDER or state.phase is not Phase.RECEIVED:
        return _ignore(state, Ignored.NOT_NOW, f"the swap is {state.phase}")
    if work.now >= state.offer.valid_until:
        return _ignore(state, Ignored.TOO_LATE, "the offer has expired")
    reason = timelocks.objection(
        state.schedule, state.offer.a.deadline, state.offer.b.deadline, work.now
    )
    if reason is not None:
        return _ignore(state, Ignored.TOO_LATE, reason)
    agreed = _agreed(state, body)
    if agreed is None:
        return _ignore(state, Ignored.NOT_AGREED, "the acceptance does not fit the offer")
    work = replace(work, state=agreed).enter(Phase.ACCEPTED).ask(Kind.SEND_ACCEPTANCE)
    return work.tell(
        _told("accepted", "offer accepted; waiting for the other side's lock")
    ).decide()


def _accepted(work: _Work, body: AcceptanceReceived) -> Move:
    state = work.state
    if state.role is not Role.INITIATOR or state.phase is not Phase.OFFERED:
        return _ignore(state, Ignored.NOT_NOW, f"the swap is {state.phase}")
    if work.now >= state.offer.valid_until:
        return _ignore(state, Ignored.TOO_LATE, "the offer has expired")
    reason = timelocks.objection(
        state.schedule, state.offer.a.deadline, state.offer.b.deadline, work.now
    )
    if reason is not None:
        return _ignore(state, Ignored.TOO_LATE, reason)
    agreed = _agreed(state, body)
    if agreed is None:
        return _ignore(state, Ignored.NOT_AGREED, "the acceptance does not fit the offer")
    work = replace(work, state=agreed).enter(Phase.LOCKING)
    work = work.close(Kind.SEND_OFFER).ask(Kind.LOCK)
    return work.tell(_told("locking", "offer accepted by the other side; locking")).decide()


def _agreed(state: Swap, body: OfferAccepted | AcceptanceReceived) -> Swap | None:
    acceptance = body.acceptance
    if acceptance.hashlock != state.hashlock:
        return None
    try:
        a = Leg(body.lock_a, terms_a(state.offer, acceptance))
        b = Leg(body.lock_b, terms_b(state.offer, acceptance))
    except InvalidValue:
        return None
    return replace(state, acceptance=acceptance, acceptance_signature=body.signature, a=a, b=b)


def _observed(work: _Work, observation: Observation) -> Move:
    state, event = work.state, observation.event
    if hashlock_of(event) != state.hashlock:
        return _ignore(state, Ignored.NOT_OUR_LOCK, "another hashlock")
    leg = _leg_of(state, observation)
    if leg is None:
        if observation.stage is not Stage.FINAL:
            return _ignore(state, Ignored.NOT_OUR_LOCK, "a lock that is not part of this swap")
        work = replace(work, state=replace(state, strangers=state.strangers + 1))
        if isinstance(event, LockOpened) and state.strangers < STRANGERS_TOLD:
            work = work.tell(UserEvent("stranger", Level.WARNING, _stranger(state, event)))
        move = work.decide()
        return replace(move, ignored=Ignored.NOT_OUR_LOCK, detail="not a lock of this swap")
    retracted = observation.stage is Stage.RETRACTED
    match event:
        case LockOpened():
            if retracted:
                leg = replace(leg, opened=None, opened_at=0)
            elif leg.opened is not Stage.FINAL:
                since = leg.opened_at if leg.opened is not None else work.at.clock
                leg = replace(leg, opened=observation.stage, opened_at=since)
        case LockClaimed(preimage=preimage):
            # Known for good, even where the claim that showed it is retracted.
            if preimage.hashlock() == state.hashlock:
                work = replace(work, state=replace(work.state, preimage=preimage))
            leg = _settled(leg, Settlement.CLAIMED, observation.stage, work.at.clock)
        case LockRefunded():
            leg = _settled(leg, Settlement.REFUNDED, observation.stage, work.at.clock)
        case _:
            assert_never(event)
    work = replace(work, state=work.state.with_leg(leg))
    told = _seen(state, work.state, leg, observation)
    return (work.tell(told) if told else work).decide()


def _leg_of(state: Swap, observation: Observation) -> Leg | None:
    """The leg that this observation speaks of: the id, the chain and every field must be ours."""
    for leg in (state.a, state.b):
        if leg is None or leg.terms.chain != observation.chain:
            continue
        event = observation.event
        if event.lock_id != leg.lock_id:
            continue
        if isinstance(event, LockOpened) and event.terms != leg.terms:
            continue
        return leg
    return None


def _settled(leg: Leg, settlement: Settlement, stage: Stage, clock: int) -> Leg:
    if leg.settled_final and stage is not Stage.RETRACTED:
        return leg
    if stage is Stage.RETRACTED:
        if leg.settled is not settlement:
            return leg
        return replace(leg, settled=None, settled_stage=None, settled_at=0)
    since = leg.settled_at if leg.settled is settlement else clock
    return replace(
        leg,
        # What is settled was open, whatever order the news come in.
        opened=Stage.FINAL if stage is Stage.FINAL else leg.opened or Stage.PENDING,
        opened_at=leg.opened_at or clock,
        settled=settlement,
        settled_stage=stage,
        settled_at=since,
    )


def _reveal(work: _Work, lock_id: bytes) -> Move:
    state = work.state
    if state.role is not Role.INITIATOR or state.b is None or lock_id != state.b.lock_id:
        return _ignore(state, Ignored.NOT_NOW, "no reveal was asked for")
    if state.phase is Phase.REVEALING:
        return _ignore(state, Ignored.KNOWN_ALREADY, "the reveal has begun already")
    if state.phase is not Phase.CLAIMING:
        return _ignore(state, Ignored.NOT_NOW, f"the swap is {state.phase}")
    if work.now >= timelocks.reveal_limit(state.schedule, state.offer.b.deadline):
        return work.decide()
    view = work.at.view(state.b.terms.chain)
    if view is None or work.at.clock - view.head.time > state.schedule.stale_b:
        return _ignore(
            state, Ignored.STALE_HEAD, f"the newest head of {state.b.terms.chain} is too old"
        )
    if view.frozen is not None:
        return _ignore(state, Ignored.CHAIN_FROZEN, view.frozen)
    if not state.b.open_final or state.b.settled is not None:
        return _ignore(state, Ignored.NOT_NOW, "the other side's lock is not open")
    work = work.enter(Phase.REVEALING)
    return work.tell(_told("revealing", "claiming: the secret goes out with this call")).decide()


def _refused(work: _Work, body: Refused) -> Move:
    state = work.state
    who = "the chain" if body.by_chain else "this gateway"
    if body.intent == intent_id(state.hashlock, Kind.LOCK):
        if state.phase is not Phase.LOCKING:
            return _ignore(state, Ignored.NOT_NOW, f"the swap is {state.phase}")
        work = work.enter(Phase.FAILED, f"{who} refused the lock: {body.reason}")
        work = work.close(Kind.LOCK)
        return work.tell(UserEvent("failed", Level.WARNING, work.state.reason)).decide()
    if body.intent == intent_id(state.hashlock, Kind.SEND_OFFER):
        if state.phase is not Phase.OFFERED:
            return _ignore(state, Ignored.NOT_NOW, f"the swap is {state.phase}")
        work = work.enter(Phase.DECLINED, f"the other gateway refused the offer: {body.reason}")
        return work.close(Kind.SEND_OFFER).tell(_told("declined", work.state.reason)).decide()
    if body.intent == intent_id(state.hashlock, Kind.SEND_ACCEPTANCE):
        text = f"the other gateway refused the acceptance: {body.reason}"
        work = work.close(Kind.SEND_ACCEPTANCE)
        return work.tell(UserEvent("acceptance_refused", Level.WARNING, text)).decide()
    for kind in (Kind.CLAIM, Kind.REFUND, Kind.SEND_DECLINE):
        if body.intent == intent_id(state.hashlock, kind):
            # Never given up here: the chain's own word on the lock closes a claim or a refund.
            text = f"{who} refused to {kind}: {body.reason}; it will be tried again"
            if kind is Kind.SEND_DECLINE:
                return work.close(kind).decide()
            return work.alert(f"refused:{kind}", text).decide()
    return _ignore(state, Ignored.NOT_NOW, "no such intent")


# --- what follows --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Work:
    """A step in progress."""

    before: Swap | None
    state: Swap
    at: At
    intents: tuple[Intent, ...] = ()
    closed: tuple[str, ...] = ()
    events: tuple[UserEvent, ...] = ()

    @classmethod
    def on(cls, state: Swap, at: At) -> _Work:
        return cls(state, state, at)

    @property
    def now(self) -> int:
        chains = (self.state.offer.a.chain, self.state.offer.b.chain)
        heads = [view.head for view in self.at.chains if view.head.chain in chains]
        return timelocks.now(self.at.clock, heads)

    def reached(self, chain: ChainId, deadline: int) -> bool:
        """Whether the chain's own newest block time has come to the deadline."""
        view = self.at.view(chain)
        return view is not None and view.head.time >= deadline

    def enter(self, phase: Phase, reason: str = "") -> _Work:
        return replace(
            self, state=replace(self.state, phase=phase, reason=reason or self.state.reason)
        )

    def tell(self, event: UserEvent) -> _Work:
        return replace(self, events=(*self.events, event))

    def alert(self, kind: str, text: str) -> _Work:
        """Alerts once per kind and swap."""
        if kind in self.state.alerted:
            return self
        state = replace(self.state, alerted=(*self.state.alerted, kind))
        return replace(self, state=state).tell(UserEvent(kind, Level.ALERT, text))

    def ask(self, kind: Kind) -> _Work:
        before = self.state
        if before.asked_at(kind) is not None and kind not in before.closed:
            return self
        asked = tuple((other, at) for other, at in before.asked if other is not kind)
        state = replace(
            before,
            asked=(*asked, (kind, self.at.clock)),
            closed=tuple(other for other in before.closed if other is not kind),
        )
        return replace(self, state=state, intents=(*self.intents, _intent(state, kind)))

    def close(self, *kinds: Kind) -> _Work:
        work = self
        for kind in kinds:
            if work.state.asked_at(kind) is None or kind in work.state.closed:
                continue
            state = replace(work.state, closed=(*work.state.closed, kind))
            closed = (*work.closed, intent_id(state.hashlock, kind))
            work = replace(work, state=state, closed=closed)
        return work

    def decide(self) -> Move:
        work = self
        while True:
            decided = _decide(work)
            if decided.state == work.state:
                break
            work = decided
        for breach in breaches(work.state, work.at):
            work = work.alert(breach.kind, breach.text)
        if work.state.ended:
            work = work.close(Kind.SEND_ACCEPTANCE, Kind.LOCK, Kind.CLAIM, Kind.REFUND)
        state = work.state
        if state != self.before:
            state = replace(state, changed=self.at.clock)
        return Move(state, work.intents, work.closed, work.events)


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
            own_secret = state.role is Role.INITIATOR
            secret = OwnSecret(state.offer.salt) if own_secret else SeenSecret()
            return SubmitClaim(ident, their.terms.chain, their.lock_id, state.hashlock, secret)
        case Kind.REFUND:
            own = state.own
            assert own is not None
            return SubmitRefund(ident, own.terms.chain, own.lock_id, own.terms.deadline)
        case _:
            assert_never(kind)


def _decide(work: _Work) -> _Work:
    """One thing that follows from all that is known now; the same work where nothing does."""
    state = work.state
    if state.phase in (Phase.OFFERED, Phase.RECEIVED):
        if work.now >= state.offer.valid_until:
            work = work.enter(Phase.EXPIRED, "the offer was not taken up in time")
            return work.close(Kind.SEND_OFFER).tell(_told("expired", work.state.reason))
        return work
    if state.own is None or state.their is None:
        return work
    work = _own_lock(work, state.own)
    if work.state != state:
        return work
    match state.role:
        case Role.INITIATOR:
            return _decide_initiator(work, state.own, state.their)
        case Role.RESPONDER:
            return _decide_responder(work, state.own, state.their)
        case _:
            assert_never(state.role)


def _own_lock(work: _Work, own: Leg) -> _Work:
    """What this side's own lock asks for, whatever else is going on: it comes home when it can."""
    if own.opened is not None:
        work = work.close(Kind.LOCK) if own.open_final else work
        if work.state.phase in (Phase.FAILED, Phase.EXPIRED, Phase.DECLINED):
            # It was given up for absent, and is there all the same.
            return work.enter(Phase.REFUNDING)
        if own.settled is None and work.reached(own.terms.chain, own.terms.deadline):
            work = work.ask(Kind.REFUND)
    if own.settled_final:
        work = work.close(Kind.REFUND, Kind.LOCK)
    their = work.state.their
    if their is not None and their.settled_final:
        work = work.close(Kind.CLAIM)
    return work


def _decide_initiator(work: _Work, own: Leg, their: Leg) -> _Work:
    state = work.state
    limit = timelocks.reveal_limit(state.schedule, state.offer.b.deadline)
    match state.phase:
        case Phase.LOCKING:
            return _locking(work, own)
        case Phase.LOCKED:
            if own.settled_final:
                return work.enter(Phase.REFUNDING, "the own lock ended before the other side's")
            if _vanished(work, own):
                return work.enter(Phase.FAILED, "the own lock is no longer on its chain")
            if work.now >= limit:
                return work.enter(
                    Phase.REFUNDING, "the other side's lock was not there in time to be claimed"
                ).tell(_told("refunding", "too late to claim safely; waiting for the refund"))
            if their.open_final and their.settled is None:
                work = work.enter(Phase.CLAIMING).ask(Kind.CLAIM)
                return work.tell(_told("claiming", "both sides have locked; about to claim"))
        case Phase.CLAIMING:
            if work.now >= limit:
                work = work.enter(
                    Phase.REFUNDING, "the claim could not begin while it was still safe"
                ).close(Kind.CLAIM)
                return work.tell(_told("refunding", "too late to claim; waiting for the refund"))
        case Phase.REVEALING:
            if their.settled_as(Settlement.CLAIMED):
                text = "claimed; waiting until the other side has collected too"
                return work.enter(Phase.SETTLING).tell(_told("claimed", text))
            if their.settled_as(Settlement.REFUNDED):
                return work.enter(Phase.REFUNDING, "the other side's lock was refunded first")
        case Phase.SETTLING:
            if own.settled_final or _vanished(work, own):
                return work.enter(Phase.COMPLETED).tell(_told("completed", "the swap is complete"))
        case Phase.REFUNDING:
            return _refunding(work, own, their)
        case _:
            pass
    return work


def _decide_responder(work: _Work, own: Leg, their: Leg) -> _Work:
    state = work.state
    if state.preimage is not None and state.phase in (
        Phase.LOCKING,
        Phase.LOCKED,
        Phase.REFUNDING,
    ):
        work = work.enter(Phase.CLAIMING).ask(Kind.CLAIM)
        return work.tell(_told("claiming", "the secret is on the chain; claiming"))
    match state.phase:
        case Phase.ACCEPTED:
            limit = timelocks.responder_lock_limit(state.schedule, state.offer.b.deadline)
            if work.now >= limit:
                work = work.enter(
                    Phase.EXPIRED, "the other side's lock was not final in time to lock in return"
                ).close(Kind.SEND_ACCEPTANCE)
                return work.tell(_told("expired", work.state.reason))
            if their.open_final and their.settled is None:
                work = work.enter(Phase.LOCKING).close(Kind.SEND_ACCEPTANCE).ask(Kind.LOCK)
                return work.tell(_told("locking", "the other side has locked; locking in return"))
        case Phase.LOCKING:
            return _locking(work, own)
        case Phase.LOCKED:
            if own.settled_final:
                return work.enter(Phase.REFUNDING, "nobody claimed before the deadline")
            if _vanished(work, own):
                return work.enter(Phase.FAILED, "the own lock is no longer on its chain")
            if work.reached(own.terms.chain, own.terms.deadline):
                work = work.enter(Phase.REFUNDING, "nobody claimed before the deadline")
                return work.tell(_told("refunding", "nobody claimed in time; taking back the lock"))
        case Phase.CLAIMING:
            home = own.settled_final or _vanished(work, own)
            if their.settled_as(Settlement.CLAIMED) and home:
                return work.enter(Phase.COMPLETED).tell(_told("completed", "the swap is complete"))
            if their.settled_as(Settlement.REFUNDED) and own.settled_final:
                return _refunding(work, own, their)
        case Phase.REFUNDING:
            return _refunding(work, own, their)
        case _:
            pass
    return work


def _locking(work: _Work, own: Leg) -> _Work:
    if own.open_final:
        return work.enter(Phase.LOCKED).tell(_told("locked", "our lock is final"))
    if own.opened is None and work.reached(own.terms.chain, own.terms.deadline):
        # No lock can open any more whose deadline has passed.
        work = work.enter(Phase.FAILED, "our lock never reached its chain").close(Kind.LOCK)
        return work.tell(UserEvent("failed", Level.WARNING, work.state.reason))
    return work


def _refunding(work: _Work, own: Leg, their: Leg) -> _Work:
    if own.settled_as(Settlement.REFUNDED):
        return work.enter(Phase.REFUNDED).tell(_told("refunded", "our lock is back"))
    if own.settled_as(Settlement.CLAIMED) and not their.settled_as(Settlement.CLAIMED):
        # Paid without being paid: only where a chain or this gateway broke a bound.
        lost = work.state.role is Role.INITIATOR or their.settled_as(Settlement.REFUNDED)
        if lost:
            work = work.enter(Phase.LOST, "our lock was claimed and we were not paid")
            return work.alert("lost", work.state.reason)
    if _vanished(work, own):
        return work.enter(Phase.FAILED, "the own lock is no longer on its chain")
    return work


def _vanished(work: _Work, own: Leg) -> bool:
    """A reorg took the lock away, and by now it can no longer come back."""
    return own.opened is None and work.reached(own.terms.chain, own.terms.deadline)


# --- when to look again --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, order=True)
class Wake:
    """``chain`` None: when the gateway's clock reaches ``at``; else when that chain's time does."""

    at: int
    chain: ChainId | None


def wakes(state: Swap) -> tuple[Wake, ...]:
    """The moments at which deciding again can change something though no other fact comes. Each is
    to be heeded once: whatever comes after it decides with the time that it then is."""
    offer, schedule = state.offer, state.schedule
    found: list[Wake] = []
    match state.phase:
        case Phase.OFFERED | Phase.RECEIVED:
            found.append(Wake(offer.valid_until, None))
        case Phase.ACCEPTED:
            found.append(Wake(timelocks.responder_lock_limit(schedule, offer.b.deadline), None))
        case Phase.LOCKED | Phase.CLAIMING if state.role is Role.INITIATOR:
            found.append(Wake(timelocks.reveal_limit(schedule, offer.b.deadline), None))
        case _:
            pass
    own = state.own
    if own is not None and not state.ended and state.asked_at(Kind.LOCK) is not None:
        waits = own.opened is None or (own.settled is None and state.asked_at(Kind.REFUND) is None)
        if waits:
            found.append(Wake(own.terms.deadline, own.terms.chain))
    found.extend(Wake(at, None) for at in watch_times(state))
    return tuple(sorted(found, key=lambda wake: (wake.at, str(wake.chain))))


# --- words ---------------------------------------------------------------------------------------


def _told(kind: str, text: str) -> UserEvent:
    return UserEvent(kind, Level.INFO, text)


def _ignore(state: Swap, why: Ignored, detail: str) -> Move:
    return Move(state, ignored=why, detail=detail)


def _seen(before: Swap, after: Swap, leg: Leg, observation: Observation) -> UserEvent | None:
    if before == after:
        return None
    ours = after.own is not None and leg.lock_id == after.own.lock_id
    what = {LockOpened: "lock", LockClaimed: "claim", LockRefunded: "refund"}
    noun = what[type(observation.event)]
    side = "A" if after.a is not None and leg.lock_id == after.a.lock_id else "B"
    lock = "our lock" if ours else "the other side's lock"
    subject = lock if noun == "lock" else f"a {noun} of {lock}"
    return UserEvent(
        f"{noun}_{side.lower()}_{observation.stage}",
        Level.WARNING if observation.stage is Stage.RETRACTED else Level.INFO,
        f"{subject} on {observation.chain} is {observation.stage}",
    )


def _stranger(state: Swap, event: LockOpened) -> str:
    """In what a lock under our hashlock differs from the agreed one on its chain."""
    for leg in (state.a, state.b):
        if leg is not None and leg.terms.chain == event.terms.chain:
            fields = ("contract", "sender", "recipient", "asset", "amount", "deadline")
            differs = [
                f"{field} is {getattr(event.terms, field)}, agreed was {getattr(leg.terms, field)}"
                for field in fields
                if getattr(event.terms, field) != getattr(leg.terms, field)
            ]
            return "a lock under this hashlock is not the agreed one: " + "; ".join(differs)
    return "a lock under this hashlock is on a chain that this swap does not use"
