"""An event loop whose time is made: when nothing is ready it jumps to the next timer.

It has no selector, socket or thread, so ten thousand of them are cheap, and nothing in it depends
on the machine. It leans on three names of asyncio's base loop (``_selector``, ``_process_events``,
``_write_to_self``), which every event loop of the standard library implements.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class NothingLeft(RuntimeError):
    """Every task waits and no timer is set: without this the run would hang."""


class MadeTimeLoop(asyncio.BaseEventLoop):
    def __init__(self, start: float) -> None:
        super().__init__()
        self._now = start
        self._selector = self

    def time(self) -> float:
        return self._now

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise NothingLeft("nothing is left to happen: a task waits for ever")
        if timeout > 0:
            self._now += timeout
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


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
