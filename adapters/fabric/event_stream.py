"""Lock events as notices, from the Gateway's stream of chaincode events.

A cursor is ``<block>:<block hash>:<transaction>``: the place of the last event that was told, or
``<first block>::`` before there was one. The stream resumes in that block, behind that transaction.
The block's hash is compared first: Fabric never takes a block back, so another hash means another
ledger under the old name, which is a finality violation, and the stream begins anew.

Events come out of one peer's own ledger. Queries need not: another endpoint may answer them, and a
peer hands them to whichever peer of its organisation has the longest ledger. A head is therefore
told only once the peer of the events was seen to hold it (CommitStatus is answered by the peer's
own ledger, too): a peer that has fallen behind would be silent while the head stays fresh.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from time import monotonic

from adapters.fabric.gateway import BlockEvents, Gateway
from adapters.fabric.ledger import LedgerReader
from adapters.fabric.lock_codec import Garbage, LockCodec
from adapters.model import (
    Cursor,
    FinalityViolation,
    Head,
    InvalidValue,
    Notice,
    Observation,
    Position,
)
from adapters.spi import Unavailable, Unknown

_CURSOR = re.compile(r"([0-9]{1,18}):(?:([0-9a-f]{64}):([0-9a-f]{64})|:)")


@dataclass(frozen=True, slots=True)
class _Place:
    block: int
    block_hash: bytes = b""
    transaction: str = ""

    def cursor(self) -> Cursor:
        return Cursor(f"{self.block}:{self.block_hash.hex()}:{self.transaction}")


def _read_cursor(cursor: Cursor) -> _Place:
    match = _CURSOR.fullmatch(cursor.text)
    if match is None:
        raise InvalidValue("the cursor is not one of a Fabric event stream")
    return _Place(int(match[1]), bytes.fromhex(match[2] or ""), match[3] or "")


class EventStream:
    """One stream; ``notices`` may be called once."""

    def __init__(
        self,
        name: str,
        gateway: Gateway,
        ledger: LedgerReader,
        codec: LockCodec,
        head: Callable[[], Awaitable[Head]],
        objection: Callable[[], str | None],
        *,
        first_block: int,
        poll_interval: float,
        patience: float,
    ) -> None:
        """``objection``: why the newest head is stale, if it is. ``patience``: seconds in which the
        peer of the events must come level with a head."""
        self._name = name
        self._gateway = gateway
        self._ledger = ledger
        self._codec = codec
        self._ask_head = head
        self._objection = objection
        self._first_block = first_block
        self._poll_interval = poll_interval
        self._patience = patience
        self._told: Head | None = None
        self._event_time = 0
        """Of the transaction of the last event, in seconds since 1970."""
        self._held = -1
        """The newest block that the peer of the events was seen to hold."""

    async def notices(self, cursor: Cursor | None) -> AsyncIterator[Notice]:
        """Raises Unavailable, Misconfigured; InvalidValue where the cursor is of another kind."""
        place = _Place(self._first_block) if cursor is None else _read_cursor(cursor)
        violation = await self._violation(place)
        if violation is not None:
            place = _Place(self._first_block)
            yield Notice(await self._head(0), (), place.cursor(), violation)
        peer = self._gateway.preferred
        events = self._gateway.chaincode_events(peer, place.block, place.transaction)
        next_events = asyncio.ensure_future(anext(events))
        told_at = monotonic()
        try:
            while True:
                await asyncio.wait({next_events}, timeout=self._poll_interval)
                if next_events.done():
                    told = next_events.result()
                    next_events = asyncio.ensure_future(anext(events))
                    place, observations = await self._observe(place, told)
                    self._held = max(self._held, told.block)
                else:
                    observations = ()
                before = self._told
                head = await self._head(place.block if place.transaction else 0)
                try:
                    await self._see_held(peer, head)
                except Unavailable:
                    if observations:
                        # What it has told is in the organisation's ledger all the same.
                        so_far = before or self._head_at(place, head)
                        yield Notice(so_far, observations, place.cursor())
                    raise
                if observations or before != head:
                    yield Notice(head, observations, place.cursor())
                    told_at = monotonic()
                elif monotonic() - told_at > 2 * self._patience:
                    # Before the caller gives up, who could only say that nothing comes.
                    objection = self._objection()
                    if objection is not None:
                        raise Unavailable(f"{self._name}: {objection}")
        finally:
            next_events.cancel()
            await asyncio.wait({next_events})
            await events.aclose()

    async def _violation(self, place: _Place) -> FinalityViolation | None:
        if not place.transaction:
            return None
        newest, _ = await self._ledger.newest()
        if newest < place.block:
            # It answers, so nothing else would make the next try ask another peer.
            self._gateway.prefer_another()
            raise Unavailable(
                f"{self._name}: the peer's ledger ends at block {newest}, before the cursor's "
                f"block {place.block}: it is behind, or it is another ledger"
            )
        block = await self._ledger.block(place.block)
        if block.hash == place.block_hash:
            return None
        return FinalityViolation(place.block, place.block_hash, block.hash)

    async def _observe(
        self, place: _Place, told: BlockEvents
    ) -> tuple[_Place, tuple[Observation, ...]]:
        found = []
        try:
            block = await self._ledger.block(told.block)
        except InvalidValue as error:
            self._gateway.prefer_another()
            raise Unavailable(
                f"{self._name}: a peer tells events of block {told.block}, which the peer that "
                "answers queries does not hold yet"
            ) from error
        order = {entry.id: index for index, entry in enumerate(block.transactions)}
        for event in told.events:
            if event.transaction not in order:
                raise Unavailable(
                    f"{self._name}: the peer tells an event of transaction {event.transaction}, "
                    f"which is not in block {told.block}"
                )
            place = _Place(block.number, block.hash, event.transaction)
            self._event_time = block.transactions[order[event.transaction]].timestamp
            try:
                read = self._codec.read_event(event.name, event.payload)
            except Garbage as error:
                raise Unavailable(f"{self._name}: {error}") from error
            if read is not None:
                position = Position(
                    block.number, block.hash, order[event.transaction], event.transaction
                )
                found.append(Observation(self._codec.chain, *read, position))
        return place, tuple(found)

    async def _head(self, least: int) -> Head:
        """The head as it is now. Of several peers one may be behind another; what was told once is
        not taken back, and does not grow younger by what a peer says that is behind it."""
        head = await self._ask_head()
        if self._told is not None and (
            head.height < self._told.height or head.time < self._told.time
        ):
            head = self._told
        if head.height < least:
            self._gateway.prefer_another()
            raise Unavailable(f"{self._name}: the peer's ledger is behind its own events")
        self._told = head
        return head

    def _head_at(self, place: _Place, newest: Head) -> Head:
        """The head as of the last event, whose time endorsers have held against their clocks."""
        as_of = min(self._event_time, newest.time)
        return Head(newest.chain, place.block, place.block_hash, as_of, place.block)

    async def _see_held(self, peer: str, head: Head) -> None:
        """Returns once the peer holds all that can have made events up to the head."""
        if head.height <= self._held:
            return
        transaction = await self._newest_valid(head.height)
        if transaction is not None:
            try:
                await self._gateway.commit_status(transaction, self._patience, peer)
            except Unknown as error:
                self._gateway.pass_over(peer)
                raise Unavailable(
                    f"{self._name}: {peer} tells the events and was not seen to hold block "
                    f"{head.height} within {self._patience:g} s, though another of the "
                    f"organisation's peers does: {error}"
                ) from error
        self._held = head.height

    async def _newest_valid(self, height: int) -> str | None:
        """The newest transaction that may have made an event, in the blocks that the peer of the
        events has not been seen to hold."""
        for number in range(height, self._held, -1):
            for entry in reversed((await self._ledger.block(number)).transactions):
                if entry.valid and entry.id:
                    return entry.id
        return None
