"""The journal's file: its schema, how it is made, and what is checked before it is used.

A journal is made under another name and then renamed, so that a file under the journal's own name
is always whole; an empty or short one was damaged later. The checks read the file's header before
SQLite touches it (SQLite would take an empty file for a new database). The offsets are those of the
SQLite file format, section 1.3: magic at 0, page size at 16, size in pages at 28, user version at
60, application id at 68.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from adapters.whole_file import sync_folder
from relayers.journal.port import (
    SCHEMA_VERSION,
    JournalCorrupt,
    JournalFailed,
    JournalInUse,
    JournalTooNew,
    WrongOwner,
)

APPLICATION_ID = 0x49737468
"""ASCII "Isth"."""

_MAGIC = b"SQLite format 3\x00"

_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
-- The inbox, and the history of each swap: step and moment say when a fact was taken in.
CREATE TABLE facts (
    offset INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    once BLOB UNIQUE,          -- a digest of the id, while that may not come again
    key BLOB NOT NULL,
    body BLOB NOT NULL,
    step INTEGER,              -- the order in which facts were taken in; NULL: not yet, or held
    moment INTEGER REFERENCES moments (number),
    ignored TEXT
);
CREATE INDEX facts_of_key ON facts (key);
CREATE TABLE moments (number INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE snapshots (number INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, body BLOB NOT NULL);
CREATE TABLE intents (id TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    key BLOB NOT NULL,
    at INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX events_of_key ON events (key, number);
CREATE TABLE chains (chain TEXT PRIMARY KEY, cursor TEXT, view BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE held (
    offset INTEGER PRIMARY KEY REFERENCES facts (offset),
    reason TEXT NOT NULL
);
CREATE TABLE dropped (
    offset INTEGER PRIMARY KEY REFERENCES facts (offset),
    reason TEXT NOT NULL
);
CREATE TABLE answers (
    key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, text TEXT NOT NULL
) WITHOUT ROWID;
"""


def create(path: Path, owner: str) -> None:
    """Makes a journal that belongs to ``owner``. Raises JournalFailed."""
    draft = path.with_name(path.name + ".new")
    try:
        draft.unlink(missing_ok=True)
        # Only the owner may read: a swap's terms are its parties' affair.
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        connection = sqlite3.connect(draft, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous=FULL")
            # A snapshot is some kilobytes: it is to fit into one page.
            connection.execute("PRAGMA page_size=8192")
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            connection.executescript(f"BEGIN;{_SCHEMA}COMMIT;")
            connection.execute("INSERT INTO meta VALUES ('owner', ?)", (owner,))
            connection.execute("INSERT INTO meta VALUES ('position', '0')")
        finally:
            connection.close()
        # Why a link and not a rename: it refuses where another process has made one meanwhile.
        os.link(draft, path)
        draft.unlink()
        sync_folder(path.parent)
    except FileExistsError:
        raise JournalInUse(
            f"journal {path}: another process is making it at this moment; start one only"
        ) from None
    except (OSError, sqlite3.Error) as error:
        raise JournalFailed(f"journal {path} cannot be made: {error}") from error


def check_header(path: Path) -> None:
    """Refuses what is not a whole journal that this version reads, without touching it.

    Raises JournalCorrupt, JournalTooNew, JournalFailed.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            header = file.read(100)
    except OSError as error:
        raise JournalFailed(f"journal {path} cannot be read: {error.strerror}") from error
    restore = "restore it from a backup, or move it away to begin a new one"
    if size == 0:
        raise JournalCorrupt(f"journal {path} is empty, so it was truncated; {restore}")
    if len(header) < 100 or header[:16] != _MAGIC:
        raise JournalCorrupt(f"journal {path} is not a journal of this program; {restore}")
    if int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise JournalCorrupt(f"journal {path} is a database of some other program; {restore}")
    version = int.from_bytes(header[60:64], "big")
    if version > SCHEMA_VERSION:
        raise JournalTooNew(
            f"journal {path} has schema version {version}, and this program reads up to "
            f"{SCHEMA_VERSION}: use the version that wrote it"
        )
    page = int.from_bytes(header[16:18], "big")
    pages = int.from_bytes(header[28:32], "big")
    whole = (65536 if page == 1 else page) * pages
    if size < whole:
        raise JournalCorrupt(
            f"journal {path} is truncated: it has {size} bytes of {whole}; {restore}"
        )


def connect(path: Path, owner: str) -> sqlite3.Connection:
    """Opens a journal for one process alone, and checks it whole.

    Raises JournalInUse, JournalCorrupt, JournalTooNew, WrongOwner, JournalFailed.
    """
    check_header(path)
    try:
        connection = sqlite3.connect(path, isolation_level=None, timeout=0)
    except sqlite3.Error as error:
        raise JournalFailed(f"journal {path} cannot be opened: {error}") from error
    try:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        # Takes the exclusive lock, and keeps it for as long as the connection lives.
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("COMMIT")
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(found)
        belongs = connection.execute("SELECT value FROM meta WHERE name='owner'").fetchone()[0]
        if belongs != owner:
            raise WrongOwner(
                f"journal {path} belongs to {belongs}, not to {owner}; "
                "each organisation has a journal of its own"
            )
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA cache_size=-65536")
        connection.execute("PRAGMA wal_autocheckpoint=4000")
    except sqlite3.OperationalError as error:
        connection.close()
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise JournalInUse(
                f"journal {path} is open in another process; stop that one, or give this one a "
                "journal of its own"
            ) from None
        raise JournalFailed(f"journal {path} cannot be opened: {error}") from error
    except sqlite3.DatabaseError as error:
        connection.close()
        # SQLite tells what it found in several lines.
        why = " ".join(str(error).split())
        raise JournalCorrupt(
            f"journal {path} is damaged ({why}); restore it from a backup, or move it away to "
            "begin a new one"
        ) from None
    except BaseException:
        connection.close()
        raise
    return connection
