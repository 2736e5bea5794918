"""An event loop whose time is made: when nothing is ready it jumps to the next timer.

It has no selector, socket or thread, so ten thousand of them are cheap, and nothing in it depends
on the machine. It leans on three names of asyncio's base loop (``_ready``, ``_run_once`` and a
handle's ``_run``), which it is faster to replace than to obey.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class NothingLeft(RuntimeError):
    """Every task waits and no timer is set: without this the run would hang."""


class MadeTimeLoop(asyncio.BaseEventLoop):
    def __init__(self, start: float) -> None:
        super().__init__()
        self._now = start
        self._timers: list[tuple[float, int, asyncio.Handle]] = []
        self._numbers = itertools.count()

    def time(self) -> float:
        return self._now

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> Any:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
        # Timers of one moment come in the order in which they were set.
        handle = asyncio.Handle(callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._numbers), handle))
        return handle

    def _run_once(self) -> None:
        ready, timers = self._ready, self._timers
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)
        if not ready:
            if not timers:
                raise NothingLeft("nothing is left to happen: a task waits for ever")
            self._now = max(self._now, timers[0][0])
        while timers and timers[0][0] <= self._now:
            ready.append(heapq.heappop(timers)[2])
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle.cancelled():
                handle._run()


def run(main: Coroutine[Any, Any, T], start: float) -> T:
    """Runs to the end, from this time on (Unix seconds)."""
    loop = MadeTimeLoop(start)
    try:
        return loop.run_until_complete(main)
    finally:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def clock() -> float:
    """The clock port, on the running loop's time."""
    return asyncio.get_running_loop().time()
