"""No more swaps with one peer than could be claimed in time, whoever accepts and whoever makes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from fractions import Fraction

import pytest

from adapters.model import Bounds
from relayers.offers.clerk import PolicyClerk
from relayers.offers.policy import Policy, Rule
from relayers.offers.refusal import OfferRefused, Refusal
from relayers.offers.rules import OfferRules
from relayers.protocol.state import Phase, Swap
from relayers.protocol.timelocks import GatewayBounds, claims_in_time
from tests.relayers.offers.samples import ALICE, BOB, CHAIN_A
from tests.relayers.offers.trading_post import (
    GOLD,
    OIL,
    Ledgers,
    TradingPost,
    request,
    trading_post,
)

TWO = OfferRules(valid_for=60, slack=5, swaps_per_peer=2)
ANY = Policy((Rule(GOLD, OIL, Fraction(1), None, 1, 10**9, 10**9),), 0, 10**6)


@asynccontextmanager
async def alice_and_bob(
    alices: OfferRules | None = None, bobs: OfferRules | None = None
) -> AsyncIterator[tuple[TradingPost, TradingPost]]:
    ledgers = Ledgers()
    async with (
        trading_post(ledgers, ALICE, BOB, rules=alices) as alice,
        trading_post(ledgers, BOB, ALICE, policy=ANY, rules=bobs) as bob,
    ):
        ledgers.pass_time(1)
        yield alice, bob


async def offered(alice: TradingPost, bob: TradingPost) -> Swap:
    made = (await alice.desk.make(request())).swap
    return await bob.intake.offer(made.offer, made.offer_signature)


def phases(bob: TradingPost) -> list[Phase]:
    return sorted(swap.phase for swap in bob.engine.swaps())


async def test_a_hand_is_told_why_it_cannot_accept_one_more() -> None:
    async with alice_and_bob(bobs=TWO) as (alice, bob):
        first, second, third = [await offered(alice, bob) for _ in range(3)]
        await bob.desk.accept(first.hashlock)
        await bob.desk.accept(second.hashlock)
        with pytest.raises(OfferRefused, match="no more than 2 may be") as refused:
            await bob.desk.accept(third.hashlock)
        assert refused.value.code is Refusal.TOO_MANY_SWAPS
        swap = bob.engine.swap(third.hashlock)
        assert swap is not None
        assert swap.phase is Phase.RECEIVED


async def test_hands_that_accept_at_the_same_time_accept_no_more() -> None:
    async with alice_and_bob(bobs=TWO) as (alice, bob):
        swaps = [await offered(alice, bob) for _ in range(5)]
        came = await asyncio.gather(
            *(bob.desk.accept(swap.hashlock) for swap in swaps), return_exceptions=True
        )
        assert sum(isinstance(one, Swap) for one in came) == 2
        refused = [one.code for one in came if isinstance(one, OfferRefused)]
        assert refused == [Refusal.TOO_MANY_SWAPS] * 3


async def test_a_policy_goes_on_once_a_swap_has_ended() -> None:
    async with alice_and_bob(bobs=TWO) as (alice, bob):
        for _ in range(4):
            await offered(alice, bob)
        told: list[str] = []
        clerk = PolicyClerk(
            bob.dealing, bob.desk, bob.received, lambda _, what, __: told.append(what)
        )
        await clerk.decide_all()
        await clerk.decide_all()
        assert told == ["accepted", "accepted"]
        assert phases(bob).count(Phase.RECEIVED) == 2
        # As if one of them had ended.
        ended = next(swap for swap in bob.engine.swaps() if swap.phase is not Phase.RECEIVED)
        bob.engine._swaps[ended.hashlock] = replace(ended, phase=Phase.COMPLETED)
        await clerk.decide_all()
        assert told == ["accepted"] * 3


async def test_no_more_offers_are_made_than_could_be_claimed_if_they_were_taken_up() -> None:
    async with alice_and_bob(alices=TWO) as (alice, _):
        await alice.desk.make(request())
        again = bytes(31) + b"\x07"
        await alice.desk.make(request(), again)
        with pytest.raises(OfferRefused) as refused:
            await alice.desk.make(request())
        assert refused.value.code is Refusal.TOO_MANY_SWAPS
        # A second try of what was made is told that it was made.
        with pytest.raises(OfferRefused) as refused:
            await alice.desk.make(request(), again)
        assert refused.value.code is Refusal.HASHLOCK_SEEN


async def test_without_a_rule_the_time_between_the_deadlines_bounds_it() -> None:
    async with alice_and_bob() as (alice, bob):
        adapter = bob.adapters[CHAIN_A]
        adapter.profile = replace(adapter.profile, at_once=3)
        # R and I are 2 s: two places for claims alone, taken at 0 s and at 2 s.
        swaps = [await offered(alice, bob) for _ in range(5)]
        for swap in swaps[:4]:
            await bob.desk.accept(swap.hashlock)
        with pytest.raises(OfferRefused, match="no more than 4 may be"):
            await bob.desk.accept(swaps[4].hashlock)


@pytest.mark.parametrize(
    ("inclusion", "reaction", "at_once", "claims"),
    [
        (4, 0, 1, 1),
        (4, 7, 1, 1),
        (4, 8, 1, 2),
        (4, 0, 2, 1),
        (4, 11, 4, 9),
        (0, 5, 2, 6),
        (0, 0, 16, 12),
    ],
)
def test_so_many_claims_are_begun_within_the_reaction_time(
    inclusion: int, reaction: int, at_once: int, claims: int
) -> None:
    bounds = Bounds(inclusion, finality=6, clock=2)
    assert claims_in_time(bounds, GatewayBounds(reaction, 60), at_once) == claims
