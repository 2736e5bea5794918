"""A swap whose stored state cannot be read: nothing of it is acted on, and it can be made anew."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.model import ChainId, Hashlock, Head
from relayers import engine as engine_module
from relayers import rebuild as rebuild_module
from relayers.engine import Engine, EngineStopped
from relayers.journal.memory import MemoryStore
from relayers.journal.port import JournalError
from relayers.protocol.facts import Fact
from relayers.protocol.intents import Intent
from relayers.protocol.state import Ignored, Move, Swap
from relayers.protocol.swap import step
from relayers.quarantine import NotHeld, Quarantined
from relayers.rebuild import NotRebuilt, rebuilt
from tests.relayers.journal.journals import (
    A,
    B,
    Damage,
    Opener,
    key_of,
    life,
    memory_damage,
    memory_opener,
    sqlite_damage,
    sqlite_opener,
)
from tests.relayers.virtual_time import START, clock, run

BAD, GOOD = key_of(0), key_of(1)
SOON = 0.02
"""Seconds of real time that a disk may take while made time stands still."""


class Told:
    """Whom the engine tells of intents."""

    def __init__(self) -> None:
        self.open: dict[str, Intent] = {}
        self.anew: list[Hashlock] = []

    def opened(self, intent: Intent) -> None:
        self.open[intent.id] = intent

    def closed(self, intent: str) -> None:
        self.open.pop(intent, None)

    def rebuilt(self, key: Hashlock) -> None:
        self.anew.append(key)


@pytest.fixture(params=["memory", "sqlite"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Opener, Damage]:
    if request.param == "memory":
        store = MemoryStore()
        return memory_opener(store), memory_damage(store)
    return sqlite_opener(tmp_path), sqlite_damage(tmp_path / "journal.db")


@asynccontextmanager
async def running(opener: Opener) -> AsyncIterator[tuple[Engine, Told]]:
    journal = await opener()
    engine = await Engine.open(journal, clock)
    told = Told()
    for intent in engine.intents():
        told.opened(intent)
    engine.listen(told)
    task = asyncio.create_task(engine.run())
    try:
        yield engine, told
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await journal.close()


async def begin(opener: Opener) -> tuple[Swap, Swap]:
    """Two swaps as far as their first open lock; what is left behind of each."""
    async with running(opener) as (engine, _):
        for chain in (A, B):
            engine.update_view(head(chain))
        for number in (0, 1):
            for entry in life(number)[:2]:
                await engine.put(entry.key, entry.body, entry.id)
        bad, good = engine.swap(BAD), engine.swap(GOOD)
        assert bad is not None
        assert good is not None
        return bad, good


def head(chain: ChainId) -> Head:
    return Head(chain, 1, bytes(32), int(START), 0)


def of(key: bytes, intents: dict[str, Intent]) -> set[Intent]:
    return {intent for ident, intent in intents.items() if ident.startswith(key.hex())}


@pytest.mark.parametrize("what", ["snapshot", "intent"])
def test_nothing_of_an_unreadable_swap_is_acted_on_and_its_facts_wait(
    place: tuple[Opener, Damage], what: str, caplog: pytest.LogCaptureFixture
) -> None:
    opener, damage = place

    async def main() -> None:
        before, _ = await begin(opener)
        damage(what, BAD)
        async with running(opener) as (engine, told):
            assert BAD.hex() in caplog.text, "whoever reads the log is told"
            quarantine = engine.quarantined()[BAD]
            assert quarantine.unreadable
            assert "cannot be read" in quarantine.reason
            assert of(BAD, told.open) == set()
            assert of(GOOD, told.open)
            with pytest.raises(Quarantined, match="cannot be read"):
                engine.swap(BAD)
            with pytest.raises(Quarantined) as caught:
                await engine.put(BAD, life(0)[2].body, "refused at once")
            assert not caught.value.stored
            # What a chain shows of both: the good one moves, the other's fact waits.
            for number in (0, 1):
                await engine.observe(head(A), [life(number)[2]])
            moved = engine.swap(GOOD)
            assert moved is not None
            assert moved.a is not None
            assert moved.a.opened is not None
            (held,) = engine.quarantined()[BAD].facts
            assert held.fact.body == life(0)[2].body
            with pytest.raises(NotHeld, match="cannot be read"):
                await engine.drop(BAD, held.fact.offset, "nobody is at fault")
            await engine.retry_held()
            assert len(engine.quarantined()[BAD].facts) == 1, "a start does not make it anew"
        async with running(opener) as (engine, told):
            # Made anew from its history, and what waited is taken in after it.
            assert len(engine.quarantined()[BAD].facts) == 1
            assert await engine.replay(BAD) is None
            assert told.anew == [BAD]
            after = engine.swap(BAD)
            assert after is not None
            assert after.a is not None
            assert after.a.opened is not None
            assert replace(after, a=before.a, changed=before.changed) == before
            assert len(of(BAD, told.open)) == len(of(GOOD, told.open))
        async with running(opener) as (engine, told):
            assert engine.quarantined() == {}
            assert engine.swap(BAD) == after
            assert of(BAD, told.open)

    run(main(), patience=SOON)


def _otherwise(state: Swap | None, fact: Fact) -> Move:
    """A release whose rules have changed: users are told something else."""
    move = step(state, fact)
    return replace(move, events=move.events[1:])


def _ignoring(state: Swap | None, fact: Fact) -> Move:
    return Move(state, ignored=Ignored.NOT_NOW)


def _failing(state: Swap | None, fact: Fact) -> Move:
    raise ZeroDivisionError("with a secret in it")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (_otherwise, "tells something else than users were told"),
        (_ignoring, "was taken in and would now be ignored \\(not_now\\)"),
        (_failing, "cannot be processed \\(ZeroDivisionError\\)$"),
    ],
)
def test_a_history_that_gives_something_else_now_is_not_believed(
    place: tuple[Opener, Damage],
    changed: Callable[[Swap | None, Fact], Move],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opener, damage = place

    async def main() -> None:
        before, _ = await begin(opener)
        damage("snapshot", BAD)
        async with running(opener) as (engine, told):
            with monkeypatch.context() as patched:
                patched.setattr(rebuild_module, "step", changed)
                for _ in range(2):
                    left = await engine.replay(BAD)
                    assert left is not None
                    assert left.unreadable
                    assert re.search(words, left.reason)
                    assert left.reason.count("anew") == 1
                    assert of(BAD, told.open) == set()
        async with running(opener) as (engine, told):
            assert engine.quarantined()[BAD].unreadable, "nothing was overwritten"
            assert await engine.replay(BAD) is None
            assert engine.swap(BAD) == before

    run(main(), patience=SOON)


async def test_a_history_that_cannot_be_read_leaves_the_swap_where_it_is(tmp_path: Path) -> None:
    opener = sqlite_opener(tmp_path)
    path = tmp_path / "journal.db"
    await begin(opener)
    sqlite_damage(path)("snapshot", BAD)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE facts SET body='{}' WHERE key=?", (BAD,))
    async with running(opener) as (engine, _):
        left = await engine.replay(BAD)
        assert left is not None
        assert "anew from its history: a stored fact is not a record" in left.reason
        assert engine.swap(GOOD) is not None


def test_a_history_of_a_newer_version_leaves_the_swap_where_it_is(tmp_path: Path) -> None:
    async def main() -> None:
        opener = sqlite_opener(tmp_path)
        path = tmp_path / "journal.db"
        await begin(opener)
        sqlite_damage(path)("snapshot", BAD)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE facts SET ignored='too_loud' WHERE key=?", (BAD,))
        async with running(opener) as (engine, _):
            left = await engine.replay(BAD)
            assert left is not None
            assert "ignored for a reason that this version does not know, 'too_loud'" in left.reason
            assert engine.swap(GOOD) is not None
            # The engine runs on: what a chain shows of the others is taken in.
            await engine.observe(head(A), [life(1)[2]])

    run(main(), patience=SOON)


@pytest.mark.parametrize("error", [ValueError("0xsecret"), RecursionError(), OSError("0xsecret")])
def test_whatever_is_wrong_with_one_history_the_engine_runs_on(
    place: tuple[Opener, Damage], error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        opener, damage = place
        await begin(opener)
        damage("snapshot", BAD)

        def failing(*_: object) -> None:
            raise error

        async with running(opener) as (engine, told):
            with monkeypatch.context() as patched:
                patched.setattr(engine_module, "rebuilt", failing)
                left = await engine.replay(BAD)
            assert left is not None
            assert type(error).__name__ in left.reason
            assert "secret" not in left.reason
            assert told.anew == []
            await engine.observe(head(A), [life(1)[2]])
            assert await engine.replay(BAD) is None
            assert told.anew == [BAD]

    run(main(), patience=SOON)


def test_a_journal_that_fails_ends_the_engine_also_while_a_swap_is_made_anew(
    place: tuple[Opener, Damage], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        opener, damage = place
        await begin(opener)
        damage("snapshot", BAD)

        async def broken(_key: Hashlock) -> None:
            raise JournalError("the disk is gone")

        async with running(opener) as (engine, _):
            monkeypatch.setattr(engine._journal, "history", broken)
            with pytest.raises(JournalError, match="the disk is gone"):
                await engine.replay(BAD)
            with pytest.raises(EngineStopped):
                await engine.replay(BAD)  # its task is called off before it has begun
            with pytest.raises(EngineStopped):
                await engine.replay(BAD)  # the engine takes no more tasks
            with pytest.raises(EngineStopped):
                await engine.observe(head(A), [life(1)[2]])

    run(main(), patience=SOON)


def test_a_swap_without_a_history_is_not_made_up() -> None:
    with pytest.raises(NotRebuilt, match="empty"):
        rebuilt((), ())
