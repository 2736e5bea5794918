"""When a swap wants to be looked at again though nothing has happened."""

from __future__ import annotations

from typing import NamedTuple

from adapters.model import ChainId
from relayers.protocol import timelocks
from relayers.protocol.breaches import watch_wakes
from relayers.protocol.intents import Kind
from relayers.protocol.state import Phase, Role, Swap


class Wake(NamedTuple):
    """``chain`` None: when the gateway's clock reaches ``at``; else when that chain's time does."""

    at: int
    chain: ChainId | None


def wakes(state: Swap) -> tuple[Wake, ...]:
    """The moments at which deciding again can change something though no other fact comes, each
    once. Each is to be heeded once (``facts.Woken`` with its ``at`` and ``chain``): whatever comes
    after it decides with the time that it then is."""
    offer, schedule = state.offer, state.schedule
    found: list[Wake] = []
    match state.phase:
        case Phase.OFFERED | Phase.RECEIVED:
            found.append(Wake(offer.valid_until, None))
        case Phase.DECLINED if state.waits_for(Kind.SEND_DECLINE):
            found.append(Wake(offer.valid_until, None))
        case Phase.ACCEPTED:
            found.append(Wake(timelocks.responder_lock_limit(schedule, offer.b.deadline), None))
        case Phase.LOCKED | Phase.CLAIMING if state.role is Role.INITIATOR:
            found.append(Wake(timelocks.reveal_limit(schedule, offer.b.deadline), None))
        case _:
            pass
    if not state.ended and state.phase is not Phase.ACCEPTED:
        for leg in (state.a, state.b):
            if leg is not None and not leg.expired:
                found.append(Wake(leg.terms.deadline, leg.terms.chain))
    for at, chain in watch_wakes(state):
        for wake in (Wake(at, None), Wake(at, chain)):
            # Why no set: there is a handful, and hashing them costs more than comparing.
            if wake not in found:
                found.append(wake)
    return tuple(found)
