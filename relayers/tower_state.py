"""The file in which a watchtower keeps what it knows and how far it has read.

It saves reading the chains from their beginning after a restart, and nothing else: whoever loses it
loses no asset. It is replaced whole, so that a crash leaves the old one or the new one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from adapters.model import ChainId, Cursor, Hashlock
from adapters.whole_file import write_whole
from relayers.fatal import Fatal
from relayers.journal.port import JournalCorrupt, JournalTooNew
from relayers.journal.records import Codec
from relayers.protocol.tower import KnownSecret, Tower, WatchedLock


class TowerStateError(Fatal):
    """The file cannot be used. The message says what to do."""


@dataclass(frozen=True, slots=True)
class TowerRecord:
    """What is written."""

    cursors: tuple[tuple[ChainId, Cursor], ...] = ()
    locks: tuple[WatchedLock, ...] = ()
    secrets: tuple[tuple[Hashlock, KnownSecret], ...] = ()


@cache
def _codec() -> Codec[TowerRecord]:
    return Codec("watchtower state", {"watchtower": TowerRecord})


class TowerState:
    """A tower and its cursors, on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> tuple[Tower, dict[ChainId, Cursor]]:
        """What was saved last; an empty tower where there is no file. Raises TowerStateError."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return Tower(), {}
        except OSError as error:
            raise TowerStateError(
                f"watchtower state {self._path} cannot be read: {error.strerror}"
            ) from None
        try:
            record = _codec().decode(content)
        except (JournalCorrupt, JournalTooNew) as error:
            raise TowerStateError(
                f"watchtower state {self._path}: {error}; or remove it, and all of it is read from "
                "the chains again"
            ) from None
        tower = Tower({lock.lock_id: lock for lock in record.locks}, dict(record.secrets))
        return tower, dict(record.cursors)

    def save(self, tower: Tower, cursors: dict[ChainId, Cursor]) -> None:
        """Durable when it returns. Raises TowerStateError."""
        record = TowerRecord(
            tuple(sorted(cursors.items(), key=lambda pair: pair[0])),
            tuple(tower.locks.values()),
            tuple(tower.secrets.items()),
        )
        try:
            write_whole(self._path, _codec().encode(record))
        except OSError as error:
            raise TowerStateError(
                f"watchtower state {self._path} cannot be written: {error.strerror}"
            ) from None
