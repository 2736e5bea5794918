"""A swap in plain words: where it is, what it waits for, until when, and what happens next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from relayers.protocol import timelocks
from relayers.protocol.facts import At
from relayers.protocol.state import Leg, Phase, Role, Swap
from relayers.protocol.table import row_of


@dataclass(frozen=True, slots=True)
class Explanation:
    """Sentences for people. ``until`` is Unix seconds (of the chain's time where a deadline is
    meant), None where the swap waits for nothing that ends by time. ``at_risk``: the deadline
    before which something of ours must be done, with what is left; empty where nothing is at
    risk."""

    where: str
    waits_for: str
    until: int | None
    next: str
    at_risk: str = ""


def explain(state: Swap, at: At) -> Explanation:
    """Pure; ``at`` is the present moment. Never raises."""
    row = row_of(state.role, state.phase)
    where = row.means if row is not None else f"The swap is {state.phase}."
    if state.reason and state.phase in _WITH_REASON:
        where = f"{where} Why: {state.reason}."
    until = _until(state)
    waits_for = "" if row is None or state.ended else _with_sight(state, row.waits_for)
    return Explanation(where, waits_for, until, _next(state, until), _at_risk(state, at))


_WITH_REASON = frozenset(
    {
        Phase.REFUNDING,
        Phase.REFUNDED,
        Phase.DECLINED,
        Phase.EXPIRED,
        Phase.FAILED,
        Phase.LOST,
    }
)


def _until(state: Swap) -> int | None:
    """When the present wait ends by itself, if by then nothing has come."""
    offer, schedule = state.offer, state.schedule
    own, their = state.own, state.their
    match state.phase:
        case Phase.OFFERED | Phase.RECEIVED:
            return offer.valid_until
        case Phase.ACCEPTED:
            return timelocks.responder_lock_limit(schedule, offer.b.deadline)
        case Phase.LOCKED | Phase.CLAIMING if state.role is Role.INITIATOR:
            return timelocks.reveal_limit(schedule, offer.b.deadline)
        case Phase.LOCKING | Phase.LOCKED | Phase.SETTLING | Phase.REFUNDING:
            return own.terms.deadline if own is not None else None
        case Phase.CLAIMING | Phase.REVEALING:
            return their.terms.deadline if their is not None else None
        case (
            Phase.DECLINED
            | Phase.EXPIRED
            | Phase.FAILED
            | Phase.REFUNDED
            | Phase.COMPLETED
            | Phase.LOST
        ):
            return None
        case _:
            assert_never(state.phase)


def _with_sight(state: Swap, waits_for: str) -> str:
    """What the chains have shown of it so far."""
    seen = []
    for side, leg in (("A", state.a), ("B", state.b)):
        if leg is None:
            continue
        if leg.settled is not None and not leg.settled_final:
            seen.append(f"the lock on {side} is {leg.settled}, not yet final")
        elif leg.opened is not None and not leg.open_final:
            seen.append(f"the lock on {side} is seen, not yet final")
    return f"{waits_for} ({'; '.join(seen)})" if seen else waits_for


def _next(state: Swap, until: int | None) -> str:
    initiator = state.role is Role.INITIATOR
    own_chain = state.own.terms.chain if state.own is not None else None
    match state.phase:
        case Phase.OFFERED:
            return f"Once accepted, we lock on {state.offer.a.chain}; otherwise it expires."
        case Phase.RECEIVED:
            return "Accept or reject it; otherwise it expires."
        case Phase.ACCEPTED:
            return (
                f"Once the other side's lock is final we lock on {state.offer.b.chain}; otherwise "
                "it expires and we have paid nothing."
            )
        case Phase.LOCKING:
            return (
                "Once our lock is final we wait for the other side."
                if initiator
                else "Once our lock is final we wait for the secret."
            )
        case Phase.LOCKED:
            if initiator:
                return (
                    "Once the other side's lock is final we claim it; otherwise we never reveal "
                    f"and take our lock on {own_chain} back after its deadline."
                )
            return (
                "Once the secret appears we claim; otherwise we take our lock on "
                f"{own_chain} back after its deadline."
            )
        case Phase.CLAIMING if initiator:
            return "The secret goes out with the claim; if that is too late by then, it never does."
        case Phase.CLAIMING | Phase.REVEALING:
            return "The claim is sent again until it is final or the lock has been refunded."
        case Phase.SETTLING:
            return (
                "The swap is complete once the other side has claimed; if it does not, our lock "
                f"on {own_chain} comes back to us as well."
            )
        case Phase.REFUNDING:
            return f"From {until} on (time of {own_chain}) the refund is sent until it is final."
        case Phase.LOST:
            return "An operator must look: compare the chains with the bounds in the configuration."
        case Phase.DECLINED | Phase.EXPIRED | Phase.FAILED | Phase.REFUNDED | Phase.COMPLETED:
            return "Nothing more happens."
        case _:
            assert_never(state.phase)


def _at_risk(state: Swap, at: At) -> str:
    """The claim that must be final before a deadline: from the reveal on, or the secret's sight."""
    their = state.their
    claiming = state.phase is Phase.REVEALING or (
        state.role is Role.RESPONDER and state.phase is Phase.CLAIMING
    )
    if their is None or not claiming or their.settled_final:
        return ""
    left = their.terms.deadline - _time_of(their, at)
    if left <= 0:
        return (
            f"The deadline {their.terms.deadline} on {their.terms.chain} has passed and our claim "
            "is not final: the asset is at risk."
        )
    return (
        f"Our claim on {their.terms.chain} must be in a block before {their.terms.deadline}: "
        f"{left} s are left."
    )


def _time_of(leg: Leg, at: At) -> int:
    view = at.view(leg.terms.chain)
    return max(at.clock, view.head.time) if view is not None else at.clock
