"""Two hundred swaps in flight at once between two gateways, on real networks."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import TypeVar

import pytest
from _pytest.mark import ParameterSet

from tests.networks.organisations import Organisations, after, organisations

T = TypeVar("T")

SWAPS = 200
AT_ONCE = 20
"""Offers on the way at once."""
BOUNDS = {"reaction": 5, "outage": 300}
_STAGES = ("pending", "final")
QUIET = frozenset(
    {"offered", "received", "accepted", "locking", "locked", "claiming", "revealing", "claimed"}
    | {f"{what}_{leg}_{stage}" for what in ("lock", "claim") for leg in "ab" for stage in _STAGES}
    | {"completed"}
)
"""What is told of a swap to which nothing happens: no retraction, no refusal, no alert."""
OFFERS = {
    "valid_for": 900,
    "slack": 600,
    "open_per_peer": 2 * SWAPS,
    "swaps_per_peer": 2 * SWAPS,
}
"""Time enough for two cores that carry two networks and both gateways."""


def _pair(give: str, get: str, network: str) -> ParameterSet:
    shown = pytest.mark.shows(f"{give}:{get}", network, f"{SWAPS} swaps in flight at once")
    return pytest.param((give, get), id=f"{give}:{get}", marks=shown)


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
    async with organisations(tmp_path, pair, bounds=BOUNDS, offers=OFFERS, by_policy=False) as both:
        before = await both.both()
        swaps = set(await _at_once(both.offered() for _ in range(SWAPS)))
        await _told(both, "beta", swaps, "received")
        # While alpha stands still no swap gets on: all of them are agreed before one has begun.
        both.processes.signal("gateway-alpha", signal.SIGSTOP)
        beta = both.clients["beta"]
        accepted = await _at_once(beta.accept(swap) for swap in swaps)
        assert {detail.phase for detail in accepted} == {"accepted"}
        both.processes.signal("gateway-alpha", signal.SIGCONT)
        await both.completed(*swaps)
        assert await both.both() == after(before, SWAPS)
        for name in both.clients:
            told = await _told(both, name, swaps, "completed")
            # That locks wait long for their turn at one signer, and a gateway that stood still.
            late = [kind for kind, _ in told if kind.startswith("bound:")]
            assert {kind for kind, _ in told} - set(late) <= QUIET, sorted(set(told))


async def _at_once(calls: Iterable[Awaitable[T]]) -> list[T]:
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(call: Awaitable[T]) -> T:
        async with turns:
            return await call

    return await asyncio.gather(*map(one, calls))


async def _told(
    both: Organisations, name: str, swaps: set[str], last: str
) -> list[tuple[str, str]]:
    """Kind and text of what a gateway has told until it told this last kind of all these swaps."""
    told, over = [], set[str]()
    async with aclosing(both.clients[name].events()) as events:
        async for event in events:
            told.append((event.kind, event.text))
            if event.kind == last:
                over.add(event.swap)
            if over == swaps:
                return told
    raise AssertionError("an event stream has no end")
