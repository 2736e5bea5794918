"""The watcher of one chain: turns what its node shows into facts, and keeps the head fresh.

It resumes from the cursor that was stored with the last facts, so that nothing is missed; what is
told twice has the same fact id and is taken in once. When the node fails it connects again, with
bounded waits, for as long as it runs; ``state`` says how it stands.

Silence is what a stream shows in which nothing comes, not even of older blocks. The chain is then
stale after the profile's ``stale_after``, whatever the stream may yet be reading, and the stream is
broken off: it may hang. But it may also have been reading what takes long, and to be broken off at
the same place again would keep the watcher from ever catching up. So the next one is given longer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Protocol

from adapters.model import (
    ChainId,
    Cursor,
    Head,
    LockClaimed,
    LockEvent,
    LockOpened,
    LockRecord,
    LockRefunded,
    LockState,
    Notice,
    Observation,
    Position,
    Stage,
    hashlock_of,
)
from adapters.spi import Adapter, AdapterError, Unavailable
from adapters.values import dataclass, replace
from relayers.backoff import Backoff
from relayers.clock import Clock
from relayers.fatal import Fatal
from relayers.journal.port import ChainCursor, FactEntry
from relayers.protocol.facts import Observed
from relayers.protocol.state import Leg, Settlement, Swap

_log = logging.getLogger(__name__)

_CURSOR_EVERY = 30
"""Seconds after which a cursor is stored though no event came: some blocks are then read again
after a restart, and in return a quiet chain does not write to the disk with every block."""

_MOST_PATIENCE = 8
"""Times ``stale_after`` that a stream may be silent, where those before it were silent too."""


@dataclass(frozen=True, slots=True)
class WatcherState:
    """How a watcher stands. Times are the gateway's clock."""

    connected: bool = False
    head: Head | None = None
    head_at: float | None = None
    """When the head last moved."""
    failures: int = 0
    """In a row, since something last came."""
    error: str | None = None
    since: float | None = None
    """Since when there has been an error."""
    stale: bool = False
    """The newest head is older than the chain's profile allows, or the node is silent."""
    went_back: str | None = None
    """The last time that the node's head went back, in words."""


class Listener(Protocol):
    """Who is told what a chain shows: the ``Engine``, whose methods say what each means, or a
    watchtower. Raises Fatal where it can take nothing in any more."""

    async def cursor(self, chain: ChainId) -> Cursor | None: ...

    async def observe(
        self, head: Head, entries: Sequence[FactEntry] = (), cursor: ChainCursor | None = None
    ) -> None: ...

    async def freeze(self, head: Head, reason: str) -> None: ...

    async def look(self, chain: ChainId) -> None: ...

    def swaps(self) -> Sequence[Swap]: ...


