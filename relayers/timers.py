"""When to look at which swap again: two kinds of alarm clock, the gateway's and each chain's.

A wake only makes the engine look; what follows is decided by the swap with the time that it then
is. Each is heeded once in a process, unless the time went back before it was looked at.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from adapters.model import ChainId, Hashlock
from relayers.protocol.wakes import Wake

_Alarm = tuple[int, Hashlock, Wake]


class Timers:
    """The wakes of all swaps. Rebuilt from the snapshots at each start."""

    def __init__(self) -> None:
        self._alarms: dict[ChainId | None, list[_Alarm]] = {}
        self._known: dict[Hashlock, tuple[Wake, ...]] = {}
        """Scheduled or heeded already."""

    def schedule(self, key: Hashlock, wakes: Iterable[Wake]) -> None:
        """Makes these the wakes of a swap; those it no longer wants are forgotten."""
        known = self._known.get(key, ())
        wanted = tuple(wakes)
        # Why no sets: a swap has a handful of wakes, and hashing them costs more than comparing.
        for wake in wanted:
            if wake not in known:
                alarm = (wake.at, key, wake)
                heapq.heappush(self._alarms.setdefault(wake.chain, []), alarm)
        if wanted:
            self._known[key] = wanted
        elif known:
            del self._known[key]

    def again(self, key: Hashlock, chain: ChainId | None, at: int) -> None:
        """Lets a wake that was heeded before its time be heeded once more."""
        heeded = Wake(at, chain)
        if key in self._known:
            self._known[key] = tuple(wake for wake in self._known[key] if wake != heeded)

    def due(self, chain: ChainId | None, time: int) -> list[tuple[Hashlock, Wake]]:
        """Takes out the wakes whose time has come."""
        alarms = self._alarms.get(chain)
        found = []
        while alarms and alarms[0][0] <= time:
            _, key, wake = heapq.heappop(alarms)
            # A swap may have moved on since, and then no longer wants it.
            if wake in self._known.get(key, ()):
                found.append((key, wake))
        return found

    def next_by_clock(self) -> int | None:
        """The next moment of the gateway's clock at which one is due."""
        alarms = self._alarms.get(None)
        while alarms and alarms[0][2] not in self._known.get(alarms[0][1], ()):
            heapq.heappop(alarms)
        return alarms[0][0] if alarms else None
