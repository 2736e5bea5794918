"""The channel's ledger in one SQLite file: blocks, the transaction index, and state with history.

One block is one SQLite transaction (WAL, ``synchronous=FULL``), so kill -9 leaves whole blocks.
State keeps every version of a key: a read names the block height it wants, which gives a
simulation one steady view while later blocks are committed. At start everything is read once and
checked: header links, data hashes, and the chain of commit hashes over flags and state.

    commit hash = SHA-256(previous commit hash ‖ flags ‖ rows of state written by the block)

(The commit hash is this ledger's own: Fabric's is over its internal update batch.)
"""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fabric_protos.common import common_pb2
from fabric_protos.peer import transaction_pb2
from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp

from adapters.fabric.devnet.block import COMMIT_HASH, FILTER, data_hash, header_hash

FORMAT = 1
_PAGE = 128

_SCHEMA = """
CREATE TABLE format (version INTEGER NOT NULL);
CREATE TABLE block (number INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, body BLOB NOT NULL);
CREATE TABLE transactions (
    id TEXT PRIMARY KEY, block INTEGER NOT NULL, position INTEGER NOT NULL, code INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE state (
    namespace TEXT NOT NULL, key BLOB NOT NULL, block INTEGER NOT NULL, position INTEGER NOT NULL,
    value BLOB, txid TEXT NOT NULL,
    PRIMARY KEY (namespace, key, block, position)
) WITHOUT ROWID;
CREATE INDEX state_of_block ON state (block);
"""

_SCAN = """
SELECT key, value, block, position FROM (
    SELECT key, value, block, position, max(block * 4294967296 + position) FROM state
    WHERE namespace = ? AND key >= ? AND key < ? AND block <= ? GROUP BY key
) WHERE value IS NOT NULL ORDER BY key LIMIT ?
"""

# Keys are UTF-8, in which 0xff never occurs: above every key.
_ABOVE_ALL = b"\xff"


class LedgerUnusable(Exception):
    """The file is not a whole ledger of this channel, or another process has it open."""


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """Where a value was written: block and position of the transaction in it."""

    block: int
    position: int


@dataclass(frozen=True, slots=True)
class Value:
    value: bytes
    version: Version


@dataclass(frozen=True, slots=True)
class KeyedValue:
    key: str
    value: bytes
    version: Version


@dataclass(frozen=True, slots=True)
class Modification:
    """One entry of a key's history. ``value`` is None where the key was deleted."""

    transaction: str
    value: bytes | None
    version: Version


@dataclass(frozen=True, slots=True)
class TransactionRecord:
    """Where a transaction id was first used, and the validation code it got there."""

    block: int
    position: int
    code: int


@dataclass(frozen=True, slots=True)
class StateWrite:
    """One write of a valid transaction. ``value`` is None for a deletion."""

    namespace: str
    key: str
    position: int
    value: bytes | None
    transaction: str


