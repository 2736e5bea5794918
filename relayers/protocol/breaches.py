"""Broken bounds: what a chain or this gateway promised and did not keep, told at once.

The arithmetic of timelocks is only as good as the bounds that it is fed. Where one breaks, an asset
may be at risk, so each breach becomes an alert, once per swap and kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from adapters.model import Bounds, ChainId, Stage
from adapters.values import dataclass, replace
from relayers.protocol.alerts import AlertKind
from relayers.protocol.facts import At
from relayers.protocol.intents import Kind
from relayers.protocol.state import Leg, Phase, Role, Settlement, Swap
from relayers.protocol.timelocks import GatewayBounds


@dataclass(frozen=True, slots=True)
class Breach:
    kind: AlertKind
    text: str


_Watch = tuple[int, ChainId | None, Callable[[], Breach]]
"""A breach that is there if nothing has changed until a moment of the gateway's clock: the moment,
a chain, the breach.

The chain is whose newest head must be fresh to say so, because a gateway that was down, or whose
node is behind, has not seen what there is to see; that head's staleness is a breach of its own.
Every step looks at every watch, and mostly at its moment alone: hence a bare tuple, and the breach
only where it is asked for.
"""


def breaches(state: Swap, at: At) -> list[Breach]:
    """The breaches that show at this moment and were not alerted before."""
    found: list[Breach] = []
    if not state.ended:
        _clock(found, "a", state.offer.a.chain, state.schedule.a, state.schedule.stale_a, at)
        _clock(found, "b", state.offer.b.chain, state.schedule.b, state.schedule.stale_b, at)
    for name, leg, bounds in (("a", state.a, state.schedule.a), ("b", state.b, state.schedule.b)):
        if leg is not None and leg.settled is Settlement.CLAIMED:
            _late(found, name, leg, bounds, state.schedule.gateway)
    for moment, chain, breach in _watches(state):
        if _due(state, moment, chain, at):
            found.append(breach())
    if not found:
        return found
    return [breach for breach in found if breach.kind not in state.alerted]


def watch_wakes(state: Swap) -> Iterator[tuple[int, ChainId | None]]:
    """When to look for a breach again: by the gateway's clock and, where a chain is named, by that
    chain's time as well (its head may be stale at the first moment)."""
    for moment, chain, breach in _watches(state):
        if not state.alerted or breach().kind not in state.alerted:
            yield moment, chain


def forget_overdue(state: Swap, leg: Leg, at: At) -> Leg:
    """The leg without what was seen pending and is not final long after its bound.

    A gateway that was down during a reorg is never told that what it saw before has vanished, and
    would wait for it for ever. If it is there after all, its chain says so again once it is final.
    """
    chain = leg.terms.chain
    if leg.opened is Stage.PENDING and _due(
        state, _final_by(state, _bounds(state, leg), leg.opened_at), chain, at
    ):
        leg = replace(leg, opened=None, opened_by=None)
    if leg.settled_stage is Stage.PENDING and _due(
        state, _final_by(state, _bounds(state, leg), leg.settled_at), chain, at
    ):
        leg = replace(leg, settled=None, settled_stage=None, settled_by=None, retracted=leg.settled)
    return leg


def _bounds(state: Swap, leg: Leg) -> Bounds:
    return state.schedule.a if leg.terms.chain == state.offer.a.chain else state.schedule.b


def _stale_after(state: Swap, chain: ChainId) -> int:
    same = chain == state.offer.a.chain
    return state.schedule.stale_a if same else state.schedule.stale_b


def _final_by(state: Swap, bounds: Bounds, first_seen: int) -> int:
    return first_seen + bounds.finality + state.schedule.gateway.reaction + 1


def _due(state: Swap, moment: int, chain: ChainId | None, at: At) -> bool:
    if at.clock < moment:
        return False
    if chain is None:
        return True
    view = at.view(chain)
    return view is not None and view.head.time + _stale_after(state, chain) >= moment


def _watches(state: Swap) -> list[_Watch]:
    """Every step asks for them and mostly there are none or one, hence one list and no iterators
    within iterators."""
    found: list[_Watch] = []
    if state.ended or state.a is None or state.b is None:
        return found
    _finality(found, state, "a", state.a, state.schedule.a)
    _finality(found, state, "b", state.b, state.schedule.b)
    if state.role is Role.INITIATOR:
        _inclusion(found, state, "a", state.a, "b", state.b)
        _deadline(found, state, "b", state.b)
    else:
        _inclusion(found, state, "b", state.b, "a", state.a)
        _deadline(found, state, "a", state.a)
    return found


