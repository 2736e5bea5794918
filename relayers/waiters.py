"""Those who wait to be told what became of a fact, by the fact's id."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class Waiters(Generic[T]):
    """Whoever waits makes a future with ``wait`` and takes it back with ``forget``, come what
    may."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[asyncio.Future[T]]] = {}
        self._stopped: Exception | None = None

    def wait(self, fact_id: str) -> asyncio.Future[T]:
        """Raises what ``stop`` was given, if it was."""
        if self._stopped is not None:
            raise self._stopped
        waiter: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(fact_id, []).append(waiter)
        return waiter

    def forget(self, fact_id: str, waiter: asyncio.Future[T]) -> None:
        if waiter.done() and not waiter.cancelled():
            waiter.exception()  # taken note of, also where nobody awaits it any more
        waiters = self._waiting.get(fact_id)
        if waiters is not None and waiter in waiters:
            waiters.remove(waiter)
            if not waiters:
                del self._waiting[fact_id]

    def __contains__(self, fact_id: str) -> bool:
        """Whether somebody waits for this fact."""
        return fact_id in self._waiting

    def answer(self, fact_id: str, outcome: T | Exception) -> None:
        for waiter in self._waiting.pop(fact_id, ()):
            settle(waiter, outcome)

    def stop(self, why: Exception) -> None:
        """Tells all who wait now, and whoever comes, that no answer will come."""
        self._stopped = why
        for waiters in self._waiting.values():
            for waiter in waiters:
                settle(waiter, why)


def settle(waiter: asyncio.Future[T], outcome: T | BaseException) -> None:
    """Answers one who waits, unless he was answered before or has gone."""
    if waiter.done():
        return
    if isinstance(outcome, BaseException):
        waiter.set_exception(outcome)
    else:
        waiter.set_result(outcome)
