"""A watchtower that is given its chains one after the other."""

from __future__ import annotations

import asyncio
from pathlib import Path

from adapters.model import ChainId
from adapters.simulated.accounts import named_credential
from relayers.backoff import Backoff
from relayers.post import Post
from relayers.protocol.state import Phase
from relayers.tower_state import TowerState
from relayers.watchtower import Watchtower
from tests.relayers.virtual_time import clock, run
from tests.relayers.world import A, B, World, ended, until


def post(world: World, chain: ChainId) -> Post:
    return Post(world.alice.views[chain], named_credential(chain, "tower"))


def test_a_secret_seen_before_a_chain_is_there_opens_the_locks_on_it(tmp_path: Path) -> None:
    """Bob's claim on A is finished by a tower that knew only B when the secret showed there."""

    async def main() -> None:
        world = World()
        await world.alice.start()
        await world.bob.start()
        tower = Watchtower(
            {B: post(world, B)}, TowerState(tmp_path / "tower.json"), clock, Backoff(lambda: 0.5)
        )
        tasks = [asyncio.create_task(tower.run())]
        offer = await world.offer()
        await world.make(offer)
        await until(
            lambda: (
                (swap := world.bob.engine.swap(offer.hashlock)) is not None
                and swap.phase is Phase.LOCKED
            )
        )
        await world.bob.stop()
        await until(lambda: offer.hashlock in tower.tower.secrets)
        assert all(lock.terms.chain == B for lock in tower.tower.locks.values())
        tower.add(A, post(world, A))
        assert [watcher.chain for watcher in tower.watchers] == [B, A]
        tasks.append(asyncio.create_task(tower.look_after(A)))
        assert (await ended(world.alice, offer.hashlock)).phase is Phase.COMPLETED
        await until(lambda: not tower.tower.locks)
        assert world.balances() == {"alice": (990, 1010), "bob": (1010, 990)}
        for task in tasks:
            task.cancel()
        await world.close()

    run(main())


def test_a_chain_that_comes_late_is_read_from_where_it_was_left(tmp_path: Path) -> None:
    """What was saved of a chain stays, while the tower runs without it."""

    async def main() -> None:
        world = World()
        state = TowerState(tmp_path / "tower.json")
        whole = Watchtower(
            {chain: post(world, chain) for chain in (A, B)}, state, clock, Backoff(lambda: 0.5)
        )
        task = asyncio.create_task(whole.run())
        await until(lambda: set(state.load()[1]) == {A, B})
        task.cancel()
        left = state.load()[1][A]
        tower = Watchtower({B: post(world, B)}, state, clock, Backoff(lambda: 0.5))
        tasks = [asyncio.create_task(tower.run())]
        before = state.load()[1][B]
        await until(lambda: state.load()[1][B] != before)
        assert await tower.cursor(A) == state.load()[1][A] == left
        tower.add(A, post(world, A))
        tasks.append(asyncio.create_task(tower.look_after(A)))
        await until(lambda: state.load()[1][A] != left)
        for task in tasks:
            task.cancel()
        await world.close()

    run(main())
