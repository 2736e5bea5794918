"""Which sequence number an account's next transaction takes, with several on their way at once.

The chain is the authority: what is remembered here is a copy of its record, as the node sees it
with the transactions that wait, and it is read again when in doubt. Nothing is kept on disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from adapters.native.app.records import SEQUENCE_WINDOW, Account

Fetch = Callable[[bytes], Awaitable[Account]]


class WindowFull(Exception):
    """As many transactions of the account wait as the chain lets wait."""


class Turn:
    """One transaction's turn: nobody else takes a number of this account meanwhile."""

    def __init__(self, book: SequenceBook, account: bytes) -> None:
        self._book = book
        self._account = account

    async def next(self) -> int:
        """The lowest number that is free. Raises WindowFull."""
        record = self._book.known.get(self._account)
        if record is None:
            record = self._book.known[self._account] = await self._book.fetch(self._account)
        for sequence in range(record.sequence, record.sequence + SEQUENCE_WINDOW):
            if record.can_use(sequence):
                return sequence
        self.forget()
        raise WindowFull

    def taken(self, sequence: int) -> None:
        self._book.known[self._account] = self._book.known[self._account].use(sequence)

    def forget(self) -> None:
        """The copy is not to be trusted: it is read from the chain when it is needed again."""
        self._book.known.pop(self._account, None)


class SequenceBook:
    def __init__(self, fetch: Fetch) -> None:
        self.fetch = fetch
        self.known: dict[bytes, Account] = {}
        self._locks: dict[bytes, asyncio.Lock] = {}

    @asynccontextmanager
    async def turn(self, account: bytes) -> AsyncIterator[Turn]:
        """Turns of one account come one after another; accounts do not wait for each other."""
        async with self._locks.setdefault(account, asyncio.Lock()):
            yield Turn(self, account)
