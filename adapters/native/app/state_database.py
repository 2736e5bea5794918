"""The application's state in SQLite: one transaction per block, on the disk before it returns."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path

from adapters.native.app.state_store import Changes, CorruptState, StoredState

SCHEMA_VERSION = 1
_APPLICATION_ID = 0x49534E53  # "ISNS": this file and no other SQLite file


class SqliteStateStore:
    """Opens or makes the file; another process that has it open is told so.

    Raises CorruptState from ``open`` and ``load``.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._db = connection
        self._path = path

    @classmethod
    def open(cls, path: Path) -> SqliteStateStore:
        connection = sqlite3.connect(path, isolation_level=None, timeout=1)
        try:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("BEGIN IMMEDIATE")
            (marked,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if (marked, version) == (0, 0):
                for statement in (
                    "CREATE TABLE item (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
                    "CREATE TABLE newest (height INTEGER NOT NULL, root BLOB NOT NULL)",
                    "CREATE TABLE undo (height INTEGER NOT NULL, key BLOB NOT NULL, value BLOB,"
                    " PRIMARY KEY (height, key)) WITHOUT ROWID",
                    "CREATE TABLE step (height INTEGER PRIMARY KEY)",
                    f"PRAGMA application_id={_APPLICATION_ID}",
                    f"PRAGMA user_version={SCHEMA_VERSION}",
                ):
                    connection.execute(statement)
            elif marked != _APPLICATION_ID or version != SCHEMA_VERSION:
                raise CorruptState(
                    f"{path} is not an application state of version {SCHEMA_VERSION}; "
                    "use the release that wrote it, or another folder"
                )
            # Files of this version that were made before there was such a table have none.
            connection.execute(
                "CREATE TABLE IF NOT EXISTS accepted (proposal BLOB PRIMARY KEY) WITHOUT ROWID"
            )
            connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            connection.close()
            raise CorruptState(f"{path} cannot be opened: {error}") from error
        except CorruptState:
            connection.close()
            raise
        return cls(connection, path)

    def load(self) -> StoredState | None:
        try:
            newest = self._db.execute("SELECT height, root FROM newest").fetchone()
            if newest is None:
                return None
            items = dict(self._db.execute("SELECT key, value FROM item"))
            undo: dict[int, dict[bytes, bytes | None]] = {
                height: {}
                for (height,) in self._db.execute("SELECT height FROM step ORDER BY height DESC")
            }
            for height, key, value in self._db.execute("SELECT height, key, value FROM undo"):
                undo[height][key] = value
            accepted = frozenset(
                proposal for (proposal,) in self._db.execute("SELECT proposal FROM accepted")
            )
        except (sqlite3.DatabaseError, KeyError) as error:
            raise CorruptState(f"{self._path} cannot be read: {error}") from error
        return StoredState(newest[0], newest[1], items, tuple(undo.items()), accepted)

    def save(
        self, height: int, root: bytes, changes: Changes, replaced: Changes, keep: int
    ) -> None:
        with _transaction(self._db):
            self._write(changes)
            self._db.execute("DELETE FROM step WHERE height <= ?", (height - keep,))
            self._db.execute("DELETE FROM undo WHERE height <= ?", (height - keep,))
            self._db.execute("INSERT INTO step VALUES (?)", (height,))
            self._db.executemany(
                "INSERT INTO undo VALUES (?, ?, ?)",
                [(height, key, value) for key, value in replaced.items()],
            )
            self._db.execute("DELETE FROM accepted")
            self._mark(height, root)

    def accept(self, proposal: bytes) -> None:
        with _transaction(self._db):
            self._db.execute("INSERT OR IGNORE INTO accepted VALUES (?)", (proposal,))

    def reset(self, height: int, root: bytes, items: Mapping[bytes, bytes]) -> None:
        with _transaction(self._db):
            for table in ("item", "undo", "step", "accepted"):
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - the names stand above
            self._write(items)
            self._mark(height, root)

    def close(self) -> None:
        self._db.close()

    def _write(self, changes: Changes) -> None:
        gone = [(key,) for key, value in changes.items() if value is None]
        kept = [(key, value) for key, value in changes.items() if value is not None]
        self._db.executemany("DELETE FROM item WHERE key = ?", gone)
        self._db.executemany("INSERT OR REPLACE INTO item VALUES (?, ?)", kept)

    def _mark(self, height: int, root: bytes) -> None:
        self._db.execute("DELETE FROM newest")
        self._db.execute("INSERT INTO newest VALUES (?, ?)", (height, root))


class _transaction:
    """BEGIN IMMEDIATE, then COMMIT, or ROLLBACK where something was raised."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")
