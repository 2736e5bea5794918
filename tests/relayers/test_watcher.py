"""The watcher: nothing missed, nothing twice, and a node that fails or lies is seen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from adapters.model import Cursor, Hashlock, LockOpened, Notice, Stage
from relayers.backoff import Backoff
from relayers.fatal import Fatal
from relayers.journal.port import JournalFailed
from relayers.protocol.facts import Observed
from relayers.protocol.state import Phase
from relayers.tower_state import TowerStateError
from relayers.watcher import Watcher, entry_of
from tests.relayers.virtual_time import clock, run
from tests.relayers.world import A, B, World, ended, until


@asynccontextmanager
async def swapping(bob: bool = True) -> AsyncIterator[tuple[World, Hashlock]]:
    world = World()
    await world.alice.start()
    if bob:
        await world.bob.start()
    offer = await world.offer()
    await world.make(offer)
    yield world, offer.hashlock
    await world.close()


def watcher(world: World, number: int = 0) -> Watcher:
    assert world.alice.process is not None
    return world.alice.process.watchers[number]


def seen(world: World) -> list[str]:
    return [
        taken.id
        for history in world.alice.store.taken_by_key.values()
        for taken in history
        if isinstance(taken.body, Observed)
    ]


def test_each_event_is_taken_in_once_over_restarts_and_failures() -> None:
    async def main() -> None:
        async with swapping() as (world, key):
            for _ in range(6):
                await asyncio.sleep(5)
                await world.alice.stop()
                await world.alice.start()
                world.alice.views[A].down = True
                await asyncio.sleep(2)
                world.alice.views[A].down = False
            assert (await ended(world.alice, key)).phase is Phase.COMPLETED
            ids = seen(world)
            assert len(ids) == len(set(ids)) == 8

    run(main())


def test_a_node_that_fails_is_asked_again_and_shown() -> None:
    async def main() -> None:
        async with swapping() as (world, _):
            await until(lambda: watcher(world).state.connected)
            world.alice.views[A].down = True
            await until(lambda: watcher(world).state.failures >= 3)
            state = watcher(world).state
            assert not state.connected
            assert "does not answer" in (state.error or "")
            assert state.since is not None
            world.alice.views[A].down = False
            await until(lambda: watcher(world).state.connected)
            assert (watcher(world).state.error, watcher(world).state.failures) == (None, 0)

    run(main())


def test_what_no_driver_foresaw_is_asked_again_and_not_quoted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its text may hold what the node answered, and a claim's preimage with it."""

    async def main() -> None:
        async with swapping() as (world, _):
            await until(lambda: watcher(world).state.connected)
            view = world.alice.views[A]

            def events(cursor: Cursor | None) -> AsyncIterator[Notice]:
                raise ValueError("no word of this: 0xfeed")

            with monkeypatch.context() as broken:
                broken.setattr(view, "events", events)
                view.down = True
                await until(lambda: not watcher(world).state.connected)
                view.down = False
                await until(lambda: "ValueError" in (watcher(world).state.error or ""))
                assert "feed" not in (watcher(world).state.error or "")
            await until(lambda: watcher(world).state.connected)
        assert "ValueError" in caplog.text
        assert "feed" not in caplog.text

    run(main())


@pytest.mark.parametrize("error", [JournalFailed("disk full"), TowerStateError("disk full")])
def test_a_listener_that_can_take_nothing_in_ends_the_watcher(error: Fatal) -> None:
    async def main() -> None:
        async with swapping(bob=False) as (world, _):
            listener = world.alice.engine

            class Full:
                cursor, freeze = listener.cursor, listener.freeze
                look, swaps = listener.look, listener.swaps

                async def observe(self, *_: Any) -> None:
                    raise error

            one = Watcher(Full(), world.alice.views[A], clock, Backoff(lambda: 0.5))
            with pytest.raises(Fatal, match="disk full"):
                async with asyncio.timeout(30):
                    await one.run()

    run(main())


def test_a_silent_node_becomes_stale_and_open_swaps_alert() -> None:
    async def main() -> None:
        # Without the other side no fact comes that would make anybody look.
        async with swapping(bob=False) as (world, key):
            world.halted.add(B)
            await until(lambda: watcher(world, 1).state.stale, within=25)
            assert not watcher(world, 0).state.stale
            await asyncio.sleep(1)
            swap = world.alice.engine.swap(key)
            assert swap is not None
            assert "bound:stale:b" in swap.alerted
            world.halted.clear()
            await until(lambda: not watcher(world, 1).state.stale)

    run(main())


def test_a_broken_finality_rule_freezes_the_chain_and_alerts() -> None:
    async def main() -> None:
        async with swapping() as (world, key):
            await asyncio.sleep(10)
            world.chains[B].reorg(4, extra=1)
            await until(lambda: world.alice.engine.views()[B].frozen is not None)
            assert "finality" in (world.alice.engine.views()[B].frozen or "")
            assert world.alice.engine.views()[A].frozen is None
            assert world.alice.store.views[B].frozen is not None
            await asyncio.sleep(1)
            swap = world.alice.engine.swap(key)
            assert swap is not None
            assert swap.ended or "bound:frozen:b" in swap.alerted

    run(main())


def test_a_head_that_goes_back_is_shown() -> None:
    async def main() -> None:
        async with swapping() as (world, _):
            await asyncio.sleep(10)
            world.alice.views[A].lag = 3
            await until(lambda: watcher(world).state.went_back is not None)

    run(main())


def test_a_reorg_that_returns_to_the_old_fork_shows_the_event_again() -> None:
    """Pending, retracted, and pending again in the very same block: three facts."""

    async def main() -> None:
        async with swapping() as (world, key):
            engine = world.alice.engine
            await until(
                lambda: (
                    (swap := engine.swap(key)) is not None
                    and swap.a is not None
                    and swap.a.opened is Stage.PENDING
                )
            )
            swap = engine.swap(key)
            assert swap is not None
            assert swap.a is not None
            history = await engine.history(key)
            (told,) = [
                taken.body.observation
                for taken in history
                if isinstance(taken.body, Observed)
                and isinstance(taken.body.observation.event, LockOpened)
                and taken.body.observation.chain == A
            ]
            head = engine.views()[A].head
            back = replace(told, stage=Stage.RETRACTED)
            for observation, opened in (
                (back, None),
                (told, Stage.PENDING),
                (back, None),
                (told, Stage.PENDING),
            ):
                await engine.observe(head, [entry_of(observation)])
                now = engine.swap(key)
                assert now is not None
                assert now.a is not None
                assert now.a.opened is opened

    run(main())


def test_the_backoff_is_bounded_both_ways() -> None:
    for chance in (0.0, 0.999):
        pauses = [Backoff(lambda c=chance: c, 0.5, 8.0).pause(n) for n in range(1, 50)]  # type: ignore[misc]
        assert min(pauses) >= 0.25
        assert max(pauses) <= 8.0
