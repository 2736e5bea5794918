"""kill -9 of a gateway at every write of its journal in a happy swap: the same balances each time.

The ledgers are the embedded ones, the gateways real processes. The number of writes of a swap is
not fixed (what arrives together is written together), so deaths go on, one write further each time,
until the gateway has outlived its swap several times in a row.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest

from tests.e2e.mortal_gateway import Death
from tests.e2e.pairs import Pair, make_environment, start

pytestmark = pytest.mark.long

PAIRS = 8
"""Half of them lose their initiators, half their responders. Each spends its time waiting for
blocks, so that many cost little more than few."""
OUTLIVED = 4
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


class Deaths:
    """Which deaths one role is to die, and which it has died."""

    def __init__(self, role: str) -> None:
        self.role = role
        self.died: list[Death] = []
        self._coming = (Death(write, before) for write in count(1) for before in (True, False))
        self._outlived = 0

    @property
    def over(self) -> bool:
        return self._outlived >= OUTLIVED

    def next(self) -> Death:
        return next(self._coming)

    def note(self, death: Death, died: bool) -> None:
        if died:
            self.died.append(death)
        self._outlived = 0 if died else self._outlived + 1


@pytest.mark.timeout(900)
async def test_a_killed_gateway_ends_its_swap_all_the_same(tmp_path: Path) -> None:
    roles = Deaths("initiator"), Deaths("responder")

    async def work(pair: Pair, deaths: Deaths) -> None:
        while not deaths.over:
            death = deaths.next()
            mortal = pair.initiator if deaths.role == "initiator" else pair.responder
            deaths.note(death, await pair.swap(mortal, death))

    async with pairs_in(tmp_path) as pairs, asyncio.TaskGroup() as working:
        for number, pair in enumerate(pairs):
            working.create_task(work(pair, roles[number % 2]))
    for deaths in roles:
        for write in range(1, FEWEST + 1):
            for before in (True, False):
                assert Death(write, before) in deaths.died, deaths.role
