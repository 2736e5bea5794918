"""What follows from all that is known of a swap at a moment.

``decide`` takes one thing after another that follows until nothing more does. Which fact came, and
in which order the facts came, plays no part here. Every phase can be left when what is known no
longer fits it, ends included: a lock that was given up for absent may still surface.
"""

from __future__ import annotations

from typing import assert_never

from adapters.model import Stage
from adapters.values import replace
from relayers.protocol import timelocks
from relayers.protocol.alerts import AlertKind
from relayers.protocol.breaches import breaches, forget_overdue
from relayers.protocol.intents import Kind
from relayers.protocol.state import Leg, Level, Move, Phase, Role, Settlement, Swap, UserEvent
from relayers.protocol.work import Work


def decide(work: Work) -> Move:
    """All that follows, as one move."""
    while True:
        decided = _decide(work)
        if decided.state is work.state or decided.state == work.state:
            break
        work = decided
    for breach in breaches(work.state, work.at):
        work = work.alert(breach.kind, breach.text)
    if work.state.ended:
        work = work.close(Kind.SEND_ACCEPTANCE, Kind.LOCK, Kind.CLAIM, Kind.REFUND)
    state, clock = work.state, work.at.clock
    if state.changed != clock and state != work.before:
        state = replace(state, changed=clock)
    return Move(state, work.intents, work.closed, work.events)


_UNAGREED = frozenset({Phase.OFFERED, Phase.RECEIVED})


def _decide(work: Work) -> Work:
    """One thing that follows; the same work where nothing does."""
    state = work.state
    if state.phase in _UNAGREED:
        if work.now >= state.offer.valid_until:
            work = work.enter(Phase.EXPIRED, "the offer was not taken up in time")
            return work.close(Kind.SEND_OFFER).inform("expired", work.state.reason)
        return work
    if state.phase is Phase.DECLINED and work.now >= state.offer.valid_until:
        # By now the other side's offer has expired by itself.
        work = work.close(Kind.SEND_DECLINE)
    own, their = state.own, state.their
    if own is None or their is None:
        return work
    for leg in (own, their):
        seen = _look(work, leg)
        if seen is not leg:
            work = work.becoming(work.state.with_leg(seen))
    if work.state is not state and work.state != state:
        return work
    work = own_lock(work, own, their)
    if work.state is not state and work.state != state:
        return work
    match state.role:
        case Role.INITIATOR:
            return _initiator(work, own, their)
        case Role.RESPONDER:
            return _responder(work, own, their)
        case _:
            assert_never(state.role)


def _look(work: Work, leg: Leg) -> Leg:
    """The leg as the moment shows it: its deadline may have come, a sighting may be overdue."""
    if not leg.expired and work.reached(leg.terms.chain, leg.terms.deadline):
        leg = replace(leg, expired=True)
    return forget_overdue(work.state, leg, work.at)


# --- either role ---------------------------------------------------------------------------------


_GIVEN_UP = frozenset({Phase.FAILED, Phase.EXPIRED, Phase.DECLINED})
_NOTHING_LOCKED = frozenset({Phase.OFFERED, Phase.RECEIVED, Phase.ACCEPTED})


def own_lock(work: Work, own: Leg, their: Leg) -> Work:
    """What this side's own lock asks for, whatever else is going on: it comes home when it can."""
    if own.opened is not None:
        if own.open_final:
            work = work.close(Kind.LOCK)
        if work.state.phase in _GIVEN_UP:
            # It was given up for absent, and is there all the same.
            return work.enter(Phase.REFUNDING).inform(
                "refunding", "our lock has come after all; taking it back after its deadline"
            )
        if own.expired and not own.settled_final and not work.state.ended:
            # A settlement that is only pending may vanish; the executor asks the chain before it
            # sends anything.
            work = work.ask(Kind.REFUND)
    elif own.absent:
        work = work.close(Kind.REFUND)
    elif own.expired and work.state.phase not in _NOTHING_LOCKED and not work.state.ended:
        # Not seen is not absent: the chain is asked for it by its id, and what is there comes home.
        work = work.close(Kind.LOCK).ask(Kind.REFUND)
    if own.settled_final:
        work = work.close(Kind.REFUND, Kind.LOCK)
    if their.settled_final:
        work = work.close(Kind.CLAIM)
    return work


