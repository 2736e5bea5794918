"""The swap: ``step(state, fact)`` says what becomes of a swap when something happens.

It is total and pure. Each step absorbs the fact (what is now known) and then decides (what follows
from all that is known at this time), so that the order and number of facts do not matter: deciding
twice changes nothing, and a fact that was absorbed already is absorbed into the same state.

``wakes(state)`` says when the swap wants to be looked at again though nothing has happened.
"""

from __future__ import annotations

from typing import assert_never

from adapters.model import (
    ChainId,
    InvalidValue,
    LockClaimed,
    LockId,
    LockOpened,
    LockRefunded,
    LockState,
    Observation,
    Position,
    Preimage,
    Stage,
    hashlock_of,
)
from adapters.values import replace
from relayers.protocol import timelocks
from relayers.protocol.alerts import AlertKind
from relayers.protocol.breaches import forget_overdue
from relayers.protocol.decisions import decide, too_late_to_reveal
from relayers.protocol.facts import (
    AcceptanceReceived,
    DeclineReceived,
    Delivered,
    Fact,
    LookedUp,
    Observed,
    OfferAccepted,
    OfferDeclined,
    OfferMade,
    OfferReceived,
    Refused,
    RevealBegun,
    Woken,
)
from relayers.protocol.intents import Kind, intent_id
from relayers.protocol.offer import Offer, terms_a, terms_b
from relayers.protocol.state import (
    STRANGERS_KEPT,
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
from relayers.protocol.wakes import Wake, wakes
from relayers.protocol.work import Work

__all__ = ["STRANGERS_TOLD", "Wake", "step", "wakes"]

STRANGERS_TOLD = 3
"""Of locks that are not ours, the user is told of the first few; the rest is counted."""


def step(state: Swap | None, fact: Fact) -> Move:
    """The next state, with all that must be written together with it. Never raises."""
    at = fact.at
    match fact.body:
        case OfferMade(offer, signature, schedule):
            if state is not None:
                return _known_offer(state, offer)
            fresh = Swap(Role.INITIATOR, Phase.OFFERED, offer, signature, schedule, begun=at.clock)
            work = Work.fresh(fresh, at).ask(Kind.SEND_OFFER)
            return decide(work.inform("offered", "offer made; waiting for the other side"))
        case OfferReceived(offer, signature, schedule):
            if state is not None:
                return _known_offer(state, offer)
            fresh = Swap(Role.RESPONDER, Phase.RECEIVED, offer, signature, schedule, begun=at.clock)
            text = "offer received; waiting to be accepted or rejected"
            return decide(Work.fresh(fresh, at).inform("received", text))
    if state is None:
        return Move(None, ignored=Ignored.NO_SWAP, detail="no swap is known under this hashlock")
    work = Work.on(state, at)
    match fact.body:
        case OfferAccepted():
            return _accept(work, fact.body)
        case OfferDeclined(reason):
            return _decline(work, reason)
        case AcceptanceReceived():
            return _accepted(work, fact.body)
        case DeclineReceived(reason):
            return _declined(work, reason)
        case Observed(observation):
            return _observed(work, observation)
        case LookedUp():
            return _looked_up(work, fact.body)
        case RevealBegun(lock_id):
            return _reveal(work, lock_id)
        case Refused():
            return _refused(work, fact.body)
        case Delivered(intent):
            for kind in (Kind.SEND_OFFER, Kind.SEND_ACCEPTANCE, Kind.SEND_DECLINE):
                if intent == intent_id(state.hashlock, kind):
                    return decide(work.close(kind))
            return _ignore(state, Ignored.NOT_NOW, "no such message")
        case Woken(due, chain):
            return decide(_woken(work, due, chain))
        case _:
            assert_never(fact.body)


# --- what each fact means ------------------------------------------------------------------------


def _known_offer(state: Swap, offer: Offer) -> Move:
    if state.offer == offer:
        return _ignore(state, Ignored.KNOWN_ALREADY, "this offer was seen before")
    return _ignore(state, Ignored.NOT_AGREED, "this hashlock was seen before, in another offer")


def _woken(work: Work, due: int, chain: ChainId | None) -> Work:
    if chain is None:
        return replace(work, at=replace(work.at, clock=max(work.at.clock, due)))
    for leg in (work.state.a, work.state.b):
        if leg is not None and leg.terms.chain == chain and leg.terms.deadline <= due:
            work = work.becoming(work.state.with_leg(replace(leg, expired=True)))
    return work


def _accept(work: Work, body: OfferAccepted) -> Move:
    state = work.state
    if state.role is Role.RESPONDER and state.acceptance == body.acceptance:
        return _ignore(state, Ignored.KNOWN_ALREADY, "the offer was accepted already")
    if state.role is not Role.RESPONDER or state.phase is not Phase.RECEIVED:
        return _ignore(state, Ignored.NOT_NOW, f"the swap is {state.phase}")
    agreed = _agreed(work, body)
    if isinstance(agreed, Move):
        return agreed
    work = work.becoming(agreed).enter(Phase.ACCEPTED).ask(Kind.SEND_ACCEPTANCE)
    return decide(work.inform("accepted", "offer accepted; waiting for the other side's lock"))


def _accepted(work: Work, body: AcceptanceReceived) -> Move:
    state = work.state
    if state.role is Role.INITIATOR and state.acceptance == body.acceptance:
        return _ignore(state, Ignored.KNOWN_ALREADY, "this acceptance was seen before")
    if state.role is not Role.INITIATOR or state.phase is not Phase.OFFERED:
        return _ignore(state, Ignored.NOT_NOW, f"the swap is {state.phase}")
    agreed = _agreed(work, body)
    if isinstance(agreed, Move):
        return agreed
    work = work.becoming(agreed).enter(Phase.LOCKING)
    work = work.close(Kind.SEND_OFFER).ask(Kind.LOCK)
    return decide(work.inform("locking", "offer accepted by the other side; locking"))


def _agreed(work: Work, body: OfferAccepted | AcceptanceReceived) -> Swap | Move:
    """The swap with both legs, or why it may not begin now."""
    state, acceptance = work.state, body.acceptance
    if work.now >= state.offer.valid_until:
        return _ignore(state, Ignored.TOO_LATE, "the offer has expired")
    reason = timelocks.objection(
        state.schedule, state.offer.a.deadline, state.offer.b.deadline, work.now
    )
    if reason is not None:
        return _ignore(state, Ignored.TOO_LATE, reason)
    frozen = work.frozen()
    if frozen is not None:
        return _ignore(state, Ignored.CHAIN_FROZEN, frozen)
    misfit = "the acceptance does not fit the offer"
    if acceptance.hashlock != state.hashlock:
        return _ignore(state, Ignored.NOT_AGREED, misfit)
    try:
        a = Leg(body.lock_a, terms_a(state.offer, acceptance))
        b = Leg(body.lock_b, terms_b(state.offer, acceptance))
    except InvalidValue as error:
        return _ignore(state, Ignored.NOT_AGREED, f"{misfit}: {error}")
    return replace(state, acceptance=acceptance, acceptance_signature=body.signature, a=a, b=b)


def _decline(work: Work, reason: str) -> Move:
    state = work.state
    if state.role is not Role.RESPONDER or state.phase is not Phase.RECEIVED:
        return _ignore(state, Ignored.NOT_NOW, f"the swap is {state.phase}")
    work = work.enter(Phase.DECLINED, reason).ask(Kind.SEND_DECLINE)
    return decide(work.inform("declined", f"offer rejected: {reason}"))


def _declined(work: Work, reason: str) -> Move:
    state = work.state
    if state.role is Role.INITIATOR and state.phase is Phase.DECLINED:
        return _ignore(state, Ignored.KNOWN_ALREADY, "the other side has rejected already")
    if state.role is not Role.INITIATOR or state.phase is not Phase.OFFERED:
        return _ignore(state, Ignored.NOT_NOW, f"the swap is {state.phase}")
    work = work.enter(Phase.DECLINED, reason).close(Kind.SEND_OFFER)
    return decide(work.inform("declined", f"the other side rejected the offer: {reason}"))


def _observed(work: Work, observation: Observation) -> Move:
    event = observation.event
    if hashlock_of(event) != work.state.hashlock:
        return _ignore(work.state, Ignored.NOT_OUR_LOCK, "another hashlock")
    if isinstance(event, LockClaimed):
        work = _knowing(work, event.preimage)
    leg = leg_of(work.state, observation)
    if leg is None:
        return _strange(work, observation)
    state = _EVENT_STATES[type(event)]
    return _shown(work, leg, state, observation.stage, observation.position)


def _looked_up(work: Work, body: LookedUp) -> Move:
    if body.preimage is not None:
        work = _knowing(work, body.preimage)
    leg = _leg(work.state, body.chain, body.lock_id)
    if leg is None:
        return replace(decide(work), ignored=Ignored.NOT_OUR_LOCK, detail="not a lock of this swap")
    if body.state is not LockState.ABSENT:
        return _shown(work, leg, body.state, Stage.FINAL if body.final else Stage.PENDING, None)
    leg = forget_overdue(work.state, leg, work.at)
    if leg.opened is not None or not (leg.expired or work.reached(body.chain, leg.terms.deadline)):
        # It is there as far as is known, or may still come; what takes it away is told by events.
        return replace(decide(work), ignored=Ignored.NOT_NOW, detail="this says nothing for good")
    return decide(work.becoming(work.state.with_leg(replace(leg, missed=True))))


def _knowing(work: Work, preimage: Preimage) -> Work:
    """Known for good, wherever it was shown, even where the claim that showed it is retracted."""
    if preimage == work.state.preimage or preimage.hashlock() != work.state.hashlock:
        return work
    return work.becoming(replace(work.state, preimage=preimage))


_EVENT_STATES = {
    LockOpened: LockState.OPEN,
    LockClaimed: LockState.CLAIMED,
    LockRefunded: LockState.REFUNDED,
}


def _shown(work: Work, leg: Leg, shown: LockState, stage: Stage, position: Position | None) -> Move:
    """A chain has shown a lock of ours in this state, or, where the stage is RETRACTED, takes that
    back. ``position``: where; None where it was not said."""
    final_before = leg.settled if leg.settled_final else None
    clock, retracted = work.at.clock, stage is Stage.RETRACTED
    match shown:
        case LockState.OPEN:
            broken = retracted and leg.open_final
            leg = _opened(leg, stage, position, clock)
        case LockState.CLAIMED:
            broken = final_before is Settlement.REFUNDED or (retracted and final_before is not None)
            leg = _settled(leg, Settlement.CLAIMED, stage, position, clock)
        case LockState.REFUNDED:
            broken = final_before is Settlement.CLAIMED or (retracted and final_before is not None)
            leg = _settled(leg, Settlement.REFUNDED, stage, position, clock)
        case LockState.ABSENT:
            raise AssertionError("nothing is shown of a lock that is not there")
        case _:
            assert_never(shown)
    work = work.becoming(work.state.with_leg(leg))
    told = _told(work, leg, shown, stage)
    if told is not None:
        work = work.tell(told)
    if broken:
        side = "a" if leg.terms.chain == work.state.offer.a.chain else "b"
        work = work.alert(
            AlertKind(f"bound:finality:{side}:reverted"),
            f"{leg.terms.chain} took back what it had shown as final",
        )
    return decide(work)


def leg_of(state: Swap, observation: Observation) -> Leg | None:
    """The leg that this observation speaks of."""
    return _leg(state, observation.chain, observation.event.lock_id)


def _leg(state: Swap, chain: ChainId, lock_id: LockId) -> Leg | None:
    """The lock of ours with this id on this chain. The id is a hash over every term (ADR 1), so
    nothing else need be compared: what is spelled otherwise is the same lock all the same."""
    for leg in (state.a, state.b):
        if leg is not None and leg.terms.chain == chain and leg.lock_id == lock_id:
            return leg
    return None


def _strange(work: Work, observation: Observation) -> Move:
    state, event = work.state, observation.event
    fresh = (
        isinstance(event, LockOpened)
        and observation.stage is Stage.FINAL
        and event.lock_id not in state.strangers
        and len(state.strangers) < STRANGERS_KEPT
    )
    if fresh:
        assert isinstance(event, LockOpened)
        if len(state.strangers) < STRANGERS_TOLD:
            work = work.tell(UserEvent("stranger", Level.WARNING, _stranger(state, event)))
        strangers = (*state.strangers, event.lock_id)
        work = work.becoming(replace(work.state, strangers=strangers))
    move = decide(work)
    moved = move.state != state or move.events or move.intents or move.closed
    why = Ignored.NOT_OUR_LOCK if moved else Ignored.STRANGERS_LOCK
    return replace(move, ignored=why, detail="not a lock of this swap")


def _elsewhere(seen: Position | None, position: Position | None) -> bool:
    """A retraction of a block other than that in which it was last seen says nothing new."""
    return seen is not None and position is not None and seen.block_hash != position.block_hash


def _opened(leg: Leg, stage: Stage, position: Position | None, clock: int) -> Leg:
    if leg.open_final:
        return leg
    if stage is Stage.RETRACTED:
        if _elsewhere(leg.opened_by, position):
            return leg
        return replace(leg, opened=None, opened_by=None)
    return replace(
        leg,
        opened=stage,
        opened_at=leg.opened_at or clock,
        opened_by=position or leg.opened_by,
        missed=False,
    )


def _settled(
    leg: Leg, settlement: Settlement, stage: Stage, position: Position | None, clock: int
) -> Leg:
    if leg.settled_final and (stage is not Stage.FINAL or leg.settled is settlement):
        return leg
    if stage is Stage.RETRACTED:
        if leg.settled is not settlement or _elsewhere(leg.settled_by, position):
            return leg
        return replace(leg, settled=None, settled_stage=None, settled_by=None, retracted=settlement)
    since = leg.settled_at if settlement is (leg.settled or leg.retracted) else clock
    if position is None and leg.settled is settlement:
        position = leg.settled_by
    return replace(
        leg,
        # What is settled was open, whatever order the news come in.
        opened=Stage.FINAL if stage is Stage.FINAL else leg.opened or Stage.PENDING,
        opened_at=leg.opened_at or clock,
        settled=settlement,
        settled_stage=stage,
        settled_at=since,
        settled_by=position,
        missed=False,
    )


def _reveal(work: Work, lock_id: bytes) -> Move:
    """A clock that ran backwards, a head that has gone stale, a lock that is no longer open: each
    of them keeps the preimage in."""
    state = work.state
    if state.role is not Role.INITIATOR or state.b is None or lock_id != state.b.lock_id:
        return _ignore(state, Ignored.NOT_NOW, "no reveal was asked for")
    if state.phase is Phase.REVEALING:
        return _ignore(state, Ignored.KNOWN_ALREADY, "the reveal has begun already")
    if state.phase is not Phase.CLAIMING:
        return _ignore(state, Ignored.NOT_NOW, f"the swap is {state.phase}")
    if too_late_to_reveal(work):
        return decide(work)
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
    return decide(work.inform("revealing", "claiming: the secret goes out with this call"))


def _refused(work: Work, body: Refused) -> Move:
    state = work.state
    who = "the chain" if body.by_chain else "this gateway"
    for kind in Kind:
        if body.intent == intent_id(state.hashlock, kind):
            break
    else:
        return _ignore(state, Ignored.NOT_NOW, "no such intent")
    if not state.waits_for(kind):
        return _ignore(state, Ignored.NOT_NOW, f"nothing waits for {kind}")
    match kind:
        case Kind.LOCK:
            work = work.close(Kind.LOCK)
            if state.phase is not Phase.LOCKING or state.own is None or state.own.opened:
                return decide(work)
            work = work.enter(Phase.FAILED, f"{who} refused the lock: {body.reason}")
            return decide(work.tell(UserEvent("failed", Level.WARNING, work.state.reason)))
        case Kind.SEND_OFFER:
            work = work.close(Kind.SEND_OFFER)
            if state.phase is not Phase.OFFERED:
                return decide(work)
            reason = f"the other gateway refused the offer: {body.reason}"
            return decide(work.enter(Phase.DECLINED, reason).inform("declined", reason))
        case Kind.SEND_ACCEPTANCE:
            text = f"the other gateway refused the acceptance: {body.reason}"
            work = work.close(Kind.SEND_ACCEPTANCE)
            return decide(work.tell(UserEvent("acceptance_refused", Level.WARNING, text)))
        case Kind.SEND_DECLINE:
            return decide(work.close(Kind.SEND_DECLINE))
        case Kind.CLAIM | Kind.REFUND:
            # Never given up here: the chain's own word on the lock closes a claim or a refund.
            if state.phase is Phase.CLAIMING and state.role is Role.INITIATOR:
                # Of a kind of its own: what stops a claim after the secret is out alerts again.
                return decide(work.alert(AlertKind.HELD_CLAIM, f"not claiming yet: {body.reason}"))
            text = f"{who} refused to {kind}: {body.reason}; it will be tried again"
            return decide(work.alert(AlertKind(f"refused:{kind}"), text))
        case _:
            assert_never(kind)


# --- words ---------------------------------------------------------------------------------------


def _ignore(state: Swap, why: Ignored, detail: str) -> Move:
    return Move(state, ignored=why, detail=detail)


_NOUNS = {LockState.OPEN: "lock", LockState.CLAIMED: "claim", LockState.REFUNDED: "refund"}


def _told(work: Work, leg: Leg, shown: LockState, stage: Stage) -> UserEvent | None:
    """What the users are told of it; nothing where it was known."""
    before, after = work.before, work.state
    if before == after:
        return None
    ours = after.own is not None and leg.lock_id == after.own.lock_id
    noun = _NOUNS[shown]
    side = "A" if after.a is not None and leg.lock_id == after.a.lock_id else "B"
    lock = "our lock" if ours else "the other side's lock"
    subject = lock if noun == "lock" else f"a {noun} of {lock}"
    return UserEvent(
        f"{noun}_{side.lower()}_{stage}",
        Level.WARNING if stage is Stage.RETRACTED else Level.INFO,
        f"{subject} on {leg.terms.chain} is {stage}",
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