class Watcher:
    """Watches one chain for one listener."""

    def __init__(
        self, listener: Listener, adapter: Adapter, clock: Clock, backoff: Backoff
    ) -> None:
        self._listener = listener
        self._adapter = adapter
        self._clock = clock
        self._backoff = backoff
        self._chain = adapter.profile.chain
        self._name = adapter.profile.name
        self._cursor_stored = float("-inf")
        self._patience = 1
        """Times ``stale_after``, at present."""
        self._prompt_since = float("-inf")
        """Since when every notice has come within ``stale_after``."""
        self._state = WatcherState()

    @property
    def chain(self) -> ChainId:
        return self._chain

    @property
    def state(self) -> WatcherState:
        return self._state

    async def run(self) -> None:
        """Runs until cancelled. Raises Fatal where the listener can take nothing in any more."""
        cursor = await self._listener.cursor(self._chain)
        while True:
            self._prompt_since = self._clock()
            try:
                async with aclosing(_stream(self._adapter, cursor)) as notices:
                    first = True
                    while True:
                        notice = await self._next(notices)
                        await self._take(notice)
                        cursor = notice.cursor
                        if first:
                            await self._reconcile(notice.head)
                            first = False
            except Fatal:
                raise
            except AdapterError as error:
                await self._failed(str(error))
            except Exception as error:  # noqa: BLE001 - a node may answer what no driver foresaw
                # The class alone: an error's text may quote what it stumbled over.
                await self._failed(f"{self._name}: {type(error).__name__} in taking in its events")
            await asyncio.sleep(self._backoff.pause(self._state.failures))

    async def _next(self, notices: AsyncGenerator[Notice]) -> Notice:
        # In a second more the newest head is stale for sure, whose age is told in whole seconds.
        limit = self._adapter.profile.stale_after + 1
        try:
            if self._patience > 1:
                return await self._late(notices, limit)
            async with asyncio.timeout(limit):
                notice = await anext(notices)
            self._learn(prompt=True)
            return notice
        except TimeoutError:
            silence = self._patience * limit
            self._patience = min(_MOST_PATIENCE, 2 * self._patience)
            raise Unavailable(
                f"{self._name}: the node has shown no new head for {silence} s"
            ) from None
        except StopAsyncIteration:
            raise Unavailable(f"{self._name}: the node ended the stream of events") from None

    async def _late(self, notices: AsyncGenerator[Notice], limit: int) -> Notice:
        """One that may be long in coming; the chain is marked stale meanwhile. Raises TimeoutError,
        and whatever the stream raises."""
        coming = asyncio.ensure_future(anext(notices))
        try:
            for silent in range(self._patience):
                if silent:
                    await self._mark_silent()
                await asyncio.wait({coming}, timeout=limit)
                if coming.done():
                    self._learn(prompt=not silent)
                    return coming.result()
            raise TimeoutError
        finally:
            if not coming.done():
                coming.cancel()
                # A stream cannot be closed while it is still at its next notice.
                await asyncio.wait({coming})
                if not coming.cancelled():
                    coming.exception()

    def _learn(self, *, prompt: bool) -> None:
        """Patience ends once notices have come promptly for longer than it lasts: the first ones
        of a stream may be prompt where those after it take long."""
        if not prompt:
            self._prompt_since = self._clock()
        elif (
            self._clock() - self._prompt_since > self._patience * self._adapter.profile.stale_after
        ):
            self._patience = 1

    async def _take(self, notice: Notice) -> None:
        head = notice.head
        self._seen(head)
        if notice.violation is not None:
            broken = notice.violation
            reason = (
                f"the final block {broken.height} ({broken.expected.hex()}) was replaced by "
                f"{broken.seen.hex()}: the chain broke its finality rule"
            )
            _log.critical("%s: %s", self._name, reason)
            # Before the facts: from here on no new lock and no new reveal is made there.
            await self._listener.freeze(head, reason)
        entries = tuple(entry_of(observation) for observation in notice.observations)
        cursor = None
        if entries or self._clock() - self._cursor_stored >= _CURSOR_EVERY:
            cursor = ChainCursor(notice.cursor, head)
            self._cursor_stored = self._clock()
        await self._listener.observe(head, entries, cursor)
        await self._mark_stale(self._is_old(head))

    def _seen(self, head: Head) -> None:
        before = self._state.head
        went_back = self._state.went_back
        if before is not None and (head.height, head.time) < (before.height, before.time):
            went_back = (
                f"from block {before.height} (time {before.time}) to {head.height} ({head.time})"
            )
            _log.warning("%s: the head went back %s", self._name, went_back)
        moved = before != head
        self._state = replace(
            self._state,
            connected=True,
            head=head,
            head_at=self._clock() if moved else self._state.head_at,
            failures=0,
            error=None,
            since=None,
            went_back=went_back,
        )

    async def _failed(self, error: str) -> None:
        if self._state.error != error:
            _log.warning("%s; connecting again", error)
        self._state = replace(
            self._state,
            connected=False,
            failures=self._state.failures + 1,
            error=error,
            since=self._state.since if self._state.since is not None else self._clock(),
        )
        await self._mark_silent()

    async def _mark_silent(self) -> None:
        head = self._state.head
        await self._mark_stale(head is None or self._is_old(head))

    def _is_old(self, head: Head) -> bool:
        # In whole seconds, as the swaps judge: they look once, and must agree.
        return int(self._clock()) - head.time > self._adapter.profile.stale_after

    async def _mark_stale(self, stale: bool) -> None:
        if stale == self._state.stale:
            return
        self._state = replace(self._state, stale=stale)
        if stale:
            _log.error("%s: the newest head is stale", self._name)
            # No fact comes from a silent chain: let the swaps on it notice, and say so.
            await self._listener.look(self._chain)

    async def _reconcile(self, head: Head) -> None:
        """Asks the chain for what was pending when the stream broke off: a reorg in between takes
        an event back without a word, because the new stream knows only the new fork."""
        for swap in self._listener.swaps():
            for leg in (swap.a, swap.b):
                if leg is None or leg.terms.chain != self._chain or not _pending(leg):
                    continue
                record = await self._adapter.lookup(leg.lock_id)
                entries = [
                    entry_of(_retracted(self._chain, event, seen, head))
                    for event, seen in _gone(swap, leg, record)
                ]
                if entries:
                    await self._listener.observe(head, entries)


