"""A swap in plain words: where it is, what it waits for, until when, and what happens next.

What is the same for every swap in a phase stands in the table's row; here come the names, the
times and what was seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from adapters.model import ChainId
from adapters.values import dataclass
from relayers.protocol import timelocks
from relayers.protocol.facts import At
from relayers.protocol.forms import Parties, filled
from relayers.protocol.state import Leg, Phase, Role, Settlement, Swap
from relayers.protocol.table import row_of


@dataclass(frozen=True, slots=True)
class Names:
    """What people call the chains and the other organisation. A chain without a name is called by
    its id."""

    chains: Mapping[ChainId, str]
    peer: str = "the other side"

    def of(self, chain: ChainId) -> str:
        return self.chains.get(chain) or str(chain)


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


def explain(state: Swap, at: At, names: Names) -> Explanation:
    """Pure; ``at`` is the present moment. Never raises."""
    initiator = state.role is Role.INITIATOR
    first, second = names.of(state.offer.a.chain), names.of(state.offer.b.chain)
    own, their = (first, second) if initiator else (second, first)
    parties = Parties(names.peer, own, their)
    where, waits_for, follows = (filled(form, parties) for form in _forms(state))
    if state.reason and state.phase in _WITH_REASON:
        where = f"{where} Why: {state.reason.rstrip('.')}."
    if waits_for:
        waits_for = _with_sight(state, waits_for, parties)
    return Explanation(where, waits_for, _until(state), follows, _at_risk(state, at, parties))


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


def _with_sight(state: Swap, waits_for: str, parties: Parties) -> str:
    """What the chains have shown of it so far."""
    seen = []
    for lock, leg in (
        (parties.our_lock, state.own),
        (parties.their_lock, state.their),
    ):
        if leg is None:
            continue
        if leg.settled is not None and not leg.settled_final:
            seen.append(f"{lock} is {leg.settled}, not yet final")
        elif leg.opened is not None and not leg.open_final:
            seen.append(f"{lock} is seen, not yet final")
    return f"{waits_for} ({'; '.join(seen)})" if seen else waits_for


def _forms(state: Swap) -> tuple[str, str, str]:
    """Where the swap is, what it waits for, and what follows, to be filled in."""
    row = row_of(state.role, state.phase)
    if row is None:
        return f"The swap is {state.phase}, which no {state.role} ever is.", "", "Nobody can say."
    returned = state.own is not None and state.own.settled is Settlement.REFUNDED
    if state.phase is Phase.COMPLETED and returned:
        return "We are paid on {their}, and {our_lock} came back to us.", "", row.follows
    return row.means, row.waits_for, row.follows


def _at_risk(state: Swap, at: At, parties: Parties) -> str:
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
            f"The deadline on {parties.their} has passed and our claim is not final: the asset is "
            "at risk."
        )
    return (
        f"Our claim on {parties.their} must be in a block before its deadline: {left} s are left."
    )


def _time_of(leg: Leg, at: At) -> int:
    view = at.view(leg.terms.chain)
    return max(at.clock, view.head.time) if view is not None else at.clock
