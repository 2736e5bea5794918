"""Whole swaps: two gateways with the real engine, executor and watchers, over two chains.

A gateway that dies is a process whose tasks end where they stand; its journal is the only thing
that outlives it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from adapters.model import AccountId, ChainId, Head, LockState
from adapters.simulated.accounts import named_credential
from adapters.simulated.adapter import SimulatedAdapter
from adapters.spi import Adapter
from relayers.backoff import Backoff
from relayers.journal.memory import Boundary
from relayers.journal.port import Journal
from relayers.journal.sqlite import SqliteJournal
from relayers.post import Post
from relayers.protocol.facts import Fact
from relayers.protocol.offer import Offer
from relayers.protocol.state import Phase, Swap
from relayers.protocol.swap import step
from relayers.tower_state import TowerState
from relayers.watchtower import Watchtower
from tests.relayers.virtual_time import clock, run
from tests.relayers.world import A, Gateway, World, ended, until

DONE = {"alice": (990, 1010), "bob": (1010, 990)}
NOTHING = {"alice": (1000, 1000), "bob": (1000, 1000)}


async def start(world: World) -> Offer:
    await world.alice.start()
    await world.bob.start()
    offer = await world.offer()
    await world.make(offer)
    return offer


async def phases(world: World, offer: Offer) -> tuple[Phase, Phase]:
    alice = await ended(world.alice, offer.hashlock)
    bob = await ended(world.bob, offer.hashlock)
    return alice.phase, bob.phase


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("depth", [0, 2])
def test_a_happy_swap_pays_both(late: bool, depth: int) -> None:
    async def main() -> None:
        world = World(depth=depth, late=late)
        offer = await start(world)
        assert await phases(world, offer) == (Phase.COMPLETED, Phase.COMPLETED)
        assert world.balances() == DONE
        assert world.alice.engine.intents() == world.bob.engine.intents() == ()
        for gateway in (world.alice, world.bob):
            state: Swap | None = None
            for taken in await gateway.engine.history(offer.hashlock):
                state = step(state, Fact(taken.body, taken.at)).state
            assert state == gateway.engine.swap(offer.hashlock)
        await world.close()

    run(main())


def test_many_swaps_at_once() -> None:
    async def main() -> None:
        world = World()
        await world.alice.start()
        await world.bob.start()
        offers = [await world.offer(number, amount=number + 1) for number in range(8)]
        for offer in offers:
            await world.make(offer)
        for offer in offers:
            assert await phases(world, offer) == (Phase.COMPLETED, Phase.COMPLETED)
        assert world.balances() == {"alice": (964, 1036), "bob": (1036, 964)}
        await world.close()

    run(main())


def test_a_responder_that_never_locks_costs_the_initiator_nothing() -> None:
    async def main() -> None:
        world = World()
        offer = await start(world)
        await until(lambda: phase_of(world.bob, offer) is Phase.ACCEPTED)
        await until(lambda: phase_of(world.alice, offer) is Phase.LOCKING)
        await world.bob.stop()
        assert (await ended(world.alice, offer.hashlock)).phase is Phase.REFUNDED
        assert world.balances() == NOTHING
        await world.close()

    run(main())


def test_an_initiator_that_never_reveals_leaves_both_refunded() -> None:
    async def main() -> None:
        world = World()
        offer = await start(world)
        await until(lambda: phase_of(world.bob, offer) is Phase.LOCKING)
        await world.alice.stop()
        assert (await ended(world.bob, offer.hashlock)).phase is Phase.REFUNDED
        await world.alice.start()
        assert (await ended(world.alice, offer.hashlock)).phase is Phase.REFUNDED
        assert world.balances() == NOTHING
        await world.close()

    run(main())


class Died(Exception):
    """The process ended here."""


class DieAt:
    """Dies at the n-th time that a boundary of the journal is come to, over all its runs once."""

    def __init__(self, nth: int, victim: Gateway | None = None) -> None:
        self.left = nth
        self.seen = 0
        self._victim = victim

    def __call__(self, boundary: Boundary) -> None:
        self.seen += 1
        self.left -= 1
        if self.left == 0 and self._victim is not None:
            self._victim.die()
            raise Died(boundary)


def crossings(side: str) -> int:
    """How many boundaries one side of a happy swap comes to."""
    counter = DieAt(0)

    async def main() -> None:
        world = World()
        (world.alice if side == "alice" else world.bob).crash = counter
        offer = await start(world)
        await phases(world, offer)
        await world.close()

    run(main())
    return counter.seen


@pytest.mark.parametrize("side", ["alice", "bob"])
def test_a_death_at_any_write_of_the_journal_changes_no_end(side: str) -> None:
    total = crossings(side)
    assert total > 40
    for nth in range(1, total + 1):

        async def main(nth: int = nth) -> None:
            world = World()
            victim = world.alice if side == "alice" else world.bob
            victim.crash = DieAt(nth, victim)
            await world.alice.start()
            await world.bob.start()
            offer = await world.offer()
            keeper = world.keep_alive(victim)
            await world.insist(offer)
            assert await phases(world, offer) == (Phase.COMPLETED, Phase.COMPLETED), nth
            assert world.balances() == DONE, nth
            keeper.cancel()
            await world.close()

        run(main())


def test_a_swap_over_sqlite_with_a_restart_in_the_middle(tmp_path: Path) -> None:
    async def main() -> None:
        world = World()
        for gateway in (world.alice, world.bob):

            async def open_journal(name: str = gateway.name) -> Journal:
                return await SqliteJournal.open(tmp_path / f"{name}.db", name)

            gateway.make_journal = open_journal
        offer = await start(world)
        await until(lambda: phase_of(world.alice, offer) is Phase.LOCKED)
        before = world.alice.engine.swap(offer.hashlock)
        await world.alice.stop()
        await world.alice.start()
        assert world.alice.engine.swap(offer.hashlock) == before
        assert await phases(world, offer) == (Phase.COMPLETED, Phase.COMPLETED)
        assert world.balances() == DONE
        await world.close()

    run(main(), patience=0.02)


def test_a_reorg_while_a_gateway_is_down_leaves_no_ghost() -> None:
    """Alice's lock is seen pending; while she is down a reorg takes it out for good."""

    async def main() -> None:
        world = World()
        offer = await start(world)
        lock = lambda: world.alice.engine.swap(offer.hashlock)  # noqa: E731
        await until(lambda: (swap := lock()) is not None and swap.a is not None and swap.a.opened)
        await world.alice.stop()
        await world.bob.stop()
        chain = world.chains[offer.a.chain]
        chain.reorg(1, loses=lambda _: True)
        await world.alice.start()
        await until(
            lambda: (swap := lock()) is not None and swap.a is not None and swap.a.opened is None
        )
        assert (await ended(world.alice, offer.hashlock)).phase in (Phase.FAILED, Phase.REFUNDED)
        assert world.balances()["alice"] == (1000, 1000)
        await world.close()

    run(main())