async def _stream(adapter: Adapter, cursor: Cursor | None) -> AsyncGenerator[Notice]:
    """The adapter's event stream, closed with this one."""
    notices = adapter.events(cursor)
    try:
        async for notice in notices:
            yield notice
    finally:
        if isinstance(notices, AsyncGenerator):
            await notices.aclose()


def entry_of(observation: Observation) -> FactEntry:
    """An observation as a fact. The id holds all that tells one event at one stage from another;
    a retraction lets the same event come again, since a reorg can return to the old fork."""
    event, position = observation.event, observation.position
    subject = f"{observation.chain}/{event.lock_id.hex()}/{_KINDS[type(event)]}/"
    return FactEntry(
        id=f"{subject}{observation.stage}/{position.block_hash.hex()}"
        f"/{position.transaction}/{position.index}",
        key=hashlock_of(event),
        body=Observed(observation),
        forgets=subject if observation.stage is Stage.RETRACTED else None,
    )


_KINDS: dict[type[LockEvent], str] = {
    LockOpened: "opened",
    LockClaimed: "claimed",
    LockRefunded: "refunded",
}


def _pending(leg: Leg) -> bool:
    return leg.opened is Stage.PENDING or leg.settled_stage is Stage.PENDING


def _gone(swap: Swap, leg: Leg, record: LockRecord) -> list[tuple[LockEvent, Position | None]]:
    """The pending events of a leg that the chain no longer shows, and where each was last seen."""
    gone: list[tuple[LockEvent, Position | None]] = []
    if leg.settled_stage is Stage.PENDING:
        if leg.settled is Settlement.REFUNDED and record.state is not LockState.REFUNDED:
            gone.append((LockRefunded(leg.lock_id, swap.hashlock), leg.settled_by))
        if leg.settled is Settlement.CLAIMED and record.state is not LockState.CLAIMED:
            assert swap.preimage is not None
            claimed = LockClaimed(leg.lock_id, swap.hashlock, swap.preimage)
            gone.append((claimed, leg.settled_by))
    if leg.opened is Stage.PENDING and record.state is LockState.ABSENT:
        gone.append((LockOpened(leg.lock_id, leg.terms), leg.opened_by))
    return gone


def _retracted(chain: ChainId, event: LockEvent, seen: Position | None, head: Head) -> Observation:
    """Of the very block in which it was seen: what came in another block since stays."""
    position = seen or Position(head.height, head.hash, 0, "")
    return Observation(chain, event, Stage.RETRACTED, position)
