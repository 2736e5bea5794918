"""The journal in one SQLite file: WAL, ``synchronous=FULL``, one process, one thread.

Here is what a journal promises; ``sqlite_writer.py`` is the thread that owns the connection,
``sqlite_tables.py`` what it reads and writes, and ``sqlite_file.py`` the file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from adapters.model import ChainId, Cursor, Hashlock
from relayers.journal.port import (
    Answer,
    Appended,
    ChainCursor,
    Consumption,
    FactEntry,
    Held,
    JournalCorrupt,
    Restored,
    StoredEvent,
    StoredFact,
    Taken,
    Unreadable,
    unreadable_event,
)
from relayers.journal.records import (
    at_codec,
    event_codec,
    fact_codec,
    intent_codec,
    swap_codec,
    view_codec,
)
from relayers.journal.restored import restored
from relayers.journal.sqlite_writer import SqliteWriter
from relayers.protocol.facts import ChainView
from relayers.protocol.intents import Intent
from relayers.protocol.state import Ignored, Swap, UserEvent


class SqliteJournal:
    """Satisfies ``Journal``. ``owner`` names the organisation that it belongs to."""

    def __init__(self, writer: SqliteWriter, position: int) -> None:
        self._writer = writer
        self._grown = asyncio.Event()
        self._delivered = position
        # Whoever waits for facts is then told too, by asking the writer again.
        writer.on_broken = self._grown.set

    @classmethod
    async def open(cls, path: Path, owner: str) -> Self:
        """Opens the journal, or makes it where there is none. Raises JournalError: in use,
        corrupt, too new, of another owner; then the file is as it was."""
        writer = SqliteWriter(path, owner)
        return cls(writer, await writer.started())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # --- writing -----------------------------------------------------------------------------

    async def append(
        self,
        facts: Sequence[FactEntry],
        *,
        cursor: ChainCursor | None = None,
        answer: Answer | None = None,
    ) -> tuple[Appended, ...]:
        # Encoding is done here, so that a value that cannot be written harms nobody else's write.
        codec = fact_codec()
        bodies = [codec.encode(entry.body) for entry in facts]
        appended = await self._writer.run(
            lambda tables: tables.append(facts, bodies, cursor, answer)
        )
        self._grown.set()
        return appended

    async def commit(self, consumptions: Sequence[Consumption]) -> tuple[StoredEvent, ...]:
        return await self._writer.run(lambda tables: tables.commit(consumptions))

    async def rebuild(self, state: Swap, intents: Sequence[Intent]) -> None:
        await self._writer.run(lambda tables: tables.rebuild(state, intents))

    async def set_frozen(self, view: ChainView) -> None:
        await self._writer.run(lambda tables: tables.set_view(view))

    # --- reading -----------------------------------------------------------------------------

    async def take(self, limit: int) -> tuple[StoredFact, ...]:
        while True:
            self._grown.clear()
            facts = await self._writer.run(lambda tables: tables.take(self._delivered, limit))
            if facts:
                self._delivered = facts[-1].offset
                return facts
            await self._grown.wait()

    async def restore(self) -> Restored:
        snapshots, intents = await self._writer.run(
            lambda tables: (
                tables.connection.execute(
                    "SELECT key, body FROM snapshots ORDER BY key"
                ).fetchall(),
                tables.connection.execute("SELECT id, body FROM intents ORDER BY id").fetchall(),
            )
        )
        swap, intent = swap_codec(), intent_codec()
        return restored(
            ((key, swap.read(body)) for key, body in snapshots),
            ((ident, intent.read(body)) for ident, body in intents),
        )

    async def chains(self) -> tuple[ChainView, ...]:
        rows = await self._rows("SELECT view FROM chains ORDER BY chain")
        return tuple(view_codec().decode(view) for (view,) in rows)

    async def cursor(self, chain: ChainId) -> Cursor | None:
        rows = await self._rows("SELECT cursor FROM chains WHERE chain=?", str(chain))
        return Cursor(rows[0][0]) if rows and rows[0][0] is not None else None

    async def events(
        self, after: int, limit: int, key: Hashlock | None = None
    ) -> tuple[StoredEvent, ...]:
        columns = "SELECT number, key, at, body FROM events"
        if key is None:
            rows = await self._rows(
                f"{columns} WHERE number>? ORDER BY number LIMIT ?", after, limit
            )
        else:
            rows = await self._rows(
                f"{columns} WHERE key=? AND number>? ORDER BY number LIMIT ?", key, after, limit
            )
        return tuple(
            StoredEvent(number, Hashlock(of), at, _event(body)) for number, of, at, body in rows
        )

    async def history(self, key: Hashlock) -> tuple[Taken, ...]:
        rows = await self._rows(
            "SELECT offset, id, facts.body, moments.body, ignored FROM facts "
            "JOIN moments ON moment=number WHERE key=? AND step IS NOT NULL ORDER BY step",
            key,
        )
        return tuple(
            Taken(
                offset,
                ident,
                fact_codec().decode(body),
                at_codec().decode(at),
                _ignored(ignored),
            )
            for offset, ident, body, at, ignored in rows
        )

    async def held(self) -> tuple[Held, ...]:
        rows = await self._rows(
            "SELECT offset, id, key, body, reason FROM held JOIN facts USING (offset) "
            "ORDER BY offset"
        )
        return tuple(
            Held(StoredFact(offset, ident, Hashlock(key), fact_codec().read(body)), reason)
            for offset, ident, key, body, reason in rows
        )

    async def answer(self, key: str) -> Answer | None:
        rows = await self._rows("SELECT key, fingerprint, text FROM answers WHERE key=?", key)
        return Answer(*rows[0]) if rows else None

    async def close(self) -> None:
        """Ends the thread after what was asked of it before. Idempotent."""
        await self._writer.close()

    async def _rows(self, query: str, *arguments: Any) -> list[Any]:
        return await self._writer.run(
            lambda tables: tables.connection.execute(query, arguments).fetchall()
        )


def _ignored(word: str | None) -> Ignored | None:
    try:
        return Ignored(word) if word is not None else None
    except ValueError:
        raise JournalCorrupt(
            f"a stored fact was ignored for a reason that this version does not know, {word!r}; "
            "use the version that wrote it, or a newer one"
        ) from None


def _event(body: bytes) -> UserEvent:
    match event_codec().read(body):
        case Unreadable(reason):
            return unreadable_event(reason)
        case event:
            return event
