"""A stream that needs long for what lies behind gets there; a silent chain is stale meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from adapters.model import Bounds, ChainId, ChainProfile, Cursor, Head, Notice
from adapters.spi import Adapter
from relayers.backoff import Backoff
from relayers.journal.port import ChainCursor, FactEntry
from relayers.watcher import Watcher
from tests.relayers.virtual_time import START, clock, run
from tests.relayers.world import until

CHAIN = ChainId.parse("eip155:1")
STALE = 10
SILENCE = STALE + 1
"""Seconds without a head until the chain is stale."""
STEPS = 6


class Slow:
    """A chain of whose past each stretch takes so many seconds to read, whoever asks, and however
    often. Its cursor is the number of stretches read."""

    def __init__(self, seconds: float, prompt: int = 0) -> None:
        self.profile = ChainProfile(
            CHAIN, "slow", "contract", Bounds(1, 1, 1), frozenset(), STALE, None
        )
        self.seconds = seconds
        self.behind = STEPS
        self._prompt = prompt
        self.started = 0
        self.read = 0

    async def events(self, cursor: Cursor | None) -> AsyncIterator[Notice]:
        self.started += 1
        place = int(cursor.text) if cursor is not None else 0
        for _ in range(self._prompt):
            yield self._notice(place)
        while True:
            await asyncio.sleep(self.seconds if place < self.behind else 1.0)
            place += 1
            self.read = max(self.read, place)
            yield self._notice(place)

    def _notice(self, place: int) -> Notice:
        head = Head(CHAIN, 1_000 + place, place.to_bytes(32, "big"), int(clock()), 1_000)
        return Notice(head, (), Cursor(str(place)))


class Listening:
    """A listener that keeps nothing but when the chain was found stale."""

    def __init__(self) -> None:
        self.looked: list[float] = []

    async def cursor(self, _: ChainId) -> Cursor | None:
        return None

    async def observe(
        self, head: Head, entries: Sequence[FactEntry] = (), cursor: ChainCursor | None = None
    ) -> None: ...

    async def freeze(self, head: Head, reason: str) -> None: ...

    async def look(self, _: ChainId) -> None:
        self.looked.append(clock() - START)

    def swaps(self) -> Sequence[Any]:
        return ()


def _watch(slow: Slow) -> tuple[Watcher, Listening, asyncio.Task[None]]:
    listening = Listening()
    adapter: Adapter = slow  # type: ignore[assignment]
    watcher = Watcher(listening, adapter, clock, Backoff(lambda: 0.5))
    return watcher, listening, asyncio.create_task(watcher.run())


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("prompt", [0, 2], ids=["silent at first", "prompt at first"])
@pytest.mark.parametrize("seconds", [5.0, 15.0, 70.0])
def test_it_catches_up_however_long_a_stretch_takes(seconds: float, prompt: int) -> None:
    async def main() -> None:
        slow = Slow(seconds, prompt)
        watcher, _, task = _watch(slow)
        await until(lambda: slow.read > STEPS, within=2_000)
        assert watcher.state.connected
        assert slow.started <= 5
        await _stop(task)

    run(main())


def test_a_chain_is_stale_as_soon_as_ever_and_until_it_shows_a_head() -> None:
    async def main() -> None:
        slow = Slow(70.0)
        watcher, listening, task = _watch(slow)
        states = []
        async with asyncio.timeout(500):
            while slow.read == 0:
                await asyncio.sleep(0.5)
                states.append((clock() - START, watcher.state.stale))
        # The very first head is not there before a stretch is read.
        assert listening.looked == [SILENCE]
        assert all(stale == (when > SILENCE) for when, stale in states[:-1] if when != SILENCE)
        await _stop(task)

    run(main())


def test_a_stream_that_falls_silent_is_stale_in_time_with_patience_left_over() -> None:
    """Patience is for reading; it does not put off what the swaps must be told."""

    async def main() -> None:
        slow = Slow(35.0)
        watcher, listening, task = _watch(slow)
        await until(lambda: slow.read == 2, within=500)
        at = clock()
        assert not watcher.state.stale
        listening.looked.clear()
        await asyncio.sleep(SILENCE + 1)
        assert slow.read == 2, "it reads the third"
        assert watcher.state.stale
        assert listening.looked[0] + START - at <= SILENCE
        await _stop(task)

    run(main())


def test_patience_ends_where_notices_are_prompt_again() -> None:
    async def main() -> None:
        slow = Slow(35.0)
        watcher, _, task = _watch(slow)
        await until(lambda: slow.read > STEPS + 100, within=1_000)
        started = slow.started
        slow.behind, slow.seconds = 10**9, 10_000.0
        await asyncio.sleep(STALE + 5)
        assert slow.started == started + 1
        assert watcher.state.stale
        await _stop(task)

    run(main())
