"""kill -9 of a gateway at every write of its journal in a happy swap: the same balances each time.

The ledgers are the embedded ones, the gateways real processes. The number of writes of a swap is
not fixed (what arrives together is written together), so deaths go on, one write further each time,
until the gateway has outlived its swap several times in a row.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest

from tests.e2e.mortal_gateway import Death
from tests.e2e.pairs import Pair, make_environment, start

PAIRS = 6
OUTLIVED = PAIRS
"""So many cases in a row without a death say that the last write has been passed."""
FEWEST = 8
"""A swap has at least so many writes on each side; fewer would mean that the count is broken."""


@asynccontextmanager
async def pairs_in(folder: Path) -> AsyncIterator[list[Pair]]:
    environment = make_environment(folder, PAIRS)
    pairs: list[Pair] = []
    try:
        pairs = await start(environment, PAIRS)
        yield pairs
    finally:
        for pair in pairs:
            for side in pair.sides:
                await side.stop()
        environment.down()


def deaths() -> Iterator[Death]:
    for write in count(1):
        for before in (True, False):
            yield Death(write, before)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("role", ["initiator", "responder"])
async def test_a_killed_gateway_ends_its_swap_all_the_same(
    tmp_path: Path, role: str, record_property: Callable[[str, object], None]
) -> None:
    coming = deaths()
    died: list[Death] = []
    outlived = 0

    async def work(pair: Pair) -> None:
        nonlocal outlived
        while outlived < OUTLIVED:
            death = next(coming)
            mortal = pair.initiator if role == "initiator" else pair.responder
            if await pair.swap(mortal, death):
                died.append(death)
                outlived = 0
            else:
                outlived += 1

    async with pairs_in(tmp_path) as pairs, asyncio.TaskGroup() as working:
        for pair in pairs:
            working.create_task(work(pair))
    last = max(death.write for death in died)
    record_property("deaths", f"{role}: {len(died)}, up to write {last}")
    assert last >= FEWEST
    for write in range(1, FEWEST + 1):
        assert Death(write, True) in died
        assert Death(write, False) in died
