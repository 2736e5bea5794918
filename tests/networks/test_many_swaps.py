"""Two hundred swaps in flight at once between two gateways, on real networks."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from tests.networks.organisations import after, organisations

SWAPS = 200
AT_ONCE = 20
"""Offers on the way at once."""
BOUNDS = {"reaction": 5, "outage": 300}
OFFERS = {
    "valid_for": 900,
    "slack": 600,
    "open_per_peer": 2 * SWAPS,
    "swaps_per_peer": 2 * SWAPS,
}
"""Time enough for two cores that carry two networks and both gateways."""


def _pair(give: str, get: str, network: str) -> ParameterSet:
    shown = pytest.mark.shows(f"{give}:{get}", network, f"{SWAPS} swaps in flight at once")
    apart = pytest.mark.xdist_group(f"networks/test_many_swaps.py {give}:{get}")
    return pytest.param((give, get), id=f"{give}:{get}", marks=[shown, apart])


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "pair",
    [
        _pair("native", "ethereum", "CometBFT and Geth"),
        _pair("fabric", "native", "Fabric and CometBFT"),
    ],
)
async def test_two_hundred_swaps_at_once_leave_every_balance_right(
    tmp_path: Path, pair: tuple[str, str]
) -> None:
    async with organisations(tmp_path, pair, bounds=BOUNDS, offers=OFFERS) as both:
        before = await both.both()
        turns = asyncio.Semaphore(AT_ONCE)

        async def offered() -> str:
            async with turns:
                return await both.offered()

        swaps = await asyncio.gather(*(offered() for _ in range(SWAPS)))
        assert len(set(swaps)) == SWAPS
        await both.completed(*swaps)
        assert await both.both() == after(before, SWAPS)
