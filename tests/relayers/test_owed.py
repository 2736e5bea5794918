"""A chain whose ended locks owe: an end is final only once what the lock held was collected.

Fabric's token locks are so. The chain here says it of every lock, and collecting fails as often as
somebody stands in its way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from adapters.model import (
    Action,
    Collect,
    Cursor,
    LockId,
    LockOpened,
    LockRecord,
    LockState,
    Notice,
    Observation,
    Stage,
    Submission,
)
from adapters.simulated.adapter import SimulatedAdapter
from adapters.spi import Credential, NotSent, Rejected, RejectionReason
from relayers.protocol.state import Phase, Settlement
from tests.relayers.virtual_time import run
from tests.relayers.world import BOUNDS, STALE, A, B, Gateway, World, ended, until

SETTLED = (LockState.CLAIMED, LockState.REFUNDED)


class Dues:
    """Of one chain: which locks were collected, and how often that is still to fail."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.collected: dict[LockId, asyncio.Event] = {}

    def paid(self, lock_id: LockId) -> asyncio.Event:
        return self.collected.setdefault(lock_id, asyncio.Event())


class OwingAdapter(SimulatedAdapter):
    def __init__(self, dues: Dues, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._dues = dues
        self._kept: list[Observation] = []
        """Ends to be told as final once they are paid; a restart of the gateway changes nothing."""

    async def lookup(self, lock_id: LockId) -> LockRecord:
        record = await super().lookup(lock_id)
        if record.state in SETTLED and not self._dues.paid(lock_id).is_set():
            return replace(record, final=False, owed=True)
        return record

    async def submit(self, action: Action, credential: Credential) -> Submission:
        if not isinstance(action, Collect):
            return await super().submit(action, credential)
        if not (await self.lookup(action.lock_id)).owed:
            raise Rejected("nothing is owed", RejectionReason.LOCK_SETTLED)
        if self._dues.failures > 0:
            self._dues.failures -= 1
            raise NotSent("a conflict of versions")
        self._dues.paid(action.lock_id).set()
        return Submission("collected")

    async def events(self, cursor: Cursor | None) -> AsyncIterator[Notice]:
        async for notice in super().events(cursor):
            told = []
            for one in (*notice.observations, *self._kept):
                held = one.stage is Stage.FINAL and not isinstance(one.event, LockOpened)
                if held and not self._dues.paid(one.event.lock_id).is_set():
                    if one not in self._kept:
                        self._kept.append(one)
                        told.append(replace(one, stage=Stage.PENDING))
                else:
                    told.append(one)
            self._kept = [one for one in self._kept if one not in told]
            yield replace(notice, observations=tuple(told))


def owing(world: World, failures: int = 0) -> dict[Any, Dues]:
    """Makes both chains such ones, for both gateways."""
    dues = {chain: Dues(failures) for chain in (A, B)}
    for gateway in (world.alice, world.bob):
        for chain in (A, B):
            gateway.views[chain] = OwingAdapter(
                dues[chain],
                world.chains[chain],
                bounds=BOUNDS,
                name=f"{gateway.name}:{chain}",
                stale_after=STALE,
            )
    return dues


async def start(world: World) -> Any:
    await world.alice.start()
    await world.bob.start()
    offer = await world.offer()
    await world.make(offer)
    return offer


@pytest.mark.parametrize("failures", [0, 3])
def test_both_sides_collect_what_they_claimed_however_often_it_fails(failures: int) -> None:
    async def main() -> None:
        world = World()
        dues = owing(world, failures)
        offer = await start(world)
        for gateway in (world.alice, world.bob):
            assert (await ended(gateway, offer.hashlock)).phase is Phase.COMPLETED
        for chain in (A, B):
            assert [due.is_set() for due in dues[chain].collected.values()] == [True]
            assert dues[chain].failures == 0
        await world.close()

    run(main())


def test_a_refund_is_collected_too() -> None:
    async def main() -> None:
        world = World()
        dues = owing(world)
        offer = await start(world)
        await until(lambda: world.chains[A].escrowed(offer.a.asset) > 0)
        await world.bob.stop()
        assert (await ended(world.alice, offer.hashlock)).phase is Phase.REFUNDED
        assert [due.is_set() for due in dues[A].collected.values()] == [True]
        await world.close()

    run(main())


def test_a_claim_that_nobody_can_collect_stays_one_and_is_told_of() -> None:
    """Past the deadlines, and through a restart: it is neither refunded nor called lost."""

    async def main() -> None:
        world = World()
        dues = owing(world, 10**9)
        offer = await start(world)
        await until(lambda: _settled(world.bob, offer.hashlock))
        bob = world.bob.engine.swap(offer.hashlock)
        assert bob is not None
        assert bob.a is not None
        deadline = bob.a.terms.deadline
        await until(lambda: world.chains[A].time > deadline + 60)
        for gateway in (world.alice, world.bob):
            await gateway.stop()
            await gateway.start()
            swap = gateway.engine.swap(offer.hashlock)
            assert swap is not None
            assert not swap.ended, swap.phase
            assert any(kind.startswith("bound:finality:") for kind in swap.alerted)
        for due in dues.values():
            due.failures = 0
        for gateway in (world.alice, world.bob):
            assert (await ended(gateway, offer.hashlock)).phase is Phase.COMPLETED
        await world.close()

    run(main())


def _settled(gateway: Gateway, key: Any) -> bool:
    swap = gateway.engine.swap(key)
    return swap is not None and swap.a is not None and swap.a.settled is Settlement.CLAIMED
