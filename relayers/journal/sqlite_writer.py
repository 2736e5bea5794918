"""The one thread that owns the connection to a SQLite journal.

What is asked of it while it writes is done together in the next transaction (group commit): one
wait for the disk serves many.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

from adapters.model import Cursor, Hashlock
from relayers.journal import sqlite_file
from relayers.journal.opened import opened
from relayers.journal.port import (
    Answer,
    Appended,
    ChainCursor,
    Consumption,
    Dropped,
    FactEntry,
    Held,
    JournalCorrupt,
    JournalFailed,
    Stepped,
    StoredEvent,
    StoredFact,
)
from relayers.journal.records import (
    at_codec,
    event_codec,
    fact_codec,
    intent_codec,
    swap_codec,
    view_codec,
)
from relayers.protocol.facts import At, ChainView, FactBody
from relayers.protocol.intents import Intent
from relayers.protocol.state import TRACELESS, Swap

T = TypeVar("T")

_GROUP = 256
"""At most so many requests share one transaction."""

_REMEMBERED = 10_000
"""Of facts just appended so many are kept decoded until they are taken."""


class _Request:
    __slots__ = ("error", "future", "result", "work")

    def __init__(self, work: Callable[[SqliteWriter], Any], future: asyncio.Future[Any]) -> None:
        self.work = work
        self.future = future
        self.result: Any = None
        self.error: Exception | None = None

    def settle(self) -> None:
        if self.future.done():  # whoever asked was cancelled
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class SqliteWriter:
    """The thread that owns the connection. Its methods below ``run`` are called in it alone.

    A failed transaction that cannot even be undone leaves the connection in a state that nobody
    knows. It is then closed, and all that is asked from then on is refused with JournalFailed.
    """

    def __init__(self, path: Path, owner: str) -> None:
        self._path = path
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._started: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._closing = False
        self._recent: dict[int, FactBody] = {}
        self._moment: tuple[At, int] | None = None
        self._steps = 0
        self._uncommitted = 0
        self._broken: JournalFailed | None = None
        self.connection: sqlite3.Connection
        self.position = 0
        self.on_broken: Callable[[], None] = _nothing
        """Called in the loop's thread once the connection is given up."""
        self._thread = threading.Thread(target=self._main, name="journal", daemon=True)
        self._thread.start()

    async def started(self) -> None:
        await self._started

    async def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._queue.put(None)
        await asyncio.shield(self._ended)

    async def run(self, work: Callable[[SqliteWriter], T]) -> T:
        if self._closing:
            raise JournalFailed(f"journal {self._path} is closed")
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(_Request(work, future))
        return await future

    # --- in the thread -----------------------------------------------------------------------

    def _main(self) -> None:
        try:
            if not self._path.exists():
                sqlite_file.create(self._path, self._owner)
            self.connection = sqlite_file.connect(self._path, self._owner)
            self._restore()
        except Exception as error:  # noqa: BLE001 - it is handed to whoever opens
            self._tell(_set_exception, self._started, error)
            self._tell(_set_result, self._ended)
            return
        self._tell(_set_result, self._started)
        try:
            more = True
            while more:
                more = self._serve()
        finally:
            self._disconnect()
            self._tell(_set_result, self._ended)

    def _tell(self, call: Callable[..., None], *arguments: Any) -> None:
        # A loop that is closed has nobody left to tell.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call, *arguments)

    def _restore(self) -> None:
        (position,) = self.connection.execute(
            "SELECT value FROM meta WHERE name='position'"
        ).fetchone()
        self.position = int(position)
        (steps,) = self.connection.execute("SELECT coalesce(max(step), 0) FROM facts").fetchone()
        self._steps = steps

    def _serve(self) -> bool:
        requests: list[_Request] = []
        first = self._queue.get()
        more = first is not None
        if first is not None:
            requests.append(first)
        while more and len(requests) < _GROUP:
            try:
                request = self._queue.get_nowait()
            except queue.Empty:
                break
            if request is None:
                more = False
            else:
                requests.append(request)
        if requests:
            if self._broken is None:
                try:
                    self._transact(requests)
                except Exception as error:  # noqa: BLE001 - it is handed to all who ask
                    self._give_up(error)
            if self._broken is not None:
                for request in requests:
                    request.error = self._broken
            self._tell(_settle, requests)
        return more

    def _give_up(self, error: Exception) -> None:
        why = str(error) if isinstance(error, sqlite3.Error) else type(error).__name__
        self._broken = JournalFailed(
            f"journal {self._path} failed and could not undo what it had begun ({why}), so it "
            "takes nothing more; see that the disk is sound and start again: what is found then is "
            "what was written"
        )
        # Closing undoes what was not committed.
        self._disconnect()
        self._tell(self.on_broken)

    def _disconnect(self) -> None:
        with suppress(sqlite3.Error):
            self.connection.close()

    def _transact(self, requests: list[_Request]) -> None:
        position, steps, moment = self.position, self._steps, self._moment
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            for request in requests:
                self._attempt(request)
            if self.position != position:
                self.connection.execute(
                    "UPDATE meta SET value=? WHERE name='position'", (str(self.position),)
                )
            self.connection.execute("COMMIT")
        except sqlite3.Error as error:
            if _is_damage(error):
                raise  # Nothing that is read or written from here on could be relied on.
            # Where this fails too, nobody knows what is written: see _give_up.
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            self.position, self._steps, self._moment = position, steps, moment
            self._recent.clear()
            failed = JournalFailed(
                f"journal {self._path} could not be written ({error}); nothing of it was; see "
                "that the disk has room and start again"
            )
            for request in requests:
                request.error = failed

    def _attempt(self, request: _Request) -> None:
        """One request in a savepoint of its own, so that its failure is its own."""
        position, steps, moment = self.position, self._steps, self._moment
        self.connection.execute("SAVEPOINT request")
        try:
            request.result = request.work(self)
        except sqlite3.OperationalError:
            raise
        except Exception as error:
            if _is_damage(error):
                raise
            self.connection.execute("ROLLBACK TO request")
            self.position, self._steps, self._moment = position, steps, moment
            # The offsets of what was undone are given again, to other facts.
            self._recent.clear()
            request.error = error
        self.connection.execute("RELEASE request")

    def append(
        self,
        facts: Sequence[FactEntry],
        bodies: Sequence[bytes],
        cursor: ChainCursor | None,
        answer: Answer | None,
    ) -> tuple[Appended, ...]:
        execute = self.connection.execute
        appended = []
        for entry, body in zip(facts, bodies, strict=True):
            if entry.forgets is not None:
                execute(
                    "UPDATE facts SET once=NULL WHERE key=? AND id>=? AND id<?",
                    (entry.key, entry.forgets, entry.forgets + "\U0010ffff"),
                )
            once = blake2b(entry.id.encode(), digest_size=16).digest()
            row = execute(
                "INSERT INTO facts (id, once, key, body) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (once) DO NOTHING RETURNING offset",
                (entry.id, once, entry.key, body),
            ).fetchone()
            if row is not None:
                if len(self._recent) < _REMEMBERED:
                    self._recent[row[0]] = entry.body
                appended.append(Appended(fresh=True, consumed=False))
                continue
            (offset,) = execute("SELECT offset FROM facts WHERE once=?", (once,)).fetchone()
            appended.append(Appended(fresh=False, consumed=offset <= self.position))
        if cursor is not None:
            chain = cursor.head.chain
            stored = execute("SELECT view FROM chains WHERE chain=?", (str(chain),)).fetchone()
            frozen = view_codec().decode(stored[0]).frozen if stored is not None else None
            self.set_view(ChainView(cursor.head, frozen), cursor.cursor)
        if answer is not None:
            execute(
                "INSERT INTO answers VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (answer.key, answer.fingerprint, answer.text),
            )
        return tuple(appended)

    def set_view(self, view: ChainView, cursor: Cursor | None = None) -> None:
        self.connection.execute(
            "INSERT INTO chains VALUES (?, ?, ?) ON CONFLICT (chain) DO UPDATE SET "
            "cursor=coalesce(excluded.cursor, cursor), view=excluded.view",
            (
                str(view.head.chain),
                cursor.text if cursor is not None else None,
                view_codec().encode(view),
            ),
        )

    def take(self, after: int, limit: int) -> tuple[StoredFact, ...]:
        rows = self.connection.execute(
            "SELECT offset, id, key, body FROM facts WHERE offset>? ORDER BY offset LIMIT ?",
            (after, limit),
        ).fetchall()
        taken = []
        for offset, ident, key, body in rows:
            known = self._recent.pop(offset, None)
            fact = known if known is not None else fact_codec().read(body)
            taken.append(StoredFact(offset, ident, Hashlock(key), fact))
        return tuple(taken)

    def commit(self, consumptions: Sequence[Consumption]) -> tuple[StoredEvent, ...]:
        execute = self.connection.execute
        events: list[StoredEvent] = []
        snapshots: dict[Hashlock, Swap] = {}
        for consumption in consumptions:
            offset = consumption.fact.offset
            if offset > self.position:
                self.position = offset
            else:
                execute("DELETE FROM held WHERE offset=?", (offset,))
            match consumption:
                case Stepped():
                    self._stepped(consumption, events)
                    if consumption.move.state is not None:
                        snapshots[consumption.fact.key] = consumption.move.state
                case Held(_, reason):
                    execute("INSERT INTO held VALUES (?, ?)", (offset, reason))
                case Dropped(_, reason):
                    execute("INSERT INTO dropped VALUES (?, ?)", (offset, reason))
        # Only the last of each swap: those in between could be seen by nobody.
        codec = swap_codec()
        self.connection.executemany(
            "INSERT INTO snapshots (key, body) VALUES (?, ?) "
            "ON CONFLICT (key) DO UPDATE SET body=excluded.body",
            ((key, codec.encode(state)) for key, state in snapshots.items()),
        )
        return tuple(events)

    def rebuild(self, state: Swap, intents: Sequence[Intent]) -> None:
        key = state.hashlock
        execute = self.connection.execute
        own = f"{key.hex()}:"
        execute("DELETE FROM intents WHERE id>=? AND id<?", (own, own + "\U0010ffff"))
        for intent in intents:
            execute("INSERT INTO intents VALUES (?, ?)", (intent.id, intent_codec().encode(intent)))
        execute(
            "INSERT INTO snapshots (key, body) VALUES (?, ?) "
            "ON CONFLICT (key) DO UPDATE SET body=excluded.body",
            (key, swap_codec().encode(state)),
        )

    def _stepped(self, stepped: Stepped, events: list[StoredEvent]) -> None:
        execute = self.connection.execute
        fact, move = stepped.fact, stepped.move
        if move.ignored in TRACELESS:
            execute("DELETE FROM facts WHERE offset=?", (fact.offset,))
            return
        self._steps += 1
        execute(
            "UPDATE facts SET step=?, moment=?, ignored=? WHERE offset=?",
            (
                self._steps,
                self._moment_of(stepped.at),
                move.ignored.value if move.ignored is not None else None,
                fact.offset,
            ),
        )
        for closed in move.closed:
            execute("DELETE FROM intents WHERE id=?", (closed,))
        for intent in opened(move):
            execute(
                "INSERT INTO intents VALUES (?, ?) "
                "ON CONFLICT (id) DO UPDATE SET body=excluded.body",
                (intent.id, intent_codec().encode(intent)),
            )
        for event in move.events:
            number = execute(
                "INSERT INTO events (key, at, body) VALUES (?, ?, ?)",
                (fact.key, stepped.at.clock, event_codec().encode(event)),
            ).lastrowid
            if number is None:
                raise JournalCorrupt(f"journal {self._path} gave an event no number")
            events.append(StoredEvent(number, fact.key, stepped.at.clock, event))

    def _moment_of(self, at: At) -> int:
        """The number of a stored moment; facts taken in together share one."""
        if self._moment is not None and self._moment[0] is at:
            return self._moment[1]
        number = self.connection.execute(
            "INSERT INTO moments (body) VALUES (?)", (at_codec().encode(at),)
        ).lastrowid
        assert number is not None
        self._moment = (at, number)
        return number


def _is_damage(error: Exception) -> bool:
    """Whether SQLite says that the file itself is not what it should be."""
    codes = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    return isinstance(error, sqlite3.Error) and (
        getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF in codes
    )


def _nothing() -> None:
    pass


def _settle(requests: list[_Request]) -> None:
    for request in requests:
        request.settle()


def _set_result(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _set_exception(future: asyncio.Future[None], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
