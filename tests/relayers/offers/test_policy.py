"""The acceptance policy: each bound at its edge, and limits that outlive a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.model import AssetId
from relayers.journal.memory import MemoryStore
from relayers.offers.clerk import PolicyClerk
from relayers.offers.desk import Side
from relayers.offers.policy import DAY, Otherwise, Policy, Rule, decide, given_within_day
from relayers.offers.rules import OfferRules
from relayers.protocol.intents import Kind
from relayers.protocol.offer import Offer
from relayers.protocol.state import Phase, Role, Swap
from tests.relayers.offers.samples import ALICE, BOB, CHAIN_A, CHAIN_B, sample_offer
from tests.relayers.offers.trading_post import (
    GOLD,
    OIL,
    START,
    Ledgers,
    TradingPost,
    request,
    trading_post,
)

RULE = Rule(
    get=GOLD,
    give=OIL,
    price_min=Fraction(3, 2),
    price_max=Fraction(2),
    least=100,
    per_swap=1_000,
    per_day=2_500,
)
POLICY = Policy((RULE,), min_time=100, max_time=1_000)


def offer(get: int = 1_500, give: int = 1_000, deadline: int = 500, **assets: AssetId) -> Offer:
    made = sample_offer()
    return replace(
        made,
        a=replace(made.a, asset=assets.get("get_asset", GOLD), amount=get, deadline=10_000),
        b=replace(made.b, asset=assets.get("give_asset", OIL), amount=give, deadline=deadline),
    )


@pytest.mark.parametrize(
    ("made", "given_before", "reason"),
    [
        (offer(), 0, None),
        (offer(get=1_499), 0, "below the least allowed, 3/2"),
        (offer(get=2_000), 0, None),
        (offer(get=2_001), 0, "above the most allowed, 2"),
        (offer(get=1_502, give=1_001), 0, "above the limit per swap, 1000"),
        (offer(get=150, give=100), 0, None),
        (offer(get=149, give=99), 0, "99 of sim:beta/token:oil is below the least per swap, 100"),
        (offer(), 1_500, None),
        (offer(), 1_501, "within a day is above the limit, 2500"),
        (offer(deadline=100), 0, None),
        (offer(deadline=99), 0, "99 s are left"),
        (offer(deadline=1_000), 0, None),
        (offer(deadline=1_001), 0, "would be locked for 1001 s"),
        (offer(give_asset=AssetId(CHAIN_B, "token", "gas")), 0, "no rule exchanges"),
        (offer(get_asset=AssetId(CHAIN_A, "token", "lead")), 0, "no rule exchanges"),
    ],
)
def test_each_bound_holds_at_its_edge(made: Offer, given_before: int, reason: str | None) -> None:
    decision = decide(POLICY, made, {OIL: given_before}, at=0)
    assert decision.accept is (reason is None), decision
    assert reason is None or any(reason in one for one in decision.reasons)


@given(get=st.integers(1, 2**256 - 1), give=st.integers(1, 2**256 - 1))
def test_prices_are_exact_however_large(get: int, give: int) -> None:
    rule = replace(
        RULE,
        price_min=Fraction(get, give),
        price_max=None,
        least=1,
        per_swap=2**256,
        per_day=2**256,
    )
    policy = replace(POLICY, rules=(rule,))
    assert decide(policy, offer(get=get, give=give), {}, at=0).accept
    if get > 1:
        assert not decide(policy, offer(get=get - 1, give=give), {}, at=0).accept


async def test_the_day_counts_what_was_or_may_yet_be_given() -> None:
    ledgers = Ledgers()
    async with trading_post(ledgers) as alice:
        schedule = (await alice.desk.make(request())).swap.schedule
    asked = ((Kind.LOCK, START),)
    base = Swap(
        Role.RESPONDER, Phase.LOCKING, offer(), b"", schedule, asked=asked, begun=START - 9 * DAY
    )
    peer = base.offer.initiator
    swaps = [
        base,
        replace(base, phase=Phase.COMPLETED),
        replace(base, phase=Phase.LOST),
        replace(base, phase=Phase.RECEIVED),
        replace(base, phase=Phase.DECLINED),
        replace(base, phase=Phase.REFUNDED),
        replace(base, role=Role.INITIATOR),
        replace(base, phase=Phase.COMPLETED, asked=((Kind.LOCK, START - DAY),)),
        replace(base, phase=Phase.ACCEPTED, asked=((Kind.SEND_ACCEPTANCE, START - DAY),)),
        replace(base, offer=replace(offer(), initiator=b"\x09" * 20)),
    ]
    assert given_within_day(swaps, peer, START) == {OIL: 4_000}


async def test_a_lock_that_may_still_be_there_counts_though_its_swap_failed() -> None:
    """A peer whose offers fail one after the other, each with our lock on its way, would freeze
    without limit what we hold."""
    async with alice_and_bob_agreed() as swap:
        peer = swap.offer.initiator
        asked = replace(swap, phase=Phase.FAILED, asked=((Kind.LOCK, START),))
        assert given_within_day([asked], peer, START) == {OIL: swap.offer.b.amount}
        assert asked.b is not None
        missed = asked.with_leg(replace(asked.b, expired=True, missed=True))
        assert given_within_day([missed], peer, START) == {}
        assert given_within_day([replace(asked, asked=())], peer, START) == {}


@asynccontextmanager
async def alice_and_bob_agreed() -> AsyncIterator[Swap]:
    """Bob's swap, once he has accepted alice's offer."""
    ledgers = Ledgers()
    async with trading_post(ledgers) as alice, trading_post(ledgers, BOB, ALICE) as bob:
        made = await alice.desk.make(request())
        await bob.intake.offer(made.swap.offer, made.swap.offer_signature)
        yield await bob.desk.accept(made.swap.hashlock)


# --- the clerk -----------------------------------------------------------------------------------


class Heard:
    """What the clerk told."""

    def __init__(self) -> None:
        self.decisions: list[tuple[str, str]] = []

    def __call__(self, swap: Swap, decision: str, why: str) -> None:
        self.decisions.append((decision, why))


def clerk(post: TradingPost) -> tuple[PolicyClerk, Heard]:
    heard = Heard()
    return PolicyClerk(post.dealing, post.desk, post.received, heard), heard


LONG = replace(POLICY, max_time=100_000)


async def hand_over(alice: TradingPost, bob: TradingPost, **changes: Any) -> Any:
    made = await alice.desk.make(request(**changes))
    await bob.intake.offer(made.swap.offer, made.swap.offer_signature)
    return made.swap.hashlock


def phase(post: TradingPost, hashlock: Any) -> Phase:
    swap = post.engine.swap(hashlock)
    assert swap is not None
    return swap.phase


async def test_the_clerk_accepts_up_to_the_day_s_limit_and_leaves_the_rest() -> None:
    ledgers = Ledgers()
    async with (
        trading_post(ledgers) as alice,
        trading_post(ledgers, BOB, ALICE, policy=LONG) as bob,
    ):
        give, get = Side(GOLD, 1_500), Side(OIL, 1_000)
        offers = [await hand_over(alice, bob, give=give, get=get) for _ in range(3)]
        bobs, heard = clerk(bob)
        await bobs.decide_all()
        phases = sorted(phase(bob, one) for one in offers)
        assert phases == [Phase.ACCEPTED, Phase.ACCEPTED, Phase.RECEIVED]
        assert [decision for decision, _ in heard.decisions] == ["accepted", "accepted", "left"]
        await bobs.decide_all()
        assert len(heard.decisions) == 3, "what was left to a person is not decided again"


async def test_an_offer_that_nobody_tells_the_clerk_of_is_found() -> None:
    """As after a crash: the engine takes it in from the journal, once the clerk has looked."""
    ledgers, untold = Ledgers(), asyncio.Event()
    async with (
        trading_post(ledgers) as alice,
        trading_post(ledgers, BOB, ALICE, policy=LONG) as bob,
    ):
        decided = asyncio.Event()
        bobs = PolicyClerk(bob.dealing, bob.desk, untold, lambda *_: decided.set(), 0.01)
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(bobs.run())
            await asyncio.sleep(0)  # it has begun, and found nothing
            give, get = Side(GOLD, 1_500), Side(OIL, 1_000)
            hashlock = await hand_over(alice, bob, give=give, get=get)
            await decided.wait()
            running.cancel()
        assert phase(bob, hashlock) is Phase.ACCEPTED


async def test_the_limit_is_in_the_journal() -> None:
    ledgers, store = Ledgers(), MemoryStore()
    give, get = Side(GOLD, 1_500), Side(OIL, 1_000)
    async with trading_post(ledgers) as alice:
        for expected in (2, 2):
            async with trading_post(ledgers, BOB, ALICE, policy=LONG, store=store) as bob:
                for _ in range(2):
                    await hand_over(alice, bob, give=give, get=get)
                await clerk(bob)[0].decide_all()
                accepted = [s for s in bob.engine.swaps() if s.phase is Phase.ACCEPTED]
                assert len(accepted) == expected


async def test_offers_that_have_waited_for_days_count_when_they_are_taken_up() -> None:
    ledgers, store = Ledgers(), MemoryStore()
    long = OfferRules(valid_for=3 * DAY, slack=5)
    waits = replace(LONG, max_time=9 * DAY)
    async with trading_post(ledgers, rules=long) as alice:
        async with trading_post(ledgers, BOB, ALICE, store=store) as bob:
            for _ in range(4):
                await hand_over(alice, bob, give=Side(GOLD, 1_500), get=Side(OIL, 1_000))
        ledgers.pass_time(2 * DAY)
        async with trading_post(ledgers, BOB, ALICE, policy=waits, store=store) as bob:
            await clerk(bob)[0].decide_all()
            accepted = [s for s in bob.engine.swaps() if s.phase is Phase.ACCEPTED]
            assert len(accepted) == 2


async def test_an_offer_that_came_before_a_crash_is_decided_after_it() -> None:
    ledgers, store = Ledgers(), MemoryStore()
    async with trading_post(ledgers) as alice:
        async with trading_post(ledgers, BOB, ALICE, policy=LONG, store=store) as bob:
            hashlock = await hand_over(alice, bob, give=Side(GOLD, 600))
        async with trading_post(ledgers, BOB, ALICE, policy=LONG, store=store) as bob:
            await clerk(bob)[0].decide_all()
            assert phase(bob, hashlock) is Phase.ACCEPTED


async def test_what_cannot_be_decided_now_is_tried_again() -> None:
    ledgers = Ledgers()
    async with (
        trading_post(ledgers) as alice,
        trading_post(ledgers, BOB, ALICE, policy=LONG) as bob,
    ):
        hashlock = await hand_over(alice, bob, give=Side(GOLD, 600))
        bob.adapters[CHAIN_A].down = True
        bobs, heard = clerk(bob)
        await bobs.decide_all()
        assert phase(bob, hashlock) is Phase.RECEIVED
        assert heard.decisions == []
        bob.adapters[CHAIN_A].down = False
        await bobs.decide_all()
        assert phase(bob, hashlock) is Phase.ACCEPTED


async def test_a_fault_over_one_offer_leaves_it_to_a_person_and_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledgers = Ledgers()
    async with (
        trading_post(ledgers) as alice,
        trading_post(ledgers, BOB, ALICE, policy=LONG) as bob,
    ):
        offers = [await hand_over(alice, bob, give=Side(GOLD, 600)) for _ in range(2)]
        accept = bob.desk.accept

        async def faulty(hashlock: Any) -> Swap:
            if hashlock == offers[0]:
                raise ZeroDivisionError("with a secret in its text")
            return await accept(hashlock)

        monkeypatch.setattr(bob.desk, "accept", faulty)
        bobs, heard = clerk(bob)
        await bobs.decide_all()
        assert phase(bob, offers[0]) is Phase.RECEIVED
        assert phase(bob, offers[1]) is Phase.ACCEPTED
        assert ("left", "ZeroDivisionError while it was being decided") in heard.decisions


async def test_without_a_policy_every_offer_waits_for_a_person() -> None:
    ledgers = Ledgers()
    async with trading_post(ledgers) as alice, trading_post(ledgers, BOB, ALICE) as bob:
        hashlock = await hand_over(alice, bob)
        await clerk(bob)[0].decide_all()
        assert phase(bob, hashlock) is Phase.RECEIVED


async def test_a_policy_may_decline_the_rest() -> None:
    ledgers = Ledgers()
    policy = replace(LONG, otherwise=Otherwise.DECLINE)
    async with (
        trading_post(ledgers) as alice,
        trading_post(ledgers, BOB, ALICE, policy=policy) as bob,
    ):
        hashlock = await hand_over(alice, bob, give=Side(GOLD, 1))
        bobs, heard = clerk(bob)
        await bobs.decide_all()
        swap = bob.engine.swap(hashlock)
        assert swap is not None
        assert swap.phase is Phase.DECLINED
        assert "3/2" not in swap.reason, "the peer is not told our prices"
        assert "below the least allowed" in heard.decisions[0][1]
