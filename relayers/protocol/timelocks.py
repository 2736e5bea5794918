"""Timelock arithmetic: every rule about deadlines stands here and nowhere else.

Two chains, A (the initiator locks until t1) and B (the responder locks until t2). Per chain: I
inclusion, F finality, ε clock, L late (`adapters.model.Bounds`). Per gateway: R reaction, O outage.
All in whole seconds. Every inequality is strict: equalities are refused.

Why t1 must lie behind t2 by `gap`: a claim on B may be included up to t2 of B's clock (ε_B),
become final F_B later, and land up to L_B after the deadline; the responder may then be down for O,
needs R to react, and its claim on A needs I_A and F_A before t1 of A's clock (ε_A).
"""

from __future__ import annotations

from collections.abc import Iterable

from adapters.model import Bounds, Head, InvalidValue
from adapters.values import dataclass


@dataclass(frozen=True, slots=True)
class GatewayBounds:
    """What a gateway demands of itself, in seconds: R to react, O to be down at most."""

    reaction: int
    outage: int

    def __post_init__(self) -> None:
        for name in ("reaction", "outage"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise InvalidValue(f"bound {name} must be a whole number of seconds, 0 or more")


@dataclass(frozen=True, slots=True)
class Schedule:
    """The bounds under which one side judges one swap, fixed when the swap begins.

    ``stale_a`` and ``stale_b`` are the seconds after which a head that lags is stale.
    """

    a: Bounds
    b: Bounds
    gateway: GatewayBounds
    stale_a: int
    stale_b: int


def now(clock: int, heads: Iterable[Head]) -> int:
    """The latest time that anything claims: the gateway's clock, or a head that is ahead of it."""
    return max([clock, *[head.time for head in heads]])


def gap(s: Schedule) -> int:
    """t1 − t2 must be greater than this."""
    return (
        s.b.clock
        + s.b.finality
        + s.b.late
        + s.gateway.outage
        + s.gateway.reaction
        + s.a.inclusion
        + s.a.finality
        + s.a.clock
    )


def at_once_beside_claims(at_once: int) -> int:
    """How many of ``at_once`` submissions of one account (`ChainProfile.at_once`) may be other than
    claims: a quarter, and one where that is none. What was begun may take I; claims cannot wait."""
    return max(1, at_once // 4)


def claims_in_time(claimed_on: Bounds, gateway: GatewayBounds, at_once: int) -> int:
    """How many swaps a gateway may have open with one peer whose locks it claims with one account
    on this chain, ``at_once`` at a time (`ChainProfile.at_once`).

    The peer may let all the secrets out just before t2, and they may be seen only after an outage
    of O. Of `gap` R, I and F are then left. A claim that is begun within R is in a block I later,
    in time; whoever waits for that, as on Fabric, begins the next ones every I: 1 + R // I times in
    each place that nothing but claims can have, and once less where all may be taken at first. One
    swap is always allowed.
    """
    times = 1 + gateway.reaction // max(1, claimed_on.inclusion)
    kept = at_once - at_once_beside_claims(at_once)
    return kept * times if kept else max(1, times - 1)


def _reveal_room(s: Schedule) -> int:
    return s.gateway.outage + s.gateway.reaction + s.b.inclusion + s.b.finality + s.b.clock


def _responder_room(s: Schedule) -> int:
    return (s.b.inclusion + s.b.finality + s.gateway.reaction) + _reveal_room(s)


def _initiator_room(s: Schedule) -> int:
    return (s.a.inclusion + s.a.finality + s.gateway.reaction) + _responder_room(s)


def reveal_limit(s: Schedule, t2: int) -> int:
    """The initiator may begin to reveal only while now < this."""
    return t2 - _reveal_room(s)


def responder_lock_limit(s: Schedule, t2: int) -> int:
    """The responder may lock on B only while now < this."""
    return t2 - _responder_room(s)


def initiator_lock_limit(s: Schedule, t2: int) -> int:
    """The initiator may lock on A only while now < this."""
    return t2 - _initiator_room(s)


def deadlines(s: Schedule, start: int, slack: int) -> tuple[int, int]:
    """The earliest (t1, t2) for an offer that may be taken up until ``start``, with ``slack``
    seconds more than the arithmetic demands at each place."""
    t2 = start + _initiator_room(s) + 1 + slack
    return t2 + gap(s) + 1 + slack, t2


def objection(s: Schedule, t1: int, t2: int, at: int) -> str | None:
    """Why a swap with these deadlines may not begin at time ``at``; None where it may."""
    if t2 <= at:
        return f"deadline t2 ({t2}) is not in the future (it is {at})"
    if not t1 - t2 > gap(s):
        return (
            f"deadline t1 ({t1}) must lie more than {gap(s)} s behind t2 ({t2}), "
            f"but lies {t1 - t2} s behind it"
        )
    limit = initiator_lock_limit(s, t2)
    if not at < limit:
        return (
            f"deadline t2 ({t2}) is too near: the first lock would have to begin before {limit}, "
            f"and it is {at}"
        )
    return None
