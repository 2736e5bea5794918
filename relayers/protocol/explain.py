"""A swap in plain words: where it is, what it waits for, until when, and what happens next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from adapters.model import ChainId
from relayers.protocol import timelocks
from relayers.protocol.facts import At
from relayers.protocol.state import Leg, Phase, Role, Settlement, Swap


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


@dataclass(frozen=True, slots=True)
class _Words:
    """The names of one swap: our lock stands on ``own``, theirs on ``their``."""

    peer: str
    own: str
    their: str


def explain(state: Swap, at: At, names: Names) -> Explanation:
    """Pure; ``at`` is the present moment. Never raises."""
    initiator = state.role is Role.INITIATOR
    first, second = names.of(state.offer.a.chain), names.of(state.offer.b.chain)
    own, their = (first, second) if initiator else (second, first)
    words = _Words(names.peer, own, their)
    where, waits_for, following = _sentences(state, words)
    if state.reason and state.phase in _WITH_REASON:
        where = f"{where} Why: {state.reason.rstrip('.')}."
    if waits_for:
        waits_for = _with_sight(state, waits_for, words)
    return Explanation(where, waits_for, _until(state), following, _at_risk(state, at, words))


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


def _with_sight(state: Swap, waits_for: str, words: _Words) -> str:
    """What the chains have shown of it so far."""
    seen = []
    for lock, leg in (
        (f"our lock on {words.own}", state.own),
        (f"{words.peer}'s lock on {words.their}", state.their),
    ):
        if leg is None:
            continue
        if leg.settled is not None and not leg.settled_final:
            seen.append(f"{lock} is {leg.settled}, not yet final")
        elif leg.opened is not None and not leg.open_final:
            seen.append(f"{lock} is seen, not yet final")
    return f"{waits_for} ({'; '.join(seen)})" if seen else waits_for


_OVER = "Nothing more happens."


def _sentences(state: Swap, words: _Words) -> tuple[str, str, str]:
    """Where the swap is, what it waits for (empty once it has ended), and what comes next."""
    peer = words.peer
    our_lock, their_lock = f"our lock on {words.own}", f"{peer}'s lock on {words.their}"
    back = f"take {our_lock} back after its deadline"
    initiator = state.role is Role.INITIATOR
    match state.phase:
        case Phase.OFFERED:
            return (
                "We have made an offer. Nothing is locked.",
                f"{peer} to accept it",
                f"Once it is accepted, we lock on {words.own}; otherwise it expires.",
            )
        case Phase.RECEIVED:
            return (
                f"{_capital(peer)} has made us an offer. Nothing is locked.",
                "us to accept or reject it",
                f"If we accept, {peer} locks first, on {words.their}; otherwise it expires.",
            )
        case Phase.ACCEPTED:
            return (
                "We have accepted. Nothing of ours is locked.",
                f"{their_lock} to be final, and as agreed",
                f"Then we lock on {words.own}; without it the swap expires and we have paid "
                "nothing.",
            )
        case Phase.LOCKING:
            return (
                f"It is agreed; {our_lock} is on its way.",
                f"{our_lock} to be final",
                f"Then we wait for {peer} to lock on {words.their}."
                if initiator
                else f"Then we wait for {peer} to claim it, which shows us the secret.",
            )
        case Phase.LOCKED if initiator:
            return (
                f"{_capital(our_lock)} is final.",
                f"{their_lock} to be final, and as agreed",
                f"Then we claim it, which reveals the secret; without it we never reveal, and "
                f"{back}.",
            )
        case Phase.LOCKED:
            return (
                f"Both locks are there, {our_lock} is final.",
                f"{peer} to claim it, which shows us the secret",
                f"Then we claim {their_lock}; without the secret we {back}.",
            )
        case Phase.CLAIMING if initiator:
            return (
                "Both locks are final; our claim is being prepared. The secret is still ours "
                "alone.",
                f"a last look at the time on {words.their}, and the record that we reveal",
                "Then the secret goes out with our claim; if that is too late, it never does.",
            )
        case Phase.CLAIMING:
            return (
                f"The secret is known; our claim on {words.their} is on its way.",
                f"our claim on {words.their} to be final, and {our_lock} to end",
                f"The claim is sent again until it is final or {their_lock} was refunded.",
            )
        case Phase.REVEALING:
            return (
                f"The secret has left, or is leaving, with our claim on {words.their}.",
                f"our claim on {words.their} to be final",
                f"The claim is sent again until it is final or {their_lock} was refunded.",
            )
        case Phase.SETTLING:
            return (
                f"We are paid. {_capital(our_lock)} is {peer}'s to collect.",
                f"{peer} to claim {our_lock}",
                f"Once it is claimed the swap is complete; if {peer} never does, it comes back to "
                "us as well.",
            )
        case Phase.REFUNDING:
            return (
                f"The swap will not happen; {our_lock} is to come back.",
                f"the deadline of {our_lock}, then our refund to be final",
                "From the deadline on the refund is sent until it is final.",
            )
        case Phase.DECLINED:
            return "The offer was rejected. Nothing is locked.", "", _OVER
        case Phase.EXPIRED:
            return (
                "The offer was not taken up, or not followed by a lock, in time. We have paid "
                "nothing.",
                "",
                _OVER,
            )
        case Phase.FAILED:
            return "Our lock never came to be, or vanished. We have paid nothing.", "", _OVER
        case Phase.REFUNDED:
            return f"{_capital(our_lock)} is back with us. We have paid nothing.", "", _OVER
        case Phase.COMPLETED:
            return _completed(state, words), "", _OVER
        case Phase.LOST:
            return (
                f"{_capital(our_lock)} was claimed and we were not paid: a bound broke.",
                "",
                "Somebody must look: compare the chains with the bounds in the configuration.",
            )
        case _:
            assert_never(state.phase)


def _completed(state: Swap, words: _Words) -> str:
    """Paid on ``their``; our own lock has ended one way or the other."""
    if state.own is not None and state.own.settled is Settlement.REFUNDED:
        return f"We are paid on {words.their}, and our lock on {words.own} came back to us."
    return f"Done: we are paid on {words.their}, and {words.peer} on {words.own}."


def _capital(text: str) -> str:
    """A name stays as it is written; "our" and "the" begin a sentence."""
    return text[0].upper() + text[1:] if text.startswith(("our ", "the ")) else text


def _at_risk(state: Swap, at: At, words: _Words) -> str:
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
            f"The deadline on {words.their} has passed and our claim is not final: the asset is at "
            "risk."
        )
    return f"Our claim on {words.their} must be in a block before its deadline: {left} s are left."


def _time_of(leg: Leg, at: At) -> int:
    view = at.view(leg.terms.chain)
    return max(at.clock, view.head.time) if view is not None else at.clock
