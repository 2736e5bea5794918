"""Who uses a signer next: claims before all else, then what is due soonest."""

from __future__ import annotations

import asyncio

import pytest

from adapters.model import Hashlock, LockId, LockRecord
from adapters.simulated.adapter import SimulatedAdapter
from relayers.protocol.intents import Intent, SeenSecret, SubmitClaim, SubmitRefund
from relayers.signer_turns import SignerTurns, Urgency
from tests.relayers.virtual_time import clock, run
from tests.relayers.world import A, World, until


def test_a_claim_goes_before_refunds_that_came_first(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []
    lookup = SimulatedAdapter.lookup

    async def slow(adapter: SimulatedAdapter, lock_id: LockId) -> LockRecord:
        asked.append(bytes(lock_id))
        await asyncio.sleep(1)
        return await lookup(adapter, lock_id)

    async def main() -> None:
        world = World()
        await world.alice.start()
        assert world.alice.process is not None
        executor = world.alice.process.executor
        await asyncio.sleep(1)

        def key(number: int) -> bytes:
            return number.to_bytes(32, "big")

        now = int(clock())
        refunds: list[Intent] = [
            SubmitRefund(f"{key(n).hex()}:refund", A, LockId(key(n)), now + 1_000 - n)
            for n in range(1, 5)
        ]
        claim = SubmitClaim(
            f"{key(9).hex()}:claim", A, LockId(key(9)), Hashlock(key(9)), SeenSecret()
        )
        for intent in [*refunds, claim]:
            executor.opened(intent)
        await until(lambda: len(asked) >= 5)
        # The first had the signer already when the others came.
        assert asked[:5] == [key(1), key(9), key(4), key(3), key(2)]
        await world.close()

    monkeypatch.setattr(SimulatedAdapter, "lookup", slow)
    run(main())


async def test_a_cancelled_wait_leaves_the_turn_to_the_next() -> None:
    turns = SignerTurns()
    order: list[str] = []

    async def use(name: str, urgency: Urgency) -> None:
        async with turns.turn(urgency):
            order.append(name)

    async with turns.turn(Urgency(1, 1)):
        first = asyncio.create_task(use("claim", Urgency(0, 1)))
        second = asyncio.create_task(use("refund", Urgency(1, 1)))
        await asyncio.sleep(0)
    # The claim has just been given the turn, and is cancelled before it can take it.
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    async with asyncio.timeout(5):
        await second
        await use("later", Urgency(1, 9))
    assert order == ["refund", "later"]