def test_a_tower_finishes_the_claim_of_a_dead_responder_and_survives_itself(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        world = World()
        offer = await start(world)
        state = TowerState(tmp_path / "tower.json")
        first, task = await watch(world, state)
        await until(lambda: phase_of(world.bob, offer) is Phase.LOCKED)
        await world.bob.stop()
        assert len(first.tower.locks) == 2
        task.cancel()
        again, task = await watch(world, state)
        assert again.tower.locks == first.tower.locks
        assert (await ended(world.alice, offer.hashlock)).phase is Phase.COMPLETED
        assert world.balances() == DONE
        task.cancel()
        await world.close()

    run(main())


def test_a_tower_refunds_what_is_overdue_for_those_it_serves(tmp_path: Path) -> None:
    async def main() -> None:
        world = World()
        offer = await start(world)
        await until(lambda: phase_of(world.bob, offer) is Phase.LOCKING)
        bob = named_credential(offer.b.chain, "bob").account
        tower, task = await watch(world, TowerState(tmp_path / "tower.json"), {bob})
        await until(lambda: len(tower.tower.locks) == 1)
        await world.alice.stop()
        await world.bob.stop()
        await until(lambda: not tower.tower.locks)
        # Bob's lock is back; Alice's, which is not served, waits for her.
        assert world.balances() == {"alice": (990, 1000), "bob": (1000, 1000)}
        swap = world.alice.store.swaps[offer.hashlock]
        assert swap.a is not None
        record = await world.alice.views[offer.a.chain].lookup(swap.a.lock_id)
        assert record.state is LockState.OPEN
        task.cancel()
        await world.close()

    run(main())


class _FailedOver:
    """A node that is behind answers what is asked; another one, up to date, streams the events.
    The chain's time moves on without blocks, so the node that is behind shows today's."""

    def __init__(self, behind: SimulatedAdapter, fresh: SimulatedAdapter) -> None:
        self._behind = behind
        self._fresh = fresh

    async def head(self) -> Head:
        return replace(await self._behind.head(), time=(await self._fresh.head()).time)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fresh if name == "events" else self._behind, name)


def test_a_node_that_is_behind_does_not_make_a_tower_forget_a_lock(tmp_path: Path) -> None:
    async def main() -> None:
        world = World()
        behind = world.bob.views[A]
        offer = await start(world)
        await until(lambda: phase_of(world.bob, offer) is Phase.LOCKING)
        await world.alice.stop()
        await world.bob.stop()
        tower, task = await watch(
            world,
            TowerState(tmp_path / "tower.json"),
            adapters={A: cast(Adapter, _FailedOver(behind, world.alice.views[A]))},
        )
        await until(lambda: any(lock.terms.chain == A for lock in tower.tower.locks.values()))
        (lock,) = (lock for lock in tower.tower.locks.values() if lock.terms.chain == A)
        # Past the deadline it still shows the block before the lock's.
        behind.freeze(lock.opened_at - 1)
        await asyncio.sleep(offer.a.deadline - clock() + 60)
        assert lock.lock_id in tower.tower.locks
        assert world.balances()["alice"] == (990, 1000)
        behind.thaw()
        await until(lambda: not tower.tower.locks)
        assert world.balances() == NOTHING
        task.cancel()
        await world.close()

    run(main())


async def watch(
    world: World,
    state: TowerState,
    serves: Iterable[AccountId] = (),
    adapters: Mapping[ChainId, Adapter] | None = None,
) -> tuple[Watchtower, asyncio.Task[None]]:
    posts = {
        chain: Post(adapter, named_credential(chain, "tower"))
        for chain, adapter in (world.alice.views | dict(adapters or {})).items()
    }
    tower = Watchtower(posts, state, clock, Backoff(lambda: 0.5), serves=frozenset(serves))
    return tower, asyncio.create_task(tower.run())


def phase_of(gateway: Gateway, offer: Offer) -> Phase | None:
    swap = gateway.engine.swap(offer.hashlock)
    return swap.phase if swap is not None else None
