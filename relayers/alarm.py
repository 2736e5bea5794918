"""Puts a swap's wakes into the journal's inbox once their time has come.

A wake that was put there stands among the heeded until it is taken in: where its time turns out not
to have come by then (a clock that was set back, a reorg), it is to come again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

from adapters.model import Hashlock
from relayers.clock import Clock
from relayers.heads import Heads
from relayers.journal.port import FactEntry
from relayers.protocol.facts import At, Woken
from relayers.protocol.state import Swap
from relayers.protocol.wakes import Wake, wakes
from relayers.timers import Timers


class Alarm:
    """``recheck``: seconds after which the gateway's clock is read again at the latest, so that a
    clock that was set does not keep a timer waiting."""

    def __init__(self, clock: Clock, heads: Heads, recheck: float) -> None:
        self._clock = clock
        self._heads = heads
        self._recheck = recheck
        self._timers = Timers()
        self._heeded: dict[str, Wake] = {}
        """The wakes on their way through the inbox, by fact id."""
        self._ring = asyncio.Event()

    def set(self, swaps: Iterable[Swap]) -> None:
        """These swaps are as they are here from now on; each wants other wakes than before."""
        for state in swaps:
            self._timers.schedule(state.hashlock, wakes(state))
        self.ring()

    def ring(self) -> None:
        """Something on which wakes hang may have moved: look at once."""
        self._ring.set()

    def taken_in(self, fact: str, key: Hashlock, at: At) -> bool:
        """Whether the fact with this id, taken in at ``at``, was a wake of this swap."""
        wake = self._heeded.pop(fact, None)
        if wake is None:
            return False
        if not _come(wake, at):
            self._timers.again(key, wake.chain, wake.at)
        return True

    async def run(self, append: Callable[[Sequence[FactEntry]], Awaitable[object]]) -> None:
        """Runs until it is cancelled. Raises what ``append`` does."""
        while True:
            self._ring.clear()
            clock = self._clock()
            due = self._timers.due(None, int(clock))
            for chain, view in self._heads.views().items():
                due.extend(self._timers.due(chain, view.head.time))
            if due:
                await append([self._woken(key, wake, clock) for key, wake in due])
            soonest = self._timers.next_by_clock()
            pause = self._recheck if soonest is None else min(self._recheck, soonest - clock)
            try:
                async with asyncio.timeout(max(0.0, pause)):
                    await self._ring.wait()
            except TimeoutError:
                pass

    def _woken(self, key: Hashlock, wake: Wake, clock: float) -> FactEntry:
        # The clock makes it another fact each time: a wake that came too soon comes again.
        ident = f"{key.hex()}/woken/{wake.chain or 'clock'}/{wake.at}/{clock}"
        self._heeded[ident] = wake
        return FactEntry(ident, key, Woken(wake.at, wake.chain))


def _come(wake: Wake, at: At) -> bool:
    """Whether the wake's time had come when it was looked at."""
    if wake.chain is None:
        return at.clock >= wake.at
    view = at.view(wake.chain)
    return view is not None and view.head.time >= wake.at
