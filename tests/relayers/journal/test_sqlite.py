"""The SQLite file: what is refused at opening, and that kill -9 leaves a whole move or none."""

# ruff: noqa: ASYNC240 - small files, read in tests

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from adapters.model import Hashlock
from relayers.journal import sqlite_tables
from relayers.journal.port import (
    SCHEMA_VERSION,
    Appended,
    FactEntry,
    Held,
    JournalCorrupt,
    JournalError,
    JournalFailed,
    JournalInUse,
    JournalTooNew,
    Unreadable,
    WrongOwner,
)
from relayers.journal.sqlite import SqliteJournal
from relayers.journal.sqlite_tables import SqliteTables
from relayers.protocol.facts import Fact, Woken
from relayers.protocol.state import Swap
from relayers.protocol.swap import step
from tests.relayers.journal.journals import (
    OWNER,
    at,
    consume,
    cursor,
    key_of,
    life,
    sqlite_damage,
    stepped,
)


async def _written(path: Path) -> bytes:
    """A journal with something in it, closed; its bytes."""
    async with await SqliteJournal.open(path, OWNER) as journal:
        await journal.append(life())
        await consume(journal, {}, len(life()))
    return path.read_bytes()


async def _refused(path: Path, kind: type[JournalError], words: str, owner: str = OWNER) -> None:
    """Opening is refused in so many words, and the file stays as it was."""
    before = path.read_bytes()
    with pytest.raises(kind, match=words) as caught:
        await SqliteJournal.open(path, owner)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("kept", [0, 50, 100, 8192, 0.5, -1])
async def test_a_truncated_file_is_refused(kept: float, tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    content = await _written(path)
    size = int(len(content) * kept) if isinstance(kept, float) else kept
    path.write_bytes(content[:size])
    await _refused(path, JournalCorrupt, "truncated|not a journal")


async def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(b"hello" * 1000)
    await _refused(path, JournalCorrupt, "is not a journal of this program")
    path.unlink()
    sqlite3.connect(path).execute("CREATE TABLE t (x)").connection.close()
    await _refused(path, JournalCorrupt, "of some other program")


async def test_a_damaged_page_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    content = bytearray(await _written(path))
    for page in range(1, len(content) // 8192):
        content[page * 8192 : page * 8192 + 64] = b"\xa5" * 64
    path.write_bytes(content)
    await _refused(path, JournalCorrupt, "damaged")


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    await _written(path)
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    connection.execute("PRAGMA journal_mode=DELETE")
    connection.close()
    await _refused(path, JournalTooNew, "use the version that wrote it")


async def test_another_organisation_s_journal_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    await _written(path)
    await _refused(path, WrongOwner, "belongs to organisation one, not to another", "another")


async def test_a_folder_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(JournalFailed, match="cannot be made"):
        await SqliteJournal.open(tmp_path / "none" / "journal.db", OWNER)


async def test_a_file_open_in_another_process_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    await _written(path)
    holder = await _start("hold", path)
    try:
        assert await _line(holder) == "ready"
        with pytest.raises(JournalInUse, match="open in another process"):
            await SqliteJournal.open(path, OWNER)
    finally:
        holder.kill()
        await holder.wait()
    # kill -9 of the holder gives it up.
    await (await SqliteJournal.open(path, OWNER)).close()


async def test_a_fact_of_a_newer_program_is_taken_as_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with await SqliteJournal.open(path, OWNER) as journal:
        await journal.append(life()[:2])
    connection = sqlite3.connect(path)
    (body,) = connection.execute("SELECT body FROM facts WHERE offset=1").fetchone()
    newer = body.replace(b'{"v":1,', b'{"v":2,', 1)
    assert newer != body
    connection.execute("UPDATE facts SET body=? WHERE offset=1", (newer,))
    connection.commit()
    connection.close()
    async with await SqliteJournal.open(path, OWNER) as journal:
        first, second = await journal.take(10)
        assert isinstance(first.body, Unreadable)
        assert "schema version 2" in first.body.reason
        assert second.body == life()[1].body
        await journal.commit([Held(first, first.body.reason)])
        assert (await journal.held())[0].fact == first


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (None, "its JSON is not valid"),
        (b"", "not a record of this program"),
        (b"\xff\xfe", "not a record of this program"),
        (b'{"v":9,"kind":"swap","body":{}}', "schema version 9"),
        (b'{"v":1,"kind":"offer_made","body":{}}', "unknown kind"),
        (b'{"v":1,"kind":"swap","body":{"phase":"dreaming"}}', "is not valid"),
    ],
)
async def test_a_snapshot_that_cannot_be_read_says_why_and_the_others_are_restored(
    body: bytes | None, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "journal.db"
    async with await SqliteJournal.open(path, OWNER) as journal:
        await journal.append([life(0)[0], life(1)[0]])
        await consume(journal, {}, 2)
    sqlite_damage(path, body)("snapshot", key_of(0))
    async with await SqliteJournal.open(path, OWNER) as journal:
        restored = await journal.restore()
        assert [swap.hashlock for swap in restored.swaps] == [key_of(1)]
        (unreadable,) = restored.unreadable
        assert unreadable.key == key_of(0)
        assert words in unreadable.reason


async def test_a_snapshot_of_another_swap_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with await SqliteJournal.open(path, OWNER) as journal:
        await journal.append([life(0)[0], life(1)[0]])
        await consume(journal, {}, 2)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "UPDATE snapshots SET body=(SELECT body FROM snapshots WHERE key=?) WHERE key=?",
            (key_of(1), key_of(0)),
        )
    async with await SqliteJournal.open(path, OWNER) as journal:
        restored = await journal.restore()
        assert [swap.hashlock for swap in restored.swaps] == [key_of(1)]
        assert "is of another swap" in restored.unreadable[0].reason


