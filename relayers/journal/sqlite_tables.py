"""What is read from and written to the tables of a SQLite journal, in the writer's thread alone.

Rows are numbered here and written in batches: so many facts at a time are looked up, written and
marked as taken in that a statement for each would take as long as all the rest.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

from adapters.model import Cursor, Hashlock
from relayers.journal.opened import opened
from relayers.journal.port import (
    Answer,
    Appended,
    ChainCursor,
    Consumption,
    Dropped,
    FactEntry,
    Held,
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

_REMEMBERED = 10_000
"""Of facts just appended so many are kept decoded until they are taken."""

_AT_ONCE = 500
"""Facts that are looked up in one statement: SQLite takes 999 arguments or more."""

_LAST = "\U0010ffff"
"""Behind all text that begins so."""


@dataclass(frozen=True, slots=True)
class _Numbers:
    """The last ones given, and how far the inbox was consumed."""

    position: int
    offset: int
    step: int
    event: int
    moment: tuple[At, int] | None = None


class SqliteTables:
    """Every method runs within a transaction of the writer's, which calls ``back_to`` where it
    undoes one."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        (position,) = self._one("SELECT value FROM meta WHERE name='position'")
        (step,) = self._one("SELECT coalesce(max(step), 0) FROM facts")
        # Not the largest in the table: what is deleted keeps its number.
        given = dict(connection.execute("SELECT name, seq FROM sqlite_sequence"))
        self._numbers = _Numbers(int(position), given.get("facts", 0), step, given.get("events", 0))
        self._recent: dict[int, FactBody] = {}

    @property
    def position(self) -> int:
        """The offset up to which the inbox was consumed."""
        return self._numbers.position

    def numbers(self) -> _Numbers:
        """To be handed to ``back_to``."""
        return self._numbers

    def back_to(self, numbers: _Numbers) -> None:
        """What was done since ``numbers`` was undone in the tables."""
        self._numbers = numbers
        # The offsets of what was undone are given again, to other facts.
        self._recent.clear()

    def write_position(self) -> None:
        self.connection.execute(
            "UPDATE meta SET value=? WHERE name='position'", (str(self.position),)
        )

    # --- facts -------------------------------------------------------------------------------

    def append(
        self,
        facts: Sequence[FactEntry],
        bodies: Sequence[bytes],
        cursor: ChainCursor | None,
        answer: Answer | None,
    ) -> tuple[Appended, ...]:
        appended: list[Appended] = []
        for run in _runs(facts, bodies):
            appended.extend(self._append(run))
        if cursor is not None:
            self._move(cursor)
        if answer is not None:
            self.connection.execute(
                "INSERT INTO answers VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (answer.key, answer.fingerprint, answer.text),
            )
        return tuple(appended)

    def _append(self, run: Sequence[tuple[FactEntry, bytes]]) -> list[Appended]:
        first = run[0][0]
        if first.forgets is not None:
            self.connection.execute(
                "UPDATE facts SET once=NULL WHERE key=? AND id>=? AND id<?",
                (first.key, first.forgets, first.forgets + _LAST),
            )
        digests = [blake2b(entry.id.encode(), digest_size=16).digest() for entry, _ in run]
        known = dict(
            self.connection.execute(
                # Nothing but question marks is put into the statement.
                f"SELECT once, offset FROM facts WHERE once IN ({','.join('?' * len(digests))})",  # noqa: S608
                digests,
            )
        )
        appended: list[Appended] = []
        rows: list[tuple[Any, ...]] = []
        last = self._numbers.offset
        for (entry, body), once in zip(run, digests, strict=True):
            offset = known.get(once)
            if offset is not None:
                appended.append(Appended(fresh=False, consumed=offset <= self.position))
                continue
            last += 1
            known[once] = last
            rows.append((last, entry.id, once, entry.key, body))
            if len(self._recent) < _REMEMBERED:
                self._recent[last] = entry.body
            appended.append(Appended(fresh=True, consumed=False))
        self._numbers = replace(self._numbers, offset=last)
        self.connection.executemany(
            "INSERT INTO facts (offset, id, once, key, body) VALUES (?, ?, ?, ?, ?)", rows
        )
        return appended

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

    # --- what became of them -----------------------------------------------------------------

    def commit(self, consumptions: Sequence[Consumption]) -> tuple[StoredEvent, ...]:
        execute = self.connection.execute
        steps: list[Stepped] = []
        position = self.position
        for consumption in consumptions:
            offset = consumption.fact.offset
            if offset > position:
                position = offset
            else:
                execute("DELETE FROM held WHERE offset=?", (offset,))
            match consumption:
                case Stepped(_, _, move):
                    if move.ignored in TRACELESS:
                        execute("DELETE FROM facts WHERE offset=?", (offset,))
                    else:
                        steps.append(consumption)
                case Held(_, reason):
                    execute("INSERT INTO held VALUES (?, ?)", (offset, reason))
                case Dropped(_, reason):
                    execute("INSERT INTO dropped VALUES (?, ?)", (offset, reason))
        self._numbers = replace(self._numbers, position=position)
        self._take_in(steps)
        # Only the last of each swap and of each intent: those in between could be seen by nobody.
        self._write_snapshots({one.fact.key: one.move.state for one in steps if one.move.state})
        intents: dict[str, Intent | None] = {}
        for one in steps:
            intents.update(dict.fromkeys(one.move.closed))
            intents.update((intent.id, intent) for intent in opened(one.move))
        self._write_intents(intents)
        return self._write_events(steps)

    def _take_in(self, steps: Sequence[Stepped]) -> None:
        first = self._numbers.step + 1
        rows = []
        for number, one in enumerate(steps, first):
            why = one.move.ignored
            rows.append((number, self._moment(one.at), why and str(why), one.fact.offset))
        self._numbers = replace(self._numbers, step=self._numbers.step + len(rows))
        self.connection.executemany(
            "UPDATE facts SET step=?, moment=?, ignored=? WHERE offset=?", rows
        )

    def _moment(self, at: At) -> int:
        """The number of a stored moment; facts taken in together share one."""
        known = self._numbers.moment
        if known is not None and known[0] is at:
            return known[1]
        number = self.connection.execute(
            "INSERT INTO moments (body) VALUES (?)", (at_codec().encode(at),)
        ).lastrowid
        assert number is not None
        self._numbers = replace(self._numbers, moment=(at, number))
        return number

    def _write_snapshots(self, states: dict[Hashlock, Swap]) -> None:
        codec = swap_codec()
        self.connection.executemany(
            "INSERT INTO snapshots (key, body) VALUES (?, ?) "
            "ON CONFLICT (key) DO UPDATE SET body=excluded.body",
            [(key, codec.encode(state)) for key, state in states.items()],
        )

    def _write_intents(self, intents: dict[str, Intent | None]) -> None:
        """None: it is closed."""
        codec = intent_codec()
        closed = [(ident,) for ident, intent in intents.items() if intent is None]
        self.connection.executemany("DELETE FROM intents WHERE id=?", closed)
        self.connection.executemany(
            "INSERT INTO intents VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body=excluded.body",
            [(ident, codec.encode(intent)) for ident, intent in intents.items() if intent],
        )

    def _write_events(self, steps: Iterable[Stepped]) -> tuple[StoredEvent, ...]:
        codec = event_codec()
        told = ((one.fact.key, one.at.clock, event) for one in steps for event in one.move.events)
        events = tuple(
            StoredEvent(number, *event)
            for number, event in enumerate(told, self._numbers.event + 1)
        )
        self._numbers = replace(self._numbers, event=self._numbers.event + len(events))
        self.connection.executemany(
            "INSERT INTO events (number, key, at, body) VALUES (?, ?, ?, ?)",
            [(one.number, one.key, one.at, codec.encode(one.event)) for one in events],
        )
        return events

    def rebuild(self, state: Swap, intents: Sequence[Intent]) -> None:
        own = f"{state.hashlock.hex()}:"
        self.connection.execute("DELETE FROM intents WHERE id>=? AND id<?", (own, own + _LAST))
        self._write_intents({intent.id: intent for intent in intents})
        self._write_snapshots({state.hashlock: state})

    # --- chains ------------------------------------------------------------------------------

    def _move(self, cursor: ChainCursor) -> None:
        stored = self.connection.execute(
            "SELECT view FROM chains WHERE chain=?", (str(cursor.head.chain),)
        ).fetchone()
        frozen = view_codec().decode(stored[0]).frozen if stored is not None else None
        self.set_view(ChainView(cursor.head, frozen), cursor.cursor)

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

    def _one(self, query: str) -> Any:
        return self.connection.execute(query).fetchone()


def _runs(
    facts: Sequence[FactEntry], bodies: Sequence[bytes]
) -> Iterator[list[tuple[FactEntry, bytes]]]:
    """What can be looked up together: the first of a run may forget ids, no other."""
    run: list[tuple[FactEntry, bytes]] = []
    for entry, body in zip(facts, bodies, strict=True):
        if run and (entry.forgets is not None or len(run) == _AT_ONCE):
            yield run
            run = []
        run.append((entry, body))
    if run:
        yield run
