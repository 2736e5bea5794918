"""Broken bounds: what a chain or this gateway promised and did not keep, told at once.

The arithmetic of timelocks is only as good as the bounds that it is fed. Where one breaks, an asset
may be at risk, so each breach becomes an alert, once per swap and kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from adapters.model import Bounds, Stage
from relayers.protocol.facts import At
from relayers.protocol.intents import Kind
from relayers.protocol.state import Leg, Phase, Settlement, Swap


@dataclass(frozen=True, slots=True)
class Breach:
    kind: str
    """``bound:<which>:<leg>``; stable, for alert rules."""
    text: str


@dataclass(frozen=True, slots=True)
class _Watch:
    """A breach that is there if nothing has changed until ``at`` (the gateway's clock)."""

    at: int
    breach: Breach


def breaches(state: Swap, at: At) -> Iterator[Breach]:
    """The breaches that show at this moment and were not alerted before."""
    for breach in (*_clocks(state, at), *_late(state, at)):
        if breach.kind not in state.alerted:
            yield breach
    for watch in _watches(state):
        if at.clock >= watch.at and watch.breach.kind not in state.alerted:
            yield watch.breach


def watch_times(state: Swap) -> Iterator[int]:
    """When to look for a breach again, by the gateway's clock."""
    for watch in _watches(state):
        if watch.breach.kind not in state.alerted:
            yield watch.at


def _watches(state: Swap) -> Iterator[_Watch]:
    if state.ended or state.a is None or state.b is None:
        return
    own, their = state.own, state.their
    assert own is not None
    assert their is not None
    reaction = state.schedule.gateway.reaction
    for name, leg, bounds in (("a", state.a, state.schedule.a), ("b", state.b, state.schedule.b)):
        if leg.opened is Stage.PENDING:
            yield _finality(name, "lock", leg, bounds, leg.opened_at + bounds.finality + reaction)
        if leg.settled is not None and leg.settled_stage is Stage.PENDING:
            end = leg.settled_at + bounds.finality + reaction
            yield _finality(name, leg.settled.value, leg, bounds, end)
    own_name = "a" if own is state.a else "b"
    for kind, leg, absent in (
        (Kind.LOCK, own, own.opened is None),
        (Kind.CLAIM, their, their.settled is None),
        (Kind.REFUND, own, own.settled is None),
    ):
        asked = state.asked_at(kind)
        if asked is None or kind in state.closed or not absent:
            continue
        if kind is Kind.CLAIM and state.phase not in (Phase.CLAIMING, Phase.REVEALING):
            continue
        name = own_name if leg is own else ("b" if own_name == "a" else "a")
        bounds = state.schedule.a if name == "a" else state.schedule.b
        yield _Watch(
            asked + reaction + bounds.inclusion + 1,
            Breach(
                f"bound:inclusion:{name}:{kind}",
                f"our {kind} on {leg.terms.chain} is not in a block within its bound "
                f"(I {bounds.inclusion} s, R {reaction} s)",
            ),
        )
    if state.phase in (Phase.CLAIMING, Phase.REVEALING) and not their.settled_as(
        Settlement.CLAIMED
    ):
        name = "b" if own_name == "a" else "a"
        revealed = state.phase is Phase.REVEALING or state.preimage is not None
        if revealed:
            yield _Watch(
                their.terms.deadline,
                Breach(
                    f"deadline:claim:{name}",
                    f"the deadline on {their.terms.chain} has come and our claim is not final: "
                    "the asset is at risk",
                ),
            )


def _finality(name: str, what: str, leg: Leg, bounds: Bounds, end: int) -> _Watch:
    return _Watch(
        end + 1,
        Breach(
            f"bound:finality:{name}:{what}",
            f"a {what} on {leg.terms.chain} is not final within its bound (F {bounds.finality} s)",
        ),
    )


def _clocks(state: Swap, at: At) -> Iterator[Breach]:
    if state.ended:
        return
    legs = (
        ("a", state.offer.a.chain, state.schedule.a, state.schedule.stale_a),
        ("b", state.offer.b.chain, state.schedule.b, state.schedule.stale_b),
    )
    for name, chain, bounds, stale in legs:
        view = at.view(chain)
        if view is None:
            continue
        ahead = view.head.time - at.clock
        if ahead > bounds.clock:
            yield Breach(
                f"bound:clock:{name}",
                f"the time of {chain} is {ahead} s ahead of this gateway's clock "
                f"(bound ε {bounds.clock} s)",
            )
        if -ahead > stale:
            yield Breach(
                f"bound:stale:{name}",
                f"the newest head of {chain} is {-ahead} s behind this gateway's clock "
                f"(stale after {stale} s)",
            )
        if view.frozen is not None:
            yield Breach(f"bound:frozen:{name}", f"{chain}: {view.frozen}")


def _late(state: Swap, at: At) -> Iterator[Breach]:
    """A claim that was first seen later after the deadline than the chain's bounds allow."""
    for name, leg, bounds in (("a", state.a, state.schedule.a), ("b", state.b, state.schedule.b)):
        if leg is None or leg.settled is not Settlement.CLAIMED:
            continue
        allowed = bounds.late + bounds.clock + bounds.finality + state.schedule.gateway.reaction
        own_outage = state.schedule.gateway.outage
        if leg.settled_at - leg.terms.deadline > allowed + own_outage:
            yield Breach(
                f"bound:late:{name}",
                f"a claim on {leg.terms.chain} came {leg.settled_at - leg.terms.deadline} s after "
                f"its deadline (bound L {bounds.late} s)",
            )
