"""Whole swaps: two gateways with the real engine, executor and watchers, over two chains."""

from __future__ import annotations

from relayers.protocol.state import Phase
from tests.relayers.virtual_time import run
from tests.relayers.world import World, ended


def test_a_happy_swap_pays_both() -> None:
    async def main() -> None:
        world = World()
        await world.alice.start()
        await world.bob.start()
        offer = await world.offer()
        await world.make(offer)
        alice = await ended(world.alice, offer.hashlock)
        bob = await ended(world.bob, offer.hashlock)
        assert (alice.phase, bob.phase) == (Phase.COMPLETED, Phase.COMPLETED)
        assert world.balances() == {"alice": (990, 1010), "bob": (1010, 990)}
        await world.close()

    run(main())
