"""A process that runs until it is told to stop by a signal."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeVar

from gateway import garbage


class Process(Protocol):
    """What runs until it is asked to stop."""

    async def run(self) -> None: ...

    def stop(self) -> None: ...


P = TypeVar("P", bound=Process)


async def until_signalled(
    opened: Callable[[], AbstractAsyncContextManager[P]], serving: Callable[[P], None]
) -> None:
    """Builds and runs a process. The first SIGTERM or SIGINT asks it to stop; the second, or one
    that comes while it is still being built, cancels it."""
    loop = asyncio.get_running_loop()
    built: list[P] = []
    signals = 0

    async def work() -> None:
        async with opened() as process:
            garbage.settle()
            built.append(process)
            serving(process)
            await process.run()

    task = asyncio.create_task(work())

    def signalled() -> None:
        nonlocal signals
        signals += 1
        if built and signals == 1:
            built[0].stop()
        else:
            task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled)
    try:
        await task
    except asyncio.CancelledError:
        if not signals:
            raise
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