class Ledger:
    """Blocks and state of one channel. One writer; all calls come from one thread."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._db = connection
        self._path = path
        self._height = 0
        self._last_hash = b""
        self._commit_hash = b""
        self._moved = asyncio.Event()

    @classmethod
    def open(cls, path: Path, genesis: common_pb2.Block) -> Ledger:
        """Opens the file, or makes it with the genesis block. Raises LedgerUnusable."""
        try:
            connection = sqlite3.connect(path, isolation_level=None, timeout=0)
        except sqlite3.Error as error:
            raise LedgerUnusable(f"ledger {path} cannot be opened: {error}") from error
        ledger = cls(connection, path)
        try:
            ledger._begin(genesis)
        except BaseException as error:
            connection.close()
            if isinstance(error, sqlite3.Error):
                raise LedgerUnusable(ledger._explained(error)) from error
            raise
        return ledger

    def cut_off(self, genesis: common_pb2.Block) -> Ledger:
        """A copy in memory, as a peer has it that gets no more blocks. Raises LedgerUnusable."""
        connection = sqlite3.connect(":memory:", isolation_level=None)
        copy = Ledger(connection, self._path)
        try:
            self._db.backup(connection)
            copy._begin(genesis)
        except BaseException:
            connection.close()
            raise
        return copy

    def close(self) -> None:
        self._db.close()

    def _explained(self, error: sqlite3.Error) -> str:
        if "locked" in str(error):
            return f"ledger {self._path} is open in another process; stop that one first"
        return (
            f"ledger {self._path} is damaged ({error}); restore the file, or remove the network's "
            "folder and start afresh"
        )

    def _begin(self, genesis: common_pb2.Block) -> None:
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        if self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
            self._db.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA.split(";"):
                self._db.execute(statement)
            self._db.execute("INSERT INTO format VALUES (?)", (FORMAT,))
            self._insert(genesis, bytes([transaction_pb2.VALID]), (), ())
            self._db.execute("COMMIT")
            return
        version = self._db.execute("SELECT version FROM format").fetchone()
        if version is None or version[0] != FORMAT:
            raise LedgerUnusable(
                f"ledger {self._path} has format {version and version[0]}; this program reads "
                f"{FORMAT}: use the program that wrote it, or start afresh"
            )
        self._verify(genesis)

    def _verify(self, genesis: common_pb2.Block) -> None:
        """Reads every block and checks that it is linked, whole, and what state was made of."""
        fault = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if fault != "ok":
            raise sqlite3.DatabaseError(fault)
        rows = self._db.execute("SELECT number, hash, body FROM block ORDER BY number")
        for expected, (number, stored_hash, body) in enumerate(rows.fetchall()):
            try:
                block = common_pb2.Block.FromString(body)
                flags = block.metadata.metadata[FILTER]
                commit_hash = common_pb2.Metadata.FromString(
                    block.metadata.metadata[COMMIT_HASH]
                ).value
            except (DecodeError, IndexError):
                raise self._damaged(number, "cannot be read") from None
            if number != expected or block.header.number != expected:
                raise self._damaged(expected, "is missing")
            if expected == 0 and header_hash(block.header) != header_hash(genesis.header):
                raise LedgerUnusable(
                    f"ledger {self._path} begins with another genesis block than the network's "
                    "configuration: it belongs to another channel"
                )
            if block.header.previous_hash != self._last_hash:
                raise self._damaged(number, "is not linked to the block before it")
            if data_hash(block.data.data) != block.header.data_hash:
                raise self._damaged(number, "does not hold the data that its header names")
            self._last_hash = header_hash(block.header)
            if stored_hash != self._last_hash or len(flags) != len(block.data.data):
                raise self._damaged(number, "has an index that does not fit it")
            self._commit_hash = self._next_commit_hash(flags, self._written_by(number))
            if self._commit_hash != commit_hash:
                raise self._damaged(number, "did not make the state that is stored")
            self._height = number + 1
        # A tail that was cut off shows in what its blocks left beside them.
        beyond = self._db.execute(
            "SELECT max(block) FROM (SELECT block FROM state UNION ALL"
            " SELECT block FROM transactions)"
        ).fetchone()[0]
        if self._height == 0 or (beyond is not None and beyond >= self._height):
            raise self._damaged(self._height, "is missing")

    def _damaged(self, number: int, what: str) -> LedgerUnusable:
        return LedgerUnusable(
            f"ledger {self._path} is damaged: block {number} {what}; restore the file, or remove "
            "the network's folder and start afresh"
        )

    def _written_by(self, number: int) -> list[StateWrite]:
        rows = self._db.execute(
            "SELECT namespace, key, position, value, txid FROM state WHERE block = ?"
            " ORDER BY namespace, key, position",
            (number,),
        )
        return [
            StateWrite(ns, bytes(key).decode(), at, value, tx) for ns, key, at, value, tx in rows
        ]

    def _next_commit_hash(self, flags: bytes, writes: Sequence[StateWrite]) -> bytes:
        digest = hashlib.sha256(self._commit_hash)
        digest.update(len(flags).to_bytes(4, "big") + flags)
        for write in sorted(writes, key=lambda w: (w.namespace, w.key.encode(), w.position)):
            value = b"\x00" if write.value is None else b"\x01" + write.value
            for part in (
                write.namespace.encode(),
                write.key.encode(),
                write.position.to_bytes(4, "big"),
                value,
                write.transaction.encode(),
            ):
                digest.update(len(part).to_bytes(8, "big") + part)
        return digest.digest()

    # --- blocks ----------------------------------------------------------------------------------

    @property
    def height(self) -> int:
        """How many blocks there are; the newest has this number less one."""
        return self._height

    @property
    def last_hash(self) -> bytes:
        return self._last_hash

    @property
    def previous_hash(self) -> bytes:
        """The hash of the block before the newest; empty where there is none."""
        return b"" if self._height < 2 else bytes(self.block(self._height - 1).header.previous_hash)

    def block(self, number: int) -> common_pb2.Block:
        """Raises KeyError."""
        row = (
            self._db.execute("SELECT body FROM block WHERE number = ?", (number,)).fetchone()
            if number < 2**63
            else None
        )
        if row is None:
            raise KeyError(number)
        return common_pb2.Block.FromString(row[0])

    def block_by_hash(self, digest: bytes) -> common_pb2.Block:
        """Raises KeyError."""
        row = self._db.execute("SELECT body FROM block WHERE hash = ?", (digest,)).fetchone()
        if row is None:
            raise KeyError(digest)
        return common_pb2.Block.FromString(row[0])

    def transaction(self, transaction_id: str) -> TransactionRecord | None:
        """Where the id was first used, whatever became of it there."""
        row = self._db.execute(
            "SELECT block, position, code FROM transactions WHERE id = ?", (transaction_id,)
        ).fetchone()
        return None if row is None else TransactionRecord(*row)

    def timestamp(self, version: Version) -> Timestamp:
        """The timestamp that a transaction's client gave it."""
        block = self.block(version.block)
        envelope = common_pb2.Envelope.FromString(block.data.data[version.position])
        payload = common_pb2.Payload.FromString(envelope.payload)
        timestamp: Timestamp = common_pb2.ChannelHeader.FromString(
            payload.header.channel_header
        ).timestamp
        return timestamp

    async def wait_beyond(self, height: int) -> None:
        """Returns when there are more than this many blocks."""
        while self._height <= height:
            await self._moved.wait()

    def commit(
        self,
        block: common_pb2.Block,
        flags: bytes,
        transactions: Mapping[int, str],
        writes: Sequence[StateWrite],
    ) -> None:
        """Adds a block with its flags (one code a transaction), the ids of its transactions by
        position, and the writes of the valid ones; then wakes those who wait."""
        if block.header.number != self._height or block.header.previous_hash != self._last_hash:
            raise ValueError(f"block {block.header.number} does not follow {self._height - 1}")
        self._db.execute("BEGIN IMMEDIATE")
        before = (self._height, self._last_hash, self._commit_hash)
        try:
            self._insert(block, flags, tuple(transactions.items()), writes)
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            self._height, self._last_hash, self._commit_hash = before
            raise
        self._moved.set()
        self._moved = asyncio.Event()

    def _insert(
        self,
        block: common_pb2.Block,
        flags: bytes,
        transactions: Sequence[tuple[int, str]],
        writes: Sequence[StateWrite],
    ) -> None:
        number = block.header.number
        self._commit_hash = self._next_commit_hash(flags, writes)
        block.metadata.metadata[FILTER] = flags
        block.metadata.metadata[COMMIT_HASH] = common_pb2.Metadata(
            value=self._commit_hash
        ).SerializeToString()
        self._last_hash = header_hash(block.header)
        self._db.execute(
            "INSERT INTO block VALUES (?, ?, ?)",
            (number, self._last_hash, block.SerializeToString()),
        )
        self._db.executemany(
            "INSERT OR IGNORE INTO transactions VALUES (?, ?, ?, ?)",
            [(txid, number, position, flags[position]) for position, txid in transactions],
        )
        self._db.executemany(
            "INSERT INTO state VALUES (?, ?, ?, ?, ?, ?)",
            [
                (w.namespace, w.key.encode(), number, w.position, w.value, w.transaction)
                for w in writes
            ],
        )
        self._height = number + 1

    # --- state -----------------------------------------------------------------------------------

    def get(self, namespace: str, key: str, height: int) -> Value | None:
        """A key's value as of a height (the number of blocks that are seen)."""
        row = self._db.execute(
            "SELECT value, block, position FROM state WHERE namespace = ? AND key = ? AND block < ?"
            " ORDER BY block DESC, position DESC LIMIT 1",
            (namespace, key.encode(), height),
        ).fetchone()
        if row is None or row[0] is None:
            return None
        return Value(row[0], Version(row[1], row[2]))

    def scan(self, namespace: str, start: str, end: str, height: int) -> Iterator[KeyedValue]:
        """Keys from start (with it) to end (without it; empty: all), by their bytes, as of a
        height. Reads in pages, so blocks may be committed between two steps."""
        lower = start.encode()
        upper = end.encode() if end else _ABOVE_ALL
        while True:
            rows = self._db.execute(_SCAN, (namespace, lower, upper, height - 1, _PAGE)).fetchall()
            for key, value, block, position in rows:
                yield KeyedValue(bytes(key).decode(), value, Version(block, position))
            if len(rows) < _PAGE:
                return
            lower = bytes(rows[-1][0]) + b"\x00"

    def history(self, namespace: str, key: str, height: int) -> list[Modification]:
        """All that was ever written to a key, newest first."""
        rows = self._db.execute(
            "SELECT txid, value, block, position FROM state"
            " WHERE namespace = ? AND key = ? AND block < ? ORDER BY block DESC, position DESC",
            (namespace, key.encode(), height),
        )
        return [Modification(tx, value, Version(block, at)) for tx, value, block, at in rows]
