"""How many swaps one signer can serve: what is revealed at once must be claimed in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from adapters.model import Action, Claim, LockState, Submission
from adapters.simulated.accounts import named_credential
from adapters.simulated.adapter import SimulatedAdapter
from adapters.spi import Credential, NotSent
from relayers.protocol.offer import Offer
from relayers.protocol.state import Phase
from relayers.protocol.timelocks import claims_in_time, gap
from relayers.signer_turns import SignerTurns, Urgency
from tests.relayers.commits import Commits
from tests.relayers.virtual_time import clock, run
from tests.relayers.world import (
    ALICE,
    BOUNDS,
    GATEWAY,
    SCHEDULE,
    STALE,
    A,
    B,
    Gateway,
    World,
    until,
)

AT_ONCE = 4
SWAPS = claims_in_time(BOUNDS, GATEWAY, AT_ONCE)


Submit = Callable[[Action, Credential], Coroutine[Any, Any, Submission]]


def without_claims(submit: Submit) -> Submit:
    async def kept_back(action: Action, credential: Credential) -> Submission:
        if isinstance(action, Claim):
            raise NotSent("kept back")
        return await submit(action, credential)

    return kept_back


def keep_secret(gateway: Gateway) -> None:
    """Its operator has another program reveal for it, at a moment of his choice."""
    for view in gateway.views.values():
        view.submit = without_claims(view.submit)  # type: ignore[method-assign,assignment]


def test_many_secrets_that_come_out_at_once_are_all_claimed_within_the_gap() -> None:
    """A heap of dust and one large swap, all revealed just before t2; the responder comes back
    after the longest outage that it demands of itself."""

    async def main() -> None:
        world = World()
        commits = Commits(world.bob.views[A], AT_ONCE)
        keep_secret(world.alice)
        await world.alice.start()
        await world.bob.start()
        offers: list[Offer] = []
        t2 = 0
        for number in range(SWAPS):
            offer = await world.offer(number, amount=100 if number == SWAPS - 1 else 1)
            first = offers[0] if offers else offer
            # All of one t2, with no more between it and t1 than is demanded.
            t2 = first.b.deadline
            offer = replace(
                offer,
                a=replace(offer.a, deadline=t2 + gap(SCHEDULE) + 1),
                b=replace(offer.b, deadline=t2),
                valid_until=first.valid_until,
            )
            offers.append(offer)
            await world.make(offer)

        def locked(offer: Offer) -> bool:
            swap = world.bob.engine.swap(offer.hashlock)
            return swap is not None and swap.phase is Phase.LOCKED

        await until(lambda: all(map(locked, offers)), 200)
        locks_a = [swap.a.lock_id for swap in world.bob.engine.swaps() if swap.a is not None]
        locks_b = {
            swap.hashlock: swap.b.lock_id for swap in world.bob.engine.swaps() if swap.b is not None
        }
        await world.alice.stop()
        await asyncio.sleep(t2 - BOUNDS.inclusion - BOUNDS.clock - clock())
        await world.bob.stop()
        revealer = SimulatedAdapter(world.chains[B], bounds=BOUNDS, name="r", stale_after=STALE)
        for offer in offers:
            preimage = await world.alice.secrets.preimage(offer.salt)
            claim = Claim(locks_b[offer.hashlock], preimage)
            await revealer.submit(claim, named_credential(B, ALICE))
        await asyncio.sleep(t2 + BOUNDS.clock + BOUNDS.finality + GATEWAY.outage - clock())
        await world.bob.start()
        await asyncio.sleep(offers[0].a.deadline - clock())
        records = [await world.bob.views[A].lookup(lock_id) for lock_id in locks_a]
        assert [record.state for record in records] == [LockState.CLAIMED] * SWAPS
        assert commits.most == AT_ONCE
        await world.close()

    run(main())


async def test_sole_turns_follow_each_other_and_take_one_place_at_a_time() -> None:
    turns = SignerTurns(8)
    held: list[str] = []
    done = asyncio.Event()

    async def use(name: str, urgency: Urgency, sole: bool) -> None:
        async with turns.sole_turn(urgency) if sole else turns.turn(urgency):
            held.append(name)
            await done.wait()

    names = (
        ("lock", 1, True),
        ("other lock", 1, True),
        ("refund", 1, False),
        ("other refund", 1, False),
        *(("claim", 0, False),) * 7,
    )
    tasks = [asyncio.create_task(use(name, Urgency(rank, 5), sole)) for name, rank, sole in names]
    for _ in range(5):
        await asyncio.sleep(0)
    # Six places are for claims alone.
    assert held == ["lock", "refund", *["claim"] * 6]
    done.set()
    async with asyncio.timeout(5):
        await asyncio.gather(*tasks)
    assert held[8] == "claim"
    assert sorted(held[9:]) == ["other lock", "other refund"]


async def test_of_equal_deadlines_what_was_locked_longest_goes_first() -> None:
    turns = SignerTurns()
    order: list[str] = []

    async def use(name: str, urgency: Urgency) -> None:
        async with turns.turn(urgency):
            order.append(name)

    async with turns.turn(Urgency(1, 1)):
        waiting = [
            asyncio.create_task(use("young", Urgency(0, 9, 200))),
            asyncio.create_task(use("old", Urgency(0, 9, 100))),
            asyncio.create_task(use("near", Urgency(0, 8, 300))),
        ]
        await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await asyncio.gather(*waiting)
    assert order == ["near", "old", "young"]
