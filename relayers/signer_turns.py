"""Whose turn it is to use a signer: one holder at a time, the most urgent of those waiting next.

A queue in order of arrival would let a heap of refunds, which lose nothing by waiting, hold up a
claim past its deadline, which loses the asset.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Urgency:
    """Smaller goes first: claims (0) before all else (1), then the nearest ``deadline`` (Unix
    seconds)."""

    rank: int
    deadline: int


class SignerTurns:
    """The turns of one signer. Who has the same urgency goes in the order of arrival."""

    def __init__(self) -> None:
        self._held = False
        self._numbers = itertools.count()
        self._waiting: list[tuple[Urgency, int, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def turn(self, urgency: Urgency) -> AsyncIterator[None]:
        """Holds the signer. Cancelling a wait gives up the place in it."""
        await self._take(urgency)
        try:
            yield
        finally:
            self._pass_on()

    async def _take(self, urgency: Urgency) -> None:
        if not self._held:
            self._held = True
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (urgency, next(self._numbers), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                # The turn had come in the same moment: the next one must not wait for ever.
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                return
        self._held = False