def paid(their: Leg) -> bool:
    return their.settled_as(Settlement.CLAIMED)


def hopeless(own: Leg, their: Leg) -> bool:
    """The other side's lock can no longer become ours, or nothing is lost if it does not."""
    if their.settled_as(Settlement.REFUNDED) or (their.gone and their.settled is None):
        return True
    home = own.settled_as(Settlement.REFUNDED)
    return home and their.expired and their.settled is None


def _locking(work: Work, own: Leg) -> Work:
    if own.open_final:
        return work.enter(Phase.LOCKED).inform("locked", "our lock is final")
    if own.absent:
        work = work.enter(Phase.FAILED, "our lock never reached its chain").close(Kind.LOCK)
        return work.tell(UserEvent("failed", Level.WARNING, work.state.reason))
    return work


def _refunding(work: Work, own: Leg) -> Work:
    if own.settled_as(Settlement.REFUNDED):
        return work.enter(Phase.REFUNDED).inform("refunded", "our lock is back")
    if own.settled_as(Settlement.CLAIMED):
        # Paid without being paid: only where a chain or this gateway broke a bound.
        work = work.enter(Phase.LOST, "our lock was claimed and we were not paid")
        return work.alert(AlertKind.LOST, work.state.reason)
    if own.absent:
        work = work.enter(Phase.FAILED, "our lock is no longer on its chain")
        return work.tell(UserEvent("failed", Level.WARNING, work.state.reason))
    return work


def _completing(work: Work, own: Leg) -> Work:
    if own.settled_final or own.absent:
        return work.enter(Phase.COMPLETED).inform("completed", "the swap is complete")
    return work


def _ended(work: Work, own: Leg, their: Leg, open_again: Phase) -> Work:
    """Ends that no longer fit what the chains say: late news, or a broken finality rule."""
    state = work.state
    match state.phase:
        case Phase.COMPLETED:
            if not paid(their) or not (own.settled_final or own.absent):
                return work.enter(open_again, "a chain took back what was final")
        case Phase.REFUNDED:
            if paid(their) and own.settled_final:
                return work.enter(Phase.COMPLETED).inform("completed", "we were paid after all")
            if not own.settled_as(Settlement.REFUNDED):
                return work.enter(Phase.REFUNDING, "a chain took back what was final")
        case Phase.LOST:
            if paid(their) or not own.settled_as(Settlement.CLAIMED):
                return work.enter(open_again, "a chain took back what was final")
        case _:
            pass
    return work


# --- initiator -----------------------------------------------------------------------------------

_BEFORE_REVEAL = frozenset({Phase.LOCKING, Phase.LOCKED, Phase.CLAIMING, Phase.REFUNDING})


def _initiator(work: Work, own: Leg, their: Leg) -> Work:
    state = work.state
    if state.ended:
        return _ended(work, own, their, Phase.REVEALING)
    if state.preimage is not None and state.phase is Phase.LOCKING and own.opened is None:
        work = work.enter(Phase.FAILED, "our secret is public, so we must not lock")
        return work.close(Kind.LOCK).tell(UserEvent("failed", Level.WARNING, work.state.reason))
    if state.preimage is not None and state.phase in _BEFORE_REVEAL and not hopeless(own, their):
        # It is public, so our lock can be taken: a journal restored from before the reveal, or a
        # leak. Nothing is given away by claiming any more.
        return pursue(work.enter(Phase.REVEALING), their)
    match state.phase:
        case Phase.LOCKING:
            return _locking(work, own)
        case Phase.LOCKED:
            return _initiator_locked(work, own, their)
        case Phase.CLAIMING:
            if too_late_to_reveal(work):
                work = work.enter(
                    Phase.REFUNDING, "the claim could not begin while it was still safe"
                ).close(Kind.CLAIM)
                return work.inform("refunding", "too late to claim; waiting for the refund")
        case Phase.REVEALING:
            if paid(their):
                text = "claimed; waiting until the other side has collected too"
                return work.enter(Phase.SETTLING).inform("claimed", text)
            if hopeless(own, their):
                work = work.enter(Phase.REFUNDING, "the other side's lock was not to be had")
                return work.close(Kind.CLAIM)
            return pursue(work, their)
        case Phase.SETTLING:
            return _completing(work, own)
        case Phase.REFUNDING:
            return _refunding(work, own)
        case _:
            pass
    return work


