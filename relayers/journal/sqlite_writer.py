"""The one thread that owns the connection to a SQLite journal.

What is asked of it while it writes is done together in the next transaction (group commit): one
wait for the disk serves many.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from relayers.journal import sqlite_file
from relayers.journal.port import JournalFailed
from relayers.journal.sqlite_tables import SqliteTables

T = TypeVar("T")

_GROUP = 256
"""At most so many requests share one transaction."""


class _Request:
    __slots__ = ("error", "future", "result", "work")

    def __init__(self, work: Callable[[SqliteTables], Any], future: asyncio.Future[Any]) -> None:
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
    """The thread that owns the connection. What is handed to ``run`` is called in it.

    A failed transaction that cannot even be undone leaves the connection in a state that nobody
    knows. It is then closed, and all that is asked from then on is refused with JournalFailed.
    """

    def __init__(self, path: Path, owner: str) -> None:
        self._path = path
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._started: asyncio.Future[int] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._closing = False
        self._broken: JournalFailed | None = None
        self._tables: SqliteTables
        self.on_broken: Callable[[], None] = _nothing
        """Called in the loop's thread once the connection is given up."""
        self._thread = threading.Thread(target=self._main, name="journal", daemon=True)
        self._thread.start()

    async def started(self) -> int:
        """Returns the offset up to which the inbox was consumed before."""
        return await self._started

    async def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._queue.put(None)
        await asyncio.shield(self._ended)

    async def run(self, work: Callable[[SqliteTables], T]) -> T:
        """Raises JournalFailed, and what ``work`` raises."""
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
            self._tables = SqliteTables(sqlite_file.connect(self._path, self._owner))
        except Exception as error:  # noqa: BLE001 - it is handed to whoever opens
            self._tell(_set_exception, self._started, error)
            self._tell(_set_result, self._ended, None)
            return
        self._tell(_set_result, self._started, self._tables.position)
        try:
            more = True
            while more:
                more = self._serve()
        finally:
            self._disconnect()
            self._tell(_set_result, self._ended, None)

    def _tell(self, call: Callable[..., None], *arguments: Any) -> None:
        # A loop that is closed has nobody left to tell.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call, *arguments)

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
            self._tables.connection.close()

    def _transact(self, requests: list[_Request]) -> None:
        tables = self._tables
        numbers = tables.numbers()
        try:
            tables.connection.execute("BEGIN IMMEDIATE")
            for request in requests:
                self._attempt(request)
            if tables.position != numbers.position:
                tables.write_position()
            tables.connection.execute("COMMIT")
        except sqlite3.Error as error:
            if _is_damage(error):
                raise  # Nothing that is read or written from here on could be relied on.
            # Where this fails too, nobody knows what is written: see _give_up.
            if tables.connection.in_transaction:
                tables.connection.execute("ROLLBACK")
            tables.back_to(numbers)
            failed = JournalFailed(
                f"journal {self._path} could not be written ({error}); nothing of it was; see "
                "that the disk has room and start again"
            )
            for request in requests:
                request.error = failed

    def _attempt(self, request: _Request) -> None:
        """One request in a savepoint of its own, so that its failure is its own."""
        tables = self._tables
        numbers = tables.numbers()
        tables.connection.execute("SAVEPOINT request")
        try:
            request.result = request.work(tables)
        except sqlite3.OperationalError:
            raise
        except Exception as error:
            if _is_damage(error):
                raise
            tables.connection.execute("ROLLBACK TO request")
            tables.back_to(numbers)
            request.error = error
        tables.connection.execute("RELEASE request")


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


def _set_result(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _set_exception(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