def _finality(found: list[_Watch], state: Swap, name: str, leg: Leg, bounds: Bounds) -> None:
    if leg.opened_at and not leg.open_final:
        found.append(_not_final(state, name, leg, bounds, "lock", leg.opened_at))
    settlement = leg.settled or leg.retracted
    if settlement is not None and not leg.settled_final:
        found.append(_not_final(state, name, leg, bounds, settlement.value, leg.settled_at))


def _not_final(
    state: Swap, name: str, leg: Leg, bounds: Bounds, what: str, first_seen: int
) -> _Watch:
    chain = leg.terms.chain

    def breach() -> Breach:
        return Breach(
            AlertKind(f"bound:finality:{name}:{what}"),
            f"a {what} on {chain} is not final within its bound (F {bounds.finality} s)",
        )

    return _final_by(state, bounds, first_seen), chain, breach


def _inclusion(
    found: list[_Watch], state: Swap, own_name: str, own: Leg, their_name: str, their: Leg
) -> None:
    """What we asked of a chain and have not seen there."""
    if len(state.asked) == len(state.closed):
        return  # Most of the time: all that was asked for is done.
    asked = state.waiting_since(Kind.LOCK)
    if asked is not None and own.opened_at == 0:
        found.append(_not_included(state, own_name, own, Kind.LOCK, asked))
    asked = state.waiting_since(Kind.CLAIM) if state.phase in _PURSUING else None
    if asked is not None and their.settled is None and their.retracted is not Settlement.CLAIMED:
        found.append(_not_included(state, their_name, their, Kind.CLAIM, asked))
    asked = state.waiting_since(Kind.REFUND)
    if asked is not None and own.settled is None and own.retracted is not Settlement.REFUNDED:
        found.append(_not_included(state, own_name, own, Kind.REFUND, asked))


_PURSUING = frozenset({Phase.CLAIMING, Phase.REVEALING})


def _not_included(state: Swap, name: str, leg: Leg, kind: Kind, asked: int) -> _Watch:
    chain, reaction = leg.terms.chain, state.schedule.gateway.reaction
    bounds = state.schedule.a if name == "a" else state.schedule.b

    def breach() -> Breach:
        return Breach(
            AlertKind(f"bound:inclusion:{name}:{kind}"),
            f"our {kind} on {chain} is not in a block within its bound "
            f"(I {bounds.inclusion} s, R {reaction} s)",
        )

    return asked + reaction + bounds.inclusion + 1, chain, breach


def _deadline(found: list[_Watch], state: Swap, name: str, their: Leg) -> None:
    revealed = state.phase is Phase.REVEALING or (
        state.phase is Phase.CLAIMING and state.preimage is not None
    )
    if not revealed or their.settled_as(Settlement.CLAIMED):
        return

    def breach() -> Breach:
        return Breach(
            AlertKind(f"deadline:claim:{name}"),
            f"the deadline on {their.terms.chain} has come and our claim is not final: "
            "the asset is at risk",
        )

    found.append((their.terms.deadline, None, breach))


def _clock(
    found: list[Breach], name: str, chain: ChainId, bounds: Bounds, stale: int, at: At
) -> None:
    view = at.view(chain)
    if view is None:
        return
    ahead = view.head.time - at.clock
    if ahead > bounds.clock:
        text = (
            f"the time of {chain} is {ahead} s ahead of this gateway's clock "
            f"(bound ε {bounds.clock} s)"
        )
        found.append(Breach(AlertKind(f"bound:clock:{name}"), text))
    if -ahead > stale:
        text = (
            f"the newest head of {chain} is {-ahead} s behind this gateway's clock "
            f"(stale after {stale} s)"
        )
        found.append(Breach(AlertKind(f"bound:stale:{name}"), text))
    if view.frozen is not None:
        found.append(Breach(AlertKind(f"bound:frozen:{name}"), f"{chain}: {view.frozen}"))


def _late(found: list[Breach], name: str, leg: Leg, bounds: Bounds, gateway: GatewayBounds) -> None:
    """A claim that was first seen later after the deadline than the chain's bounds allow."""
    late = leg.settled_at - leg.terms.deadline
    allowed = bounds.late + bounds.clock + bounds.finality + gateway.reaction
    if late > allowed + gateway.outage:
        text = (
            f"a claim on {leg.terms.chain} came {late} s after its deadline "
            f"(bound L {bounds.late} s)"
        )
        found.append(Breach(AlertKind(f"bound:late:{name}"), text))
