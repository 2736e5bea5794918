"""The stream of lock events: block by block from a cursor, woken by new blocks, all of it final.

A cursor is ``height:block hash:number of events in that block``; height 0 is the beginning.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.model import (
    ChainId,
    Cursor,
    FinalityViolation,
    Head,
    InvalidValue,
    Notice,
    Observation,
    Position,
    Stage,
)
from adapters.native.answers import Meta, read_block, read_events, read_metas
from adapters.native.cometbft.block import int64
from adapters.native.rpc_client import Implausible, RpcClient, RpcFailure
from adapters.native.wakeups import Wakeups
from adapters.spi import Misconfigured, Unavailable
from adapters.stretch import Stretch

LONGEST_STRETCH = 20
"""Blocks at a time: CometBFT's own limit on the headers of one answer."""

_CURSOR = re.compile(r"(0|[1-9][0-9]{0,18}):([0-9a-f]{64}):(0|[1-9][0-9]{0,9})")


@dataclass(frozen=True, slots=True)
class Place:
    """After which block the stream stands, and how many events that block had."""

    height: int
    hash: bytes
    events: int = 0

    def cursor(self) -> Cursor:
        return Cursor(f"{self.height}:{self.hash.hex()}:{self.events}")

    @classmethod
    def of(cls, cursor: Cursor | None) -> Place:
        """Raises InvalidValue."""
        if cursor is None:
            return BEGINNING
        match = _CURSOR.fullmatch(cursor.text)
        if match is None:
            raise InvalidValue("cursor is not one of a native chain")
        return cls(int(match[1]), bytes.fromhex(match[2]), int(match[3]))


BEGINNING = Place(0, bytes(32))


def head_of(chain: ChainId, newest: Meta) -> Head:
    """With the newest block, which is final at once."""
    height = newest.header.height
    return Head(chain, height, newest.hash, newest.header.time.seconds, height)


class EventStream:
    """``newest`` reads the newest block. Raises Unavailable, Misconfigured."""

    def __init__(
        self,
        chain: ChainId,
        client: RpcClient,
        newest: Callable[[], Awaitable[Meta]],
        stretch: Stretch,
    ) -> None:
        self._chain = chain
        self._client = client
        self._newest = newest
        self._stretch = stretch

    async def notices(self, place: Place, wakeups: Wakeups) -> AsyncIterator[Notice]:
        """Endless. Raises Unavailable, Misconfigured."""
        shown: Head | None = None
        async with wakeups:
            while True:
                await wakeups.subscribe()
                newest = await self._newest()
                head = head_of(self._chain, newest)
                if head.height < place.height:
                    raise Unavailable(
                        f"{self._chain}: the node is at height {head.height}, behind height "
                        f"{place.height} that was read before: it went back in time, or is still "
                        "catching up"
                    )
                if place.height == head.height and place.hash != head.hash:
                    place, violation = self._rewound(place, head.hash)
                    yield Notice(head, (), place.cursor(), violation)
                while place.height < head.height:
                    with self._stretch.reading(
                        min(self._stretch.blocks, head.height - place.height)
                    ):
                        metas = await self._metas(place, newest)
                        before = metas[0].header.last_block_id.hash
                        vanished = place != BEGINNING and before != place.hash
                        if not vanished:
                            place, observations = await self._observe(metas)
                    if vanished:
                        place, violation = self._rewound(place, before)
                        yield Notice(head, (), place.cursor(), violation)
                        continue
                    shown = head
                    yield Notice(head, observations, place.cursor())
                if shown is None:
                    shown = head
                    yield Notice(head, (), place.cursor())
                if place.height >= head.height:
                    await wakeups.wait()

    def _rewound(self, place: Place, seen: bytes) -> tuple[Place, FinalityViolation]:
        """The block that the stream stands after is not what it was: all is read anew."""
        return BEGINNING, FinalityViolation(place.height, place.hash, seen)

    async def _metas(self, place: Place, newest: Meta) -> Sequence[Meta]:
        """Of the blocks after the place, up to the newest at the most."""
        first, height = place.height + 1, newest.header.height
        if place == BEGINNING:
            first = await self._earliest()
        elif first == height:
            # Block by block there is nothing more to ask for: of three questions one is saved.
            return (newest,)
        metas = await self._read_metas(first, min(first + self._stretch.blocks - 1, height))
        if place == BEGINNING and metas[0].header.last_block_id.hash:
            raise Misconfigured(
                f"{self._chain}: the node keeps blocks only from height {first} on; events from "
                "the beginning need a node that keeps them all"
            )
        return metas

    async def _earliest(self) -> int:
        try:
            return await self._client.read("status", {}, _read_earliest)
        except RpcFailure as failure:
            raise Unavailable(f"{self._chain}: {failure}") from failure

    async def _read_metas(self, first: int, last: int) -> Sequence[Meta]:
        params = {"minHeight": str(first), "maxHeight": str(last)}
        try:
            return await self._client.read(
                "blockchain", params, lambda result: read_metas(result, first, last)
            )
        except RpcFailure as failure:
            raise Unavailable(f"{self._chain}: {failure}") from failure

    async def _observe(self, metas: Sequence[Meta]) -> tuple[Place, tuple[Observation, ...]]:
        observations: list[Observation] = []
        count = 0
        for meta in metas:
            found = await self._events(meta) if meta.transactions else []
            count = len(found)
            observations += found
        last = metas[-1]
        return Place(last.header.height, last.hash, count), tuple(observations)

    async def _events(self, meta: Meta) -> list[Observation]:
        height = {"height": str(meta.header.height)}
        try:
            seen, block = await self._client.read("block", height, read_block)
            if seen != meta.hash:
                raise Unavailable(f"{self._chain}: the node shows two blocks {meta.header.height}")
            found = await self._client.read(
                "block_results", height, lambda result: read_events(result, block, self._chain)
            )
        except RpcFailure as failure:
            raise Unavailable(f"{self._chain}: {failure}") from failure
        return [
            Observation(
                self._chain,
                entry.event,
                Stage.FINAL,
                Position(meta.header.height, meta.hash, index, entry.transaction),
            )
            for index, entry in enumerate(found)
        ]


def _read_earliest(result: Any) -> int:
    height = int64(result["sync_info"]["earliest_block_height"])
    if height < 1:
        raise Implausible("it has no block yet")
    return height
