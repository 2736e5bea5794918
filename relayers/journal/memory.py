"""A journal in memory, for simulations and tests: the same promises, and crashes on demand.

The ``MemoryStore`` is the disk: it outlives the process. A ``MemoryJournal`` is one process's grip
on it. Before and after each write takes effect a hook is called, which may raise to play a process
that dies there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice

from adapters.model import ChainId, Cursor, Hashlock
from relayers.journal.opened import opened
from relayers.journal.port import (
    Answer,
    Appended,
    ChainCursor,
    Consumption,
    Dropped,
    FactEntry,
    Held,
    JournalInUse,
    Restored,
    Stepped,
    StoredEvent,
    StoredFact,
    Taken,
    Unreadable,
)
from relayers.journal.restored import restored
from relayers.protocol.facts import ChainView
from relayers.protocol.intents import Intent
from relayers.protocol.state import TRACELESS, Swap


class Boundary(StrEnum):
    """Where a process can die, as seen from the disk."""

    BEFORE_APPEND = "before_append"
    AFTER_APPEND = "after_append"
    BEFORE_COMMIT = "before_commit"
    AFTER_COMMIT = "after_commit"
    BEFORE_FREEZE = "before_freeze"
    AFTER_FREEZE = "after_freeze"


CrashHook = Callable[[Boundary], None]


def no_crash(boundary: Boundary) -> None:
    """The hook of a process that does not die."""


@dataclass(slots=True)
class MemoryStore:
    """What the disk holds. Values are frozen, so nothing is copied."""

    owner: str = ""
    in_use: bool = False
    facts: list[StoredFact | None] = field(default_factory=list)
    """By offset - 1; None where a fact left no trace."""
    ids: dict[str, int] = field(default_factory=dict)
    position: int = 0
    taken_by_key: dict[Hashlock, list[Taken]] = field(default_factory=dict)
    swaps: dict[Hashlock, Swap | Unreadable] = field(default_factory=dict)
    """Unreadable: as a test plays a damaged record."""
    intents: dict[str, Intent | Unreadable] = field(default_factory=dict)
    events: list[StoredEvent] = field(default_factory=list)
    cursors: dict[ChainId, Cursor] = field(default_factory=dict)
    views: dict[ChainId, ChainView] = field(default_factory=dict)
    held: dict[int, Held] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)


class MemoryJournal:
    """Satisfies ``Journal``. Raises JournalInUse while another one has the store open."""

    def __init__(self, store: MemoryStore, crash: CrashHook = no_crash) -> None:
        if store.in_use:
            raise JournalInUse("the journal in memory is open already; close it first")
        store.in_use = True
        self._store = store
        self._crash = crash
        self._delivered = store.position
        self._grown = asyncio.Event()

    # --- writing -----------------------------------------------------------------------------

    async def append(
        self,
        facts: Sequence[FactEntry],
        *,
        cursor: ChainCursor | None = None,
        answer: Answer | None = None,
    ) -> tuple[Appended, ...]:
        store = self._store
        self._crash(Boundary.BEFORE_APPEND)
        appended = tuple(self._append(entry) for entry in facts)
        if cursor is not None:
            chain = cursor.head.chain
            view = store.views.get(chain)
            store.cursors[chain] = cursor.cursor
            store.views[chain] = ChainView(cursor.head, view.frozen if view is not None else None)
        if answer is not None:
            store.answers.setdefault(answer.key, answer)
        self._crash(Boundary.AFTER_APPEND)
        self._grown.set()
        return appended

    def _append(self, entry: FactEntry) -> Appended:
        store = self._store
        if entry.forgets is not None:
            for known in [known for known in store.ids if known.startswith(entry.forgets)]:
                del store.ids[known]
        offset = store.ids.get(entry.id)
        if offset is not None:
            return Appended(fresh=False, consumed=offset <= store.position)
        offset = len(store.facts) + 1
        store.facts.append(StoredFact(offset, entry.id, entry.key, entry.body))
        store.ids[entry.id] = offset
        return Appended(fresh=True, consumed=False)

    async def commit(self, consumptions: Sequence[Consumption]) -> tuple[StoredEvent, ...]:
        self._crash(Boundary.BEFORE_COMMIT)
        events: list[StoredEvent] = []
        for consumption in consumptions:
            store, fact = self._store, consumption.fact
            store.position = max(store.position, fact.offset)
            store.held.pop(fact.offset, None)
            match consumption:
                case Stepped():
                    events.extend(self._stepped(consumption))
                case Held():
                    store.held[fact.offset] = consumption
                case Dropped():
                    pass
        self._crash(Boundary.AFTER_COMMIT)
        return tuple(events)

    def _stepped(self, stepped: Stepped) -> Sequence[StoredEvent]:
        store, fact, move = self._store, stepped.fact, stepped.move
        if move.ignored in TRACELESS:
            store.facts[fact.offset - 1] = None
            if store.ids.get(fact.id) == fact.offset:
                del store.ids[fact.id]
            return ()
        assert not isinstance(fact.body, Unreadable)
        taken = Taken(fact.offset, fact.id, fact.body, stepped.at, move.ignored)
        store.taken_by_key.setdefault(fact.key, []).append(taken)
        if move.state is not None:
            store.swaps[fact.key] = move.state
        for closed in move.closed:
            store.intents.pop(closed, None)
        for intent in opened(move):
            store.intents[intent.id] = intent
        first = len(store.events) + 1
        events = [
            StoredEvent(number, fact.key, stepped.at.clock, event)
            for number, event in enumerate(move.events, first)
        ]
        store.events.extend(events)
        return events

    async def rebuild(self, state: Swap, intents: Sequence[Intent]) -> None:
        store = self._store
        self._crash(Boundary.BEFORE_COMMIT)
        for ident in [ident for ident in store.intents if ident.startswith(state.hashlock.hex())]:
            del store.intents[ident]
        store.swaps[state.hashlock] = state
        store.intents.update((intent.id, intent) for intent in intents)
        self._crash(Boundary.AFTER_COMMIT)

    async def set_frozen(self, view: ChainView) -> None:
        self._crash(Boundary.BEFORE_FREEZE)
        self._store.views[view.head.chain] = view
        self._crash(Boundary.AFTER_FREEZE)

    # --- reading -----------------------------------------------------------------------------

    async def take(self, limit: int) -> tuple[StoredFact, ...]:
        facts = self._store.facts
        while self._delivered >= len(facts):
            self._grown.clear()
            await self._grown.wait()
        batch = facts[self._delivered : self._delivered + limit]
        self._delivered += len(batch)
        return tuple(fact for fact in batch if fact is not None)

    async def restore(self) -> Restored:
        return restored(self._store.swaps.items(), self._store.intents.items())

    async def chains(self) -> tuple[ChainView, ...]:
        return tuple(self._store.views.values())

    async def cursor(self, chain: ChainId) -> Cursor | None:
        return self._store.cursors.get(chain)

    async def events(
        self, after: int, limit: int, key: Hashlock | None = None
    ) -> tuple[StoredEvent, ...]:
        # Numbers count from 1, so the event behind ``after`` stands at that index.
        newer = self._store.events[max(0, after) :]
        return tuple(islice((event for event in newer if key is None or event.key == key), limit))

    async def history(self, key: Hashlock) -> tuple[Taken, ...]:
        return tuple(self._store.taken_by_key.get(key, ()))

    async def held(self) -> tuple[Held, ...]:
        return tuple(self._store.held[offset] for offset in sorted(self._store.held))

    async def answer(self, key: str) -> Answer | None:
        return self._store.answers.get(key)

    async def close(self) -> None:
        """As the end of a process does, planned or not."""
        self._store.in_use = False