async def test_an_intent_without_its_snapshot_is_not_acted_on(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with await SqliteJournal.open(path, OWNER) as journal:
        await journal.append(life(0)[:1])
        await consume(journal, {}, 1)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM snapshots")
    async with await SqliteJournal.open(path, OWNER) as journal:
        restored = await journal.restore()
        assert restored.intents == ()
        assert "no snapshot of its swap" in restored.unreadable[0].reason
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE intents SET id='nobody:lock'")
    async with await SqliteJournal.open(path, OWNER) as journal:
        with pytest.raises(JournalCorrupt, match="names no swap"):
            await journal.restore()


async def test_an_event_that_cannot_be_read_stands_in_for_itself_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with await SqliteJournal.open(path, OWNER) as journal:
        await journal.append([life(0)[0], life(1)[0]])
        await consume(journal, {}, 2)
        before = await journal.events(0, 10)
    sqlite_damage(path)("event", key_of(0))
    async with await SqliteJournal.open(path, OWNER) as journal:
        after = await journal.events(0, 10)
    assert [event.number for event in after] == [event.number for event in before]
    assert [event.event.kind for event in after] == ["unreadable", "offered"]
    assert after[1] == before[1]


async def test_a_full_disk_changes_nothing_and_is_said(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with await SqliteJournal.open(path, OWNER) as journal:
        await journal.append(life()[:1])
        await journal._writer.run(  # the edge at which a disk is made to be full
            lambda tables: tables.connection.execute("PRAGMA max_page_count=1").fetchall()
        )
        many = [FactEntry(f"fact {n}", key_of(n), Woken(n)) for n in range(2000)]
        with pytest.raises(JournalFailed, match="nothing of it was"):
            await journal.append(many, cursor=cursor(5))
        assert [fact.id for fact in await journal.take(9999)] == [life()[0].id]
        assert await journal.cursor(cursor(5).head.chain) is None


async def test_one_bad_request_in_a_group_is_its_own(tmp_path: Path) -> None:
    async with await SqliteJournal.open(tmp_path / "journal.db", OWNER) as journal:

        def half_done(tables: SqliteTables) -> None:
            tables.connection.execute("INSERT INTO meta VALUES ('half', 'done')")
            raise ValueError("stop")

        good, bad, other = await asyncio.gather(
            journal.append(life()[:1]),
            journal._writer.run(half_done),
            journal.append(life()[1:2]),
            return_exceptions=True,
        )
        assert isinstance(bad, ValueError)
        assert not isinstance(good, BaseException)
        assert not isinstance(other, BaseException)
        assert len(await journal.take(10)) == 2
        assert await journal._rows("SELECT * FROM meta WHERE name='half'") == []


async def test_what_was_undone_is_not_remembered_under_another_fact_s_offset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So that the next fact, under the same offset, does not take its place.
    monkeypatch.setattr(sqlite_tables, "_REMEMBERED", 1)
    async with await SqliteJournal.open(tmp_path / "journal.db", OWNER) as journal:
        bad = FactEntry("bad", Hashlock(object()), Woken(2))  # type: ignore[arg-type]
        with pytest.raises(sqlite3.Error):
            await journal.append([FactEntry("undone", key_of(0), Woken(1)), bad])
        await journal.append([FactEntry("next", key_of(0), Woken(3))])
        (fact,) = await journal.take(10)
        assert (fact.id, fact.body) == ("next", Woken(3))


async def test_a_commit_that_was_undone_has_taken_nothing_in(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    make = life()[0]
    async with await SqliteJournal.open(path, OWNER) as journal:
        await journal.append([make])
        (fact,) = await journal.take(10)
        done = stepped(fact, {}, at())

        def fails(tables: SqliteTables) -> None:
            tables.commit([done])
            raise ValueError("stop")

        with pytest.raises(ValueError, match="stop"):
            await journal._writer.run(fails)
        assert await journal.append([make]) == (Appended(fresh=False, consumed=False),)
        events = await journal.commit([done])
        assert await journal.append([make]) == (Appended(fresh=False, consumed=True),)
        assert await journal.events(0, 10) == events
        assert [taken.id for taken in await journal.history(make.key)] == [make.id]


class _UndoesNothing:
    """A connection to a disk that has failed: what cannot be committed cannot be undone either."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, statement: str, *arguments: Any) -> sqlite3.Cursor:
        if statement in ("COMMIT", "ROLLBACK"):
            raise sqlite3.OperationalError(f"disk I/O error at {statement}")
        return self._connection.execute(statement, *arguments)


def _breaks_rollback(tables: SqliteTables) -> None:
    tables.connection = _UndoesNothing(tables.connection)  # type: ignore[assignment]


def _breaks_release(tables: SqliteTables) -> None:
    tables.connection.close()


def _breaks_rollback_to(tables: SqliteTables) -> None:
    tables.connection.close()
    raise ValueError("stop")


def _damages(tables: SqliteTables) -> None:
    """As a disk does it under a running journal: a table is no longer where it is said to be."""
    execute = tables.connection.execute
    (version,) = execute("PRAGMA schema_version").fetchone()
    execute("PRAGMA writable_schema=ON")
    execute("UPDATE sqlite_schema SET rootpage=999999 WHERE name='answers'")
    execute(f"PRAGMA schema_version={version + 1}")
    execute("SELECT * FROM answers").fetchall()


@pytest.mark.parametrize(
    "fault", [_breaks_rollback, _breaks_release, _breaks_rollback_to, _damages]
)
async def test_a_journal_that_cannot_undo_answers_everybody_and_takes_nothing_more(
    fault: Callable[[SqliteTables], None], tmp_path: Path
) -> None:
    path = tmp_path / "journal.db"
    journal = await SqliteJournal.open(path, OWNER)
    await journal.append(life()[:1])
    assert len(await journal.take(10)) == 1
    async with asyncio.timeout(10):
        waiting = asyncio.create_task(journal.take(10))
        await asyncio.sleep(0)
        in_hand = await asyncio.gather(
            journal.append(life()[1:2]),
            journal._writer.run(fault),
            journal.append(life()[2:3]),
            return_exceptions=True,
        )
        (asleep,) = await asyncio.gather(waiting, return_exceptions=True)
        (later,) = await asyncio.gather(journal.append(life()[3:4]), return_exceptions=True)
        for answer in (*in_hand, asleep, later):
            assert isinstance(answer, JournalFailed)
            assert "start again" in str(answer)
            assert str(path) in str(answer)
        await journal.close()
    # The file was given up; only what had been confirmed is in it.
    async with await SqliteJournal.open(path, OWNER) as journal:
        assert [fact.id for fact in await journal.take(10)] == [life()[0].id]


# --- kill -9 -------------------------------------------------------------------------------------

BOUNDARIES = [
    "in create",
    "before append",
    "in append",
    "after append",
    "before commit",
    "in commit",
    "after commit",
]


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("nth", [1, 4])
async def test_a_process_killed_at_any_boundary_leaves_a_whole_move_or_none(
    boundary: str, nth: int, tmp_path: Path
) -> None:
    """The process is killed at the n-th time that it comes to the boundary. Then the next one goes
    on, and ends where one that was never killed ends."""
    path = tmp_path / "journal.db"
    first = await _start(boundary, path, str(nth))
    assert await first.wait() == -signal.SIGKILL or boundary == "in create"
    if path.exists():
        async with await SqliteJournal.open(path, OWNER) as journal:
            await _consistent(journal)
    second = await _start("finish", path)
    assert (await _line(second), await second.wait()) == ("finished", 0)
    async with await SqliteJournal.open(path, OWNER) as journal:
        assert await _consistent(journal) == len(life())
        expected: dict[Hashlock, Swap] = {}
        for swap in (await journal.restore()).swaps:
            expected[swap.hashlock] = swap
        assert [swap.phase for swap in expected.values()] == ["completed"]
        assert (await journal.restore()).intents == ()
        assert len(await journal.events(0, 1000)) > 5


async def _consistent(journal: SqliteJournal) -> int:
    """Snapshot, intents and events are exactly what the history gives. Returns its length."""
    state: Swap | None = None
    intents: set[str] = set()
    events = []
    history = await journal.history(key_of(0))
    for taken in history:
        move = step(state, Fact(taken.body, taken.at))
        state = move.state
        intents -= set(move.closed)
        intents |= {intent.id for intent in move.intents}
        events.extend(move.events)
    assert (await journal.restore()).swaps == (() if state is None else (state,))
    assert {intent.id for intent in (await journal.restore()).intents} == intents
    assert [event.event for event in await journal.events(0, 1000)] == events
    return len(history)


async def _start(mode: str, path: Path, *more: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.relayers.journal.mortal",
        mode,
        str(path),
        *more,
        stdout=subprocess.PIPE,
    )


async def _line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()
