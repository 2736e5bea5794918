"""An event loop whose time is made: when nothing is left to do it jumps to the next timer.

``patience``: real seconds to wait for other threads (a journal on disk) before time may jump.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

START = 1_000_000.0


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self, patience: float = 0.0) -> None:
        self._now = START
        super().__init__(_Selector(self, patience))

    def time(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds


class _Selector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop, patience: float) -> None:
        super().__init__()
        self._loop = loop
        self._patience = patience

    def select(self, timeout: float | None = None) -> Any:
        if timeout is not None and timeout <= 0:
            return super().select(0)
        # With no timer set only another thread can go on; a disk may take its time.
        ready = super().select(10 if timeout is None and self._patience else self._patience)
        if ready:
            return ready
        if timeout is None:
            raise RuntimeError("nothing is left to happen: a task waits for ever")
        self._loop.advance(timeout)
        return []


def run(main: Coroutine[Any, Any, T], patience: float = 0.0) -> T:
    """Runs to the end in made time. The loop's time is the Unix time of the test."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(patience)) as runner:
        return runner.run(main)


def clock() -> float:
    """The clock port, on the running loop's time."""
    return asyncio.get_running_loop().time()