def too_late_to_reveal(work: Work) -> bool:
    state = work.state
    return work.now >= timelocks.reveal_limit(state.schedule, state.offer.b.deadline)


def _initiator_locked(work: Work, own: Leg, their: Leg) -> Work:
    if own.settled_final:
        return work.enter(Phase.REFUNDING, "the own lock ended before the other side's")
    if too_late_to_reveal(work):
        work = work.enter(
            Phase.REFUNDING, "the other side's lock was not there in time to be claimed"
        )
        return work.inform("refunding", "too late to claim safely; waiting for the refund")
    if their.open_final and their.settled is None:
        work = work.enter(Phase.CLAIMING).ask(Kind.CLAIM)
        return work.inform("claiming", "both sides have locked; about to claim")
    return work


def pursue(work: Work, their: Leg) -> Work:
    """Asks for the claim, and asks again where it was closed."""
    return work if their.settled_final else work.ask(Kind.CLAIM)


# --- responder -----------------------------------------------------------------------------------

_BEFORE_CLAIM = frozenset({Phase.LOCKING, Phase.LOCKED, Phase.REFUNDING})


def _responder(work: Work, own: Leg, their: Leg) -> Work:
    state = work.state
    if state.ended:
        return _ended(work, own, their, Phase.CLAIMING)
    if state.preimage is not None and state.phase in _BEFORE_CLAIM and not hopeless(own, their):
        # What is not locked by now need not be locked any more.
        work = pursue(work.enter(Phase.CLAIMING).close(Kind.LOCK), their)
        return work.inform("claiming", "the secret is on the chain; claiming")
    match state.phase:
        case Phase.ACCEPTED:
            return _responder_accepted(work, their)
        case Phase.LOCKING:
            return _locking(work, own)
        case Phase.LOCKED:
            if own.settled_final:
                return work.enter(Phase.REFUNDING, "nobody claimed before the deadline")
            if own.expired:
                work = work.enter(Phase.REFUNDING, "nobody claimed before the deadline")
                return work.inform("refunding", "nobody claimed in time; taking back the lock")
        case Phase.CLAIMING:
            if paid(their):
                return _completing(work, own)
            if hopeless(own, their):
                work = work.enter(Phase.REFUNDING, "the other side's lock was not to be had")
                return work.close(Kind.CLAIM)
            return pursue(work, their)
        case Phase.REFUNDING:
            return _refunding(work, own)
        case _:
            pass
    return work


def _responder_accepted(work: Work, their: Leg) -> Work:
    state = work.state
    limit = timelocks.responder_lock_limit(state.schedule, state.offer.b.deadline)
    if work.now >= limit:
        work = work.enter(
            Phase.EXPIRED, "the other side's lock was not final in time to lock in return"
        ).close(Kind.SEND_ACCEPTANCE)
        return work.inform("expired", work.state.reason)
    if may_lock_in_return(work, state, their):
        work = work.enter(Phase.LOCKING).close(Kind.SEND_ACCEPTANCE).ask(Kind.LOCK)
        return work.inform("locking", "the other side has locked; locking in return")
    return work


def may_lock_in_return(work: Work, state: Swap, their: Leg) -> bool:
    """The other side's lock is final and open, the secret is still one, and both chains can be
    relied on."""
    open_final = their.opened is Stage.FINAL and their.settled is None
    return open_final and state.preimage is None and work.frozen() is None
