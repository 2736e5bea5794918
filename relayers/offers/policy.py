"""When an offer of a peer is accepted without asking anybody: a pure decision with its reasons.

Prices are rational numbers in smallest units: what is got (leg A) per unit of what is given (leg
B). No rounding takes place: the price of an offer is the fraction of its two amounts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from adapters.model import AssetId
from relayers.protocol.intents import Kind
from relayers.protocol.offer import Offer
from relayers.protocol.state import Phase, Role, Swap

DAY = 86_400
"""Seconds. The daily limit looks back this far from now; it is no calendar day."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One pair of assets that may be exchanged without asking.

    ``price_min`` and ``price_max`` bound got ÷ given, both inclusive (None: no upper bound).
    ``least``, ``per_swap`` and ``per_day`` bound what is given, in its smallest units: each swap
    costs its fees, and a place among those with this peer, however small it is.
    """

    get: AssetId
    give: AssetId
    price_min: Fraction
    price_max: Fraction | None
    least: int
    per_swap: int
    per_day: int


class Otherwise(StrEnum):
    """What becomes of an offer that no rule accepts."""

    ASK = "ask"
    DECLINE = "decline"


@dataclass(frozen=True, slots=True)
class Policy:
    """``min_time``: seconds that must be left until leg B's deadline. ``max_time``: the most
    seconds for which an asset may be locked on leg B."""

    rules: tuple[Rule, ...]
    min_time: int
    max_time: int
    otherwise: Otherwise = Otherwise.ASK


@dataclass(frozen=True, slots=True)
class Decision:
    """Accept, or not, and then why: one sentence per reason."""

    accept: bool
    reasons: tuple[str, ...] = ()


def decide(policy: Policy, offer: Offer, given: Mapping[AssetId, int], at: int) -> Decision:
    """Whether this offer is accepted without asking.

    ``given``: what this peer was given within the last day (`given_within_day`), in smallest
    units. ``at``: now, in Unix seconds.
    """
    rule = next(
        (r for r in policy.rules if r.get == offer.a.asset and r.give == offer.b.asset), None
    )
    if rule is None:
        return Decision(False, (f"no rule exchanges {offer.b.asset} for {offer.a.asset}",))
    reasons: list[str] = []
    price = Fraction(offer.a.amount, offer.b.amount)
    if price < rule.price_min:
        reasons.append(f"the price {price} is below the least allowed, {rule.price_min}")
    if rule.price_max is not None and price > rule.price_max:
        # A price too good is a mistake, or a trap: a person shall look at it.
        reasons.append(f"the price {price} is above the most allowed, {rule.price_max}")
    if offer.b.amount < rule.least:
        reasons.append(
            f"{offer.b.amount} of {offer.b.asset} is below the least per swap, {rule.least}"
        )
    if offer.b.amount > rule.per_swap:
        reasons.append(
            f"{offer.b.amount} of {offer.b.asset} is above the limit per swap, {rule.per_swap}"
        )
    today = given.get(offer.b.asset, 0) + offer.b.amount
    if today > rule.per_day:
        reasons.append(
            f"{today} of {offer.b.asset} within a day is above the limit, {rule.per_day}"
        )
    left = offer.b.deadline - at
    if left < policy.min_time:
        reasons.append(f"{left} s are left until leg B's deadline; {policy.min_time} are asked for")
    if left > policy.max_time:
        reasons.append(f"leg B would be locked for {left} s; at most {policy.max_time} are allowed")
    return Decision(not reasons, tuple(reasons))


_GAVE_NOTHING = frozenset({Phase.RECEIVED, Phase.DECLINED, Phase.EXPIRED, Phase.REFUNDED})


def _gave_nothing(swap: Swap) -> bool:
    """Nothing of ours is locked, nor can be any more. A swap that failed may have left a lock on
    its way: it counts until the chain, asked after the deadline, says that it is not there."""
    if swap.phase is Phase.FAILED:
        never_asked = swap.asked_at(Kind.LOCK) is None
        return never_asked or (swap.own is not None and swap.own.missed)
    return swap.phase in _GAVE_NOTHING


def given_within_day(swaps: Iterable[Swap], peer: bytes, at: int) -> Mapping[AssetId, int]:
    """What was given to a peer within the last day, or still may be, by asset.

    The day runs from the asking for our lock: an offer may have waited for days before it was
    accepted, and an accepted one may wait for the peer's lock. It is summed over the snapshots in
    the journal, so that a restart forgets nothing.
    """
    given: dict[AssetId, int] = {}
    for swap in swaps:
        if (
            swap.role is Role.RESPONDER
            and swap.offer.initiator == peer
            and not _gave_nothing(swap)
            and ((locked := swap.asked_at(Kind.LOCK)) is None or locked > at - DAY)
        ):
            leg = swap.offer.b
            given[leg.asset] = given.get(leg.asset, 0) + leg.amount
    return given
