"""A process that takes one swap's facts through a SQLite journal, and dies where it is told to.

    python -m tests.relayers.journal.mortal MODE PATH [NTH]

MODE: ``hold`` opens the journal and waits; ``finish`` goes on to the end; else the boundary at
whose NTH coming it kills itself with SIGKILL.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from relayers.journal import sqlite_file
from relayers.journal.port import FactEntry
from relayers.journal.sqlite import SqliteJournal
from relayers.journal.sqlite_tables import SqliteTables
from tests.relayers.journal.journals import NOW, OWNER, at, cursor, life, stepped


class Fate:
    def __init__(self, boundary: str, nth: int) -> None:
        self._boundary = boundary
        self._left = nth

    def at(self, boundary: str) -> None:
        if boundary == self._boundary:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def _dying_inside(method: Callable[..., Any], fate: Fate, boundary: str) -> Callable[..., Any]:
    """In the transaction: all was executed, nothing is committed."""

    def call(*arguments: Any) -> Any:
        result = method(*arguments)
        fate.at(boundary)
        return result

    return call


async def main() -> None:
    mode, path = sys.argv[1], Path(sys.argv[2])
    fate = Fate(mode, int(sys.argv[3]) if len(sys.argv) > 3 else 0)
    for method, boundary in (("append", "in append"), ("commit", "in commit")):
        setattr(SqliteTables, method, _dying_inside(getattr(SqliteTables, method), fate, boundary))
    sync_folder = sqlite_file.sync_folder
    sqlite_file.sync_folder = lambda folder: (fate.at("in create"), sync_folder(folder))[1]
    journal = await SqliteJournal.open(path, OWNER)
    if mode == "hold":
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.Event().wait()
    entries: list[FactEntry] = life()
    swaps = {swap.hashlock: swap for swap in (await journal.restore()).swaps}
    waiting = len(entries) - len(await journal.history(entries[0].key))
    for number, entry in enumerate(entries):
        fate.at("before append")
        appended = await journal.append([entry], cursor=cursor(number))
        fate.at("after append")
        if appended[0].consumed:
            continue
        for fact in await journal.take(1):
            done = stepped(fact, swaps, at(NOW + number))
            fate.at("before commit")
            await journal.commit([done])
            fate.at("after commit")
            waiting -= 1
    assert waiting == 0, waiting
    await journal.close()
    sys.stdout.write("finished\n")


if __name__ == "__main__":
    asyncio.run(main())
