"""The engine by itself: what goes in once, what waits, what is held, and what wakes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.model import Head
from relayers import engine as engine_module
from relayers.engine import Engine, EngineStopped
from relayers.journal.memory import Boundary, MemoryJournal, MemoryStore
from relayers.journal.port import Answer, FactEntry, Journal
from relayers.journal.sqlite import SqliteJournal
from relayers.protocol.alerts import AlertKind
from relayers.protocol.facts import OfferMade, Woken
from relayers.protocol.state import Ignored, Phase
from relayers.protocol.swap import step
from relayers.quarantine import NotHeld, Quarantine, Quarantined
from tests.relayers.journal.journals import A, B, key_of, life
from tests.relayers.virtual_time import START, clock, run

MADE = life()[0]
assert isinstance(MADE.body, OfferMade)


def offer_of(number: int, valid_for: int) -> FactEntry:
    """An offer that expires so many seconds after the start of made time."""
    entry = life(number)[0]
    assert isinstance(entry.body, OfferMade)
    offer = replace(entry.body.offer, valid_until=int(START) + valid_for)
    return replace(entry, body=replace(entry.body, offer=offer))


@asynccontextmanager
async def running(journal: Journal, **more: Any) -> AsyncIterator[Engine]:
    engine = await Engine.open(journal, clock, **more)
    task = asyncio.create_task(engine.run())
    try:
        yield engine
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await journal.close()


def head(time: float, chain: Any = A) -> Head:
    return Head(chain, 1, bytes(32), int(time), 0)


def test_a_fact_put_twice_is_taken_in_once() -> None:
    async def main() -> None:
        store = MemoryStore()
        entry = offer_of(0, 1000)
        async with running(MemoryJournal(store)) as engine:
            one, two = await asyncio.gather(
                engine.put(entry.key, entry.body, "id"), engine.put(entry.key, entry.body, "id")
            )
            assert one == two
            assert one.state is not None
            assert one.ignored is None
            again = await engine.put(entry.key, entry.body, "id")
            assert (again.state, again.ignored) == (one.state, Ignored.KNOWN_ALREADY)
            other = await engine.put(entry.key, entry.body, "another id")
            assert other.ignored is Ignored.KNOWN_ALREADY
            assert len(await engine.history(entry.key)) == 2
        async with running(MemoryJournal(store)) as engine:
            again = await engine.put(entry.key, entry.body, "id")
            assert (again.state, again.ignored) == (one.state, Ignored.KNOWN_ALREADY)

    run(main())


def test_an_answer_is_stored_with_its_fact() -> None:
    async def main() -> None:
        journal = MemoryJournal(MemoryStore())
        entry = offer_of(0, 1000)
        async with running(journal) as engine:
            answer = Answer("key", "print", "text")
            await engine.put(entry.key, entry.body, "id", answer=answer)
            assert await journal.answer("key") == answer

    run(main())


def test_a_cancelled_put_is_stored_and_harms_nobody() -> None:
    async def main() -> None:
        entry = offer_of(0, 1000)
        async with running(MemoryJournal(MemoryStore())) as engine:
            putting = asyncio.create_task(engine.put(entry.key, entry.body, "id"))
            await asyncio.sleep(0)
            putting.cancel()
            other = offer_of(1, 1000)
            assert (await engine.put(other.key, other.body, "other")).state is not None
            again = await engine.put(entry.key, entry.body, "id")
            assert again.state is not None

    run(main())


def test_a_stopped_engine_says_so_and_the_fact_waits_for_the_next() -> None:
    async def main() -> None:
        store = MemoryStore()
        entry = offer_of(0, 1000)
        journal = MemoryJournal(store)
        engine = await Engine.open(journal, clock)  # it does not run yet
        putting = asyncio.create_task(engine.put(entry.key, entry.body, "id"))
        await asyncio.sleep(0)
        task = asyncio.create_task(engine.run())
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        engine._stop()
        with pytest.raises(EngineStopped):
            await putting
        with pytest.raises(EngineStopped):
            await engine.put(entry.key, entry.body, "id 2")
        await journal.close()
        async with running(MemoryJournal(store)) as engine:
            assert (await engine.put(entry.key, entry.body, "id")).state is not None

    run(main())


def _failing(number: int) -> Callable[..., Any]:
    def broken(state: Any, fact: Any) -> Any:
        if isinstance(fact.body, OfferMade) and fact.body.offer.hashlock == key_of(number):
            raise ZeroDivisionError("text with a secret in it")
        return step(state, fact)

    return broken


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_fact_that_cannot_be_processed_holds_its_swap_alone(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store = MemoryStore()

    async def journal() -> Journal:
        if kind == "memory":
            return MemoryJournal(store)
        return await SqliteJournal.open(tmp_path / "journal.db", "one")

    async def main() -> None:
        bad, good = offer_of(0, 1000), offer_of(1, 1000)
        monkeypatch.setattr(engine_module, "step", _failing(0))
        async with running(await journal()) as engine:
            with pytest.raises(Quarantined, match="ZeroDivisionError") as caught:
                await engine.put(bad.key, bad.body, "bad")
            assert "secret" not in str(caught.value)
            assert (await engine.put(good.key, good.body, "good")).state is not None
            await engine.observe(head(START), [FactEntry("later", bad.key, Woken(1))])
            with pytest.raises(Quarantined):
                await engine.put(bad.key, Woken(2), "refused at once")
        async with running(await journal()) as engine:
            assert ids(engine.quarantined()[bad.key]) == ["bad", "later"]
            again = await engine.replay(bad.key)
            assert again is not None
            assert "ZeroDivisionError" in again.reason
            assert again == engine.quarantined()[bad.key]
            assert ids(again) == ["bad", "later"]
            monkeypatch.setattr(engine_module, "step", step)
            assert await engine.replay(bad.key) is None
            assert await engine.replay(bad.key) is None, "once more changes nothing"
            swap = engine.swap(bad.key)
            assert swap is not None
            assert swap.phase is Phase.OFFERED
            history = [taken.id for taken in await engine.history(bad.key)]
            assert history == ["bad", "later"]
        async with running(await journal()) as engine:
            assert engine.quarantined() == {}
            assert engine.swap(bad.key) == swap

    run(main(), patience=0.02 if kind == "sqlite" else 0.0)


def test_the_first_held_fact_can_be_dropped_and_the_rest_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        store = MemoryStore()
        bad = offer_of(0, 1000)
        monkeypatch.setattr(engine_module, "step", _failing(0))
        async with running(MemoryJournal(store)) as engine:
            with pytest.raises(Quarantined):
                await engine.put(bad.key, bad.body, "bad")
            await engine.observe(head(START), [FactEntry("later", bad.key, Woken(1))])
            first, second = (one.fact.offset for one in engine.quarantined()[bad.key].facts)
            with pytest.raises(NotHeld, match=f"waits behind fact {first}"):
                await engine.drop(bad.key, second, "the wrong one")
            with pytest.raises(NotHeld, match="is not held"):
                await engine.drop(key_of(1), first, "the wrong swap")
            assert ids(engine.quarantined()[bad.key]) == ["bad", "later"]
            assert await engine.drop(bad.key, first, "an operator's reason") is None
            assert engine.quarantined() == {}
            with pytest.raises(NotHeld, match="no longer"):
                await engine.drop(bad.key, first, "again")
        assert store.held == {}

    run(main())


def test_an_operator_who_goes_away_leaves_engine_and_journal_at_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        store = MemoryStore()
        bad = offer_of(0, 1000)
        monkeypatch.setattr(engine_module, "step", _failing(0))
        async with running(MemoryJournal(store)) as engine:
            with pytest.raises(Quarantined):
                await engine.put(bad.key, bad.body, "bad")
            monkeypatch.setattr(engine_module, "step", step)
            async with engine._stepping:  # the engine is in the middle of a batch
                asking = asyncio.create_task(engine.replay(bad.key))
                await asyncio.sleep(0)
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
            await asyncio.sleep(0.1)
            assert engine.quarantined() == {}
            assert engine.swap(bad.key) == store.swaps[bad.key]
        with pytest.raises(EngineStopped):
            await engine.replay(bad.key)

    run(main())


def test_a_clock_wake_comes_at_its_time_and_after_a_restart() -> None:
    async def main() -> None:
        store = MemoryStore()
        entry, later = offer_of(0, 100), offer_of(1, 300)
        async with running(MemoryJournal(store), recheck=1e9) as engine:
            for one in (entry, later):
                await engine.put(one.key, one.body, one.id)
            await asyncio.sleep(99)
            assert phase(engine, entry) is Phase.OFFERED
            await asyncio.sleep(2)
            assert phase(engine, entry) is Phase.EXPIRED
            assert phase(engine, later) is Phase.OFFERED
        await asyncio.sleep(500)
        async with running(MemoryJournal(store), recheck=1e9) as engine:
            await asyncio.sleep(0.1)
            assert phase(engine, later) is Phase.EXPIRED

    run(main())


def test_a_chain_wake_comes_with_the_chain_s_time_even_where_that_went_back() -> None:
    async def main() -> None:
        engine: Engine
        async with running(MemoryJournal(MemoryStore())) as engine:
            arrived = asyncio.create_task(engine.reached(A, int(START) + 10))
            engine.update_view(head(START))
            engine.update_view(head(START + 50, B))
            await asyncio.sleep(1)
            assert not arrived.done()
            engine.update_view(head(START + 10))
            await asyncio.sleep(1)
            assert arrived.done()

    run(main())


def test_a_wake_comes_again_where_a_reorg_took_its_time_back_before_it_was_taken_in() -> None:
    async def main() -> None:
        store, late = MemoryStore(), head(START + 20)
        reorgs = [head(START + 1)]

        def reorg(boundary: Boundary) -> None:
            newest = store.facts[-1] if store.facts else None
            woken = newest is not None and newest.body == Woken(int(START) + 12, A)
            if boundary is Boundary.AFTER_APPEND and woken and reorgs:
                engine.update_view(reorgs.pop())

        engine: Engine
        async with running(MemoryJournal(store, reorg), recheck=1e9) as engine:
            make, accept, opened = life()[:3]
            for entry in (make, accept):
                await engine.put(entry.key, entry.body, entry.id)
            await engine.observe(head(START), [opened])
            # F and R later the lock should have been final; that is said only by a fresh head.
            await asyncio.sleep(30)
            assert AlertKind.FINALITY_A_LOCK not in alerted(engine, make)
            engine.update_view(late)
            await asyncio.sleep(1)
            assert not reorgs
            assert AlertKind.FINALITY_A_LOCK not in alerted(engine, make)
            engine.update_view(late)
            await asyncio.sleep(1)
            assert AlertKind.FINALITY_A_LOCK in alerted(engine, make)

    run(main())


def alerted(engine: Engine, entry: FactEntry) -> tuple[str, ...]:
    swap = engine.swap(entry.key)
    assert swap is not None
    return swap.alerted


def test_events_are_followed_as_they_come() -> None:
    async def main() -> None:
        async with running(MemoryJournal(MemoryStore())) as engine:
            first = offer_of(0, 100)
            await engine.put(first.key, first.body, "first")
            seen: list[tuple[int, str]] = []

            async def follow() -> None:
                async for event in engine.follow():
                    seen.append((event.number, event.event.kind))

            following = asyncio.create_task(follow())
            await asyncio.sleep(0.1)
            assert [kind for _, kind in seen] == ["offered"]
            await asyncio.sleep(101)
            assert [kind for _, kind in seen] == ["offered", "expired"]
            mine = [event async for event in _first(engine, seen[0][0])]
            assert mine == ["expired"]
            following.cancel()

    run(main())


async def _first(engine: Engine, after: int) -> AsyncIterator[str]:
    async for event in engine.follow(after):
        yield event.event.kind
        return


def test_a_freeze_is_kept_over_a_restart_and_lifted_by_word_only() -> None:
    async def main() -> None:
        store = MemoryStore()
        async with running(MemoryJournal(store)) as engine:
            await engine.freeze(head(START), "broken")
            await engine.freeze(head(START + 1), "another reason")
            engine.update_view(head(START + 2))
            assert engine.views()[A].frozen == "broken"
        async with running(MemoryJournal(store)) as engine:
            assert engine.views()[A].frozen == "broken"
            await engine.unfreeze(A)
            with pytest.raises(KeyError):
                await engine.unfreeze(B)
        async with running(MemoryJournal(store)) as engine:
            assert engine.views()[A].frozen is None

    run(main())


def ids(quarantine: Quarantine) -> list[str]:
    return [one.fact.id for one in quarantine.facts]


def phase(engine: Engine, entry: FactEntry) -> Phase | None:
    swap = engine.swap(entry.key)
    return swap.phase if swap is not None else None
