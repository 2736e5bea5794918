"""Whose turn it is to use a signer: so many holders at a time as its chain serves, the most urgent
of those waiting next.

A queue in order of arrival would let a heap of refunds, which lose nothing by waiting, hold up a
claim past its deadline, which loses the asset. One holder at a time, on a chain that tells of a
submission only once it is in a block, would let a heap of dust do the same to a large claim.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from relayers.protocol.timelocks import at_once_beside_claims


@dataclass(frozen=True, slots=True, order=True)
class Urgency:
    """Smaller goes first: claims (0) before all else (1), then the nearest ``deadline`` (Unix
    seconds), then what has been locked since longest (``since``, Unix seconds).

    What is at stake does not count: amounts of different assets cannot be compared.
    """

    rank: int
    deadline: int
    since: int = 0


class SignerTurns:
    """The turns of one signer, of which ``at_once`` may be held at a time, most of them by claims
    only. Who has the same urgency goes in the order of arrival."""

    def __init__(self, at_once: int = 1) -> None:
        self._all = _Places(at_once)
        self._beside_claims = _Places(at_once_beside_claims(at_once))
        self._single = _Places(1)

    @asynccontextmanager
    async def turn(self, urgency: Urgency) -> AsyncIterator[None]:
        """Holds the signer, beside others. Cancelling a wait gives up the place in it."""
        async with AsyncExitStack() as places:
            if urgency.rank > 0:
                await places.enter_async_context(self._beside_claims.place(urgency))
            await places.enter_async_context(self._all.place(urgency))
            yield

    @asynccontextmanager
    async def sole_turn(self, urgency: Urgency) -> AsyncIterator[None]:
        """The same, beside no other that is held by this call: for what may stand in the way of its
        like, as two locks do that an account has the means for one of. Who waits for the other to
        end takes nobody's turn meanwhile."""
        async with self._single.place(urgency), self.turn(urgency):
            yield


class _Places:
    """So many that can be held at a time."""

    def __init__(self, number: int) -> None:
        self._free = number
        self._numbers = itertools.count()
        self._waiting: list[tuple[Urgency, int, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def place(self, urgency: Urgency) -> AsyncIterator[None]:
        await self._take(urgency)
        try:
            yield
        finally:
            self._pass_on()

    async def _take(self, urgency: Urgency) -> None:
        if self._free:
            self._free -= 1
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
        self._free += 1
