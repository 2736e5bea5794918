"""Which holdings the transactions in flight are spending, so that an own next one takes others."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass

from adapters.spi import NotSent, Rejected, RejectionReason


@dataclass(frozen=True, slots=True)
class Choice:
    """Holdings to spend, of so many that the account has."""

    names: tuple[str, ...]
    of: int


Chooser = Callable[[Collection[str]], Awaitable[Choice]]
"""Chooses holdings, none of those given. Raises Rejected where the rest is worth too little."""


class Reserved:
    """What one transaction spends. ``sent`` says that it may have been ordered."""

    def __init__(self, choice: Choice) -> None:
        self.choice = choice
        self.sent = False
        self.settled = False

    def mark_sent(self) -> None:
        self.sent = True

    def mark_settled(self) -> None:
        """The ledger has taken or refused it: there is nothing in flight any more."""
        self.settled = True


class Reservations:
    """For one adapter. A holding whose transaction's fate is not known stays reserved for
    ``doubt`` seconds; by then it was committed, or lost."""

    def __init__(self, doubt: float, clock: Callable[[], float]) -> None:
        """``clock``: monotonic, in seconds."""
        self._doubt = doubt
        self._clock = clock
        self._until: dict[str, float] = {}
        self._turn = asyncio.Lock()
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def reserve(self, choose: Chooser, patience: float) -> AsyncIterator[Reserved]:
        """Reserves what ``choose`` chooses, for as long as the context lasts. Where all that the
        account has is in flight, waits up to ``patience`` seconds for some of it to come back.

        Raises what ``choose`` raises, and NotSent when patience ends.
        """
        reserved = Reserved(await self._choose(choose, self._clock() + patience))
        try:
            yield reserved
        finally:
            in_doubt = reserved.sent and not reserved.settled
            for name in reserved.choice.names:
                if in_doubt:
                    self._until[name] = self._clock() + self._doubt
                else:
                    self._until.pop(name, None)
            self._freed.set()

    async def _choose(self, choose: Chooser, limit: float) -> Choice:
        while True:
            async with self._turn:
                now = self._clock()
                self._until = {name: end for name, end in self._until.items() if end > now}
                self._freed.clear()
                try:
                    choice = await choose(tuple(self._until))
                except Rejected as error:
                    if not self._until or error.reason is not RejectionReason.INSUFFICIENT_BALANCE:
                        raise
                else:
                    self._until.update(dict.fromkeys(choice.names, math.inf))
                    return choice
            wake = min([limit, *self._until.values()]) - self._clock()
            if limit <= self._clock():
                raise NotSent("what the account holds is being spent by transactions in flight")
            try:
                await asyncio.wait_for(self._freed.wait(), max(wake, 0.0))
            except TimeoutError:
                continue
