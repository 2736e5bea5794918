"""What a node bears is found in a few tries, and kept."""

from __future__ import annotations

import asyncio

import pytest

from adapters.stretch import Stretch
from tests.relayers.virtual_time import run


async def _read(stretch: Stretch, seconds_a_block: float, allowed: float) -> bool:
    """Reads one stretch from a node that needs so long for each block; False where it was broken
    off."""
    blocks = stretch.blocks
    try:
        async with asyncio.timeout(allowed):
            with stretch.reading(blocks):
                await asyncio.sleep(blocks * seconds_a_block)
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("seconds_a_block", [0.012, 0.5, 3.0])
def test_it_comes_to_what_can_be_read_in_time_and_stays_there(seconds_a_block: float) -> None:
    async def main() -> None:
        stretch = Stretch(2_000, 1.0)
        tries = [await _read(stretch, seconds_a_block, 4.0) for _ in range(200)]
        assert tries.index(True) <= 11, "halved, 2,000 is 1 after eleven tries"
        assert all(tries[tries.index(True) :])
        assert stretch.blocks * seconds_a_block <= max(1.0, seconds_a_block)

    run(main())


def test_it_grows_again_with_a_node_that_has_become_quick() -> None:
    async def main() -> None:
        stretch = Stretch(2_000, 1.0)
        for _ in range(20):
            await _read(stretch, 10.0, 4.0)
        assert stretch.blocks == 1
        for _ in range(50):
            await _read(stretch, 0.0001, 4.0)
        assert stretch.blocks == 2_000

    run(main())


def test_a_short_stretch_tells_nothing_of_a_long_one() -> None:
    """At the head a block is read at a time, quickly: that is no reason to ask for more."""

    async def main() -> None:
        stretch = Stretch(2_000, 1.0)
        stretch.too_long(200)
        for _ in range(50):
            with stretch.reading(1):
                await asyncio.sleep(0.001)
        assert stretch.blocks == 100

    run(main())
