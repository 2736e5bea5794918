"""The journal: the one durable record of an organisation's gateway.

It has an inbox of facts and, written in one move, what became of each: the swap's new snapshot, the
intents opened and closed, the events for users, and the moment (``At``) at which the fact was taken
in. Nothing else is needed to go on after a crash, and nothing else is kept.

The shape fits a database (SQLite) as well as a log (Kafka): the inbox is a topic keyed by hashlock,
``take`` is a poll, and ``commit`` is one transaction with the consumed offsets.

One engine at a time owns a journal; the implementations see to that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from adapters.model import ChainId, Cursor, Hashlock, Head
from adapters.values import dataclass
from relayers.fatal import Fatal
from relayers.protocol.facts import At, ChainView, FactBody
from relayers.protocol.intents import Intent
from relayers.protocol.state import Ignored, Level, Move, Swap, UserEvent

SCHEMA_VERSION = 1
"""Of everything that is written. A journal of a newer one is refused."""


class JournalError(Fatal):
    """The root. The message is one sentence that names the journal and what to do."""


class JournalInUse(JournalError):
    """Another process has it open."""


class JournalCorrupt(JournalError):
    """It cannot be read as what it should be: truncated, damaged, or something else."""


class JournalTooNew(JournalError):
    """A newer version of this program wrote it."""


class WrongOwner(JournalError):
    """It belongs to another organisation."""


class JournalFailed(JournalError):
    """A write did not succeed (a full disk, for example). Nothing of it was written."""


# --- what goes in --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FactEntry:
    """A fact to be taken in once. ``id`` says what happened, so that the same news told twice is
    one fact. ``forgets``: ids that begin so may come again after this one, as after a reorg."""

    id: str
    key: Hashlock
    body: FactBody
    forgets: str | None = None


@dataclass(frozen=True, slots=True)
class ChainCursor:
    """How far a chain has been read, with the head that was the newest then."""

    cursor: Cursor
    head: Head


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered to a request under an idempotency key. ``fingerprint`` is of the request,
    so that another request under the same key is recognised; ``text`` is the caller's own."""

    key: str
    fingerprint: str
    text: str


@dataclass(frozen=True, slots=True)
class Appended:
    """``fresh``: it was not there before. ``consumed``: the engine has already dealt with it."""

    fresh: bool
    consumed: bool


# --- what the engine does with it ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Unreadable:
    """In place of a fact that is stored but cannot be read; why, in one sentence."""

    reason: str


@dataclass(frozen=True, slots=True)
class StoredFact:
    """A fact in the inbox. ``offset`` grows with every fact of the journal."""

    offset: int
    id: str
    key: Hashlock
    body: FactBody | Unreadable


@dataclass(frozen=True, slots=True)
class Stepped:
    """A fact was taken in at ``at``, and this is what became of it."""

    fact: StoredFact
    at: At
    move: Move


@dataclass(frozen=True, slots=True)
class Held:
    """A fact that cannot be processed, or that waits behind one; kept until an operator replays or
    drops it."""

    fact: StoredFact
    reason: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """A held fact that an operator gave up. It stays in the record, with the reason."""

    fact: StoredFact
    reason: str


Consumption = Stepped | Held | Dropped


# --- what comes out ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """Something that users were told. ``number`` grows by an unspecified step; ``at`` is the
    gateway's clock."""

    number: int
    key: Hashlock
    at: int
    event: UserEvent


def unreadable_event(reason: str) -> UserEvent:
    """Stands in for an event that is stored and cannot be read."""
    return UserEvent("unreadable", Level.WARNING, reason)


@dataclass(frozen=True, slots=True)
class Taken:
    """A fact of a swap's history. Stepping through a history gives the snapshot exactly."""

    offset: int
    id: str
    body: FactBody
    at: At
    ignored: Ignored | None


@dataclass(frozen=True, slots=True)
class UnreadableSwap:
    """A swap whose snapshot, or an open intent, is stored and cannot be read; why, in one
    sentence. It must be neither acted on nor overwritten."""

    key: Hashlock
    reason: str


@dataclass(frozen=True, slots=True)
class Restored:
    """What an engine goes on from. A swap is in it whole, or among ``unreadable`` alone."""

    swaps: tuple[Swap, ...]
    intents: tuple[Intent, ...]
    """Those opened and not closed."""
    unreadable: tuple[UnreadableSwap, ...] = ()


class Journal(Protocol):
    """Every method may raise JournalFailed. Each write is durable when it returns, or did not
    happen; after a crash in between it is wholly one or the other."""

    # writing

    async def append(
        self,
        facts: Sequence[FactEntry],
        *,
        cursor: ChainCursor | None = None,
        answer: Answer | None = None,
    ) -> tuple[Appended, ...]:
        """Takes facts into the inbox, a chain's cursor and an idempotency answer with them, all or
        nothing. A fact whose id is there already is left as it is; so is an answer."""

    async def commit(self, consumptions: Sequence[Consumption]) -> tuple[StoredEvent, ...]:
        """Writes what became of facts, in the order given. Returns the user events as stored.

        A fact that was ignored because there is no swap, or for a stranger's lock that changes
        nothing, leaves no trace: anybody can lock under any hashlock, and must not fill the journal
        with it (``TRACELESS``).
        """

    async def rebuild(self, state: Swap, intents: Sequence[Intent]) -> None:
        """Writes a swap's snapshot, and its open intents in place of all those stored: what its
        history gives, where what was stored cannot be read."""

    async def set_frozen(self, view: ChainView) -> None:
        """Records that a chain is frozen, and why, or no longer."""

    # reading

    async def take(self, limit: int) -> tuple[StoredFact, ...]:
        """The next facts, oldest first, after those taken before; waits until there is one. After
        opening it begins behind the last fact that was consumed."""

    async def restore(self) -> Restored:
        """The swaps as they were last written. What cannot be read of one swap hides no other.
        Raises JournalCorrupt where something cannot even be told to belong to a swap."""

    async def chains(self) -> tuple[ChainView, ...]:
        """Each chain as it was last stored. Raises JournalCorrupt, JournalTooNew: whether a chain
        is frozen must be known."""

    async def cursor(self, chain: ChainId) -> Cursor | None: ...

    async def events(
        self, after: int, limit: int, key: Hashlock | None = None
    ) -> tuple[StoredEvent, ...]:
        """User events with a number above ``after``, oldest first; of one swap where a key is
        given. In place of one that cannot be read comes ``unreadable_event``."""

    async def history(self, key: Hashlock) -> tuple[Taken, ...]:
        """Raises JournalCorrupt, JournalTooNew where a part of it cannot be read."""

    async def held(self) -> tuple[Held, ...]:
        """What is in quarantine, in the order in which it was taken in."""

    async def answer(self, key: str) -> Answer | None: ...

    async def close(self) -> None: ...
