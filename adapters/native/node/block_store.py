"""Blocks in SQLite, hash-linked, with their results; every one is verified when a node starts."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from adapters.native.app.transaction import transaction_id
from adapters.native.cometbft.block import (
    Block,
    BlockId,
    data_hash,
    precommit_sign_bytes,
    results_hash,
    validator_address,
)
from adapters.native.cometbft.results import results_fields

SCHEMA_VERSION = 1
_APPLICATION_ID = 0x49534E42  # "ISNB": this file and no other SQLite file
_MEND = "restore the folder from a backup, or remove it and start the chain afresh"


class CorruptBlocks(Exception):
    """The stored chain is not whole. The message says at which height, and what to do."""


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A block with its id and what executing it gave; ``app_hash`` is the state's root after."""

    block: Block
    block_id: BlockId
    results: Sequence[Mapping[str, Any]]
    app_hash: bytes

    @property
    def height(self) -> int:
        return self.block.header.height


@dataclass(frozen=True, slots=True)
class StoredTransaction:
    height: int
    index: int
    tx: bytes
    result: Mapping[str, Any]


class BlockStore:
    """One process has it open at a time. Raises CorruptBlocks from ``open`` and ``verify``."""

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db = db
        self._path = path

    @classmethod
    def open(cls, path: Path, genesis: bytes) -> BlockStore:
        """``genesis`` is the genesis hash that the file must belong to."""
        db = sqlite3.connect(path, isolation_level=None, timeout=1)
        try:
            db.execute("PRAGMA locking_mode=EXCLUSIVE")
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.execute("BEGIN IMMEDIATE")
            (marked,) = db.execute("PRAGMA application_id").fetchone()
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if (marked, version) == (0, 0):
                for statement in (
                    "CREATE TABLE chain (genesis BLOB NOT NULL)",
                    "CREATE TABLE block (height INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE,"
                    " block_id TEXT NOT NULL, block TEXT NOT NULL, results TEXT NOT NULL,"
                    " app_hash BLOB NOT NULL)",
                    "CREATE TABLE tx (id TEXT PRIMARY KEY, height INTEGER NOT NULL,"
                    " position INTEGER NOT NULL) WITHOUT ROWID",
                    f"PRAGMA application_id={_APPLICATION_ID}",
                    f"PRAGMA user_version={SCHEMA_VERSION}",
                ):
                    db.execute(statement)
                db.execute("INSERT INTO chain VALUES (?)", (genesis,))
            elif marked != _APPLICATION_ID or version != SCHEMA_VERSION:
                raise CorruptBlocks(
                    f"{path} is not a block store of version {SCHEMA_VERSION}; "
                    "use the release that wrote it, or another folder"
                )
            db.execute("COMMIT")
            row = db.execute("SELECT genesis FROM chain").fetchone()
            if row is None or row[0] != genesis:
                raise CorruptBlocks(
                    f"{path} belongs to another genesis; use its own genesis.json, or {_MEND}"
                )
        except sqlite3.DatabaseError as error:
            db.close()
            raise CorruptBlocks(f"{path} cannot be opened ({error}); {_MEND}") from error
        except CorruptBlocks:
            db.close()
            raise
        return cls(db, path)

    def close(self) -> None:
        self._db.close()

    def heights(self) -> tuple[int, int]:
        """The lowest and the highest height; (0, 0) where there is no block yet."""
        low, high = self._db.execute("SELECT min(height), max(height) FROM block").fetchone()
        return (low or 0, high or 0)

    def append(self, stored: StoredBlock) -> None:
        """Writes a block and its transactions' index, all or nothing, and durably."""
        row = (
            stored.height,
            stored.block_id.hash,
            json.dumps(stored.block_id.to_json()),
            json.dumps(stored.block.to_json()),
            json.dumps(list(stored.results)),
            stored.app_hash,
        )
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.execute("INSERT INTO block VALUES (?, ?, ?, ?, ?, ?)", row)
            # A transaction that failed may come again, and succeed: the newest one counts.
            self._db.executemany(
                "INSERT OR REPLACE INTO tx VALUES (?, ?, ?)",
                [
                    (transaction_id(tx), stored.height, index)
                    for index, tx in enumerate(stored.block.txs)
                ],
            )
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def get(self, height: int) -> StoredBlock | None:
        row = self._db.execute(
            "SELECT height, block_id, block, results, app_hash FROM block WHERE height = ?",
            (height,),
        ).fetchone()
        return None if row is None else self._read(row)

    def height_of(self, block_hash: bytes) -> int | None:
        row = self._db.execute("SELECT height FROM block WHERE hash = ?", (block_hash,)).fetchone()
        return None if row is None else int(row[0])

    def transaction(self, identity: str) -> StoredTransaction | None:
        """``identity`` is upper-case hex."""
        row = self._db.execute(
            "SELECT height, position FROM tx WHERE id = ?", (identity,)
        ).fetchone()
        stored = None if row is None else self.get(row[0])
        if stored is None:
            return None
        index = row[1]
        return StoredTransaction(row[0], index, stored.block.txs[index], stored.results[index])

    def verify(self, chain_id: str, initial_height: int, validator: bytes) -> None:
        """Reads every block: heights without a gap, each header hashing to its id and naming the
        one before, transactions, commits and results as the headers say, the validator's
        signature under each commit. ``validator`` is the Ed25519 key. Raises CorruptBlocks."""
        previous: StoredBlock | None = None
        query = "SELECT height, block_id, block, results, app_hash FROM block ORDER BY height"
        try:
            for row in self._db.execute(query):
                expected = initial_height if previous is None else previous.height + 1
                if row[0] != expected:
                    raise self._corrupt(expected, "the block is missing")
                stored = self._read(row)
                self._verify_one(stored, previous, row[0], chain_id, validator)
                previous = stored
        except sqlite3.DatabaseError as error:
            at = "the start" if previous is None else f"height {previous.height}"
            raise CorruptBlocks(
                f"{self._path} cannot be read after {at} ({error}); {_MEND}"
            ) from error

    def _verify_one(
        self,
        stored: StoredBlock,
        previous: StoredBlock | None,
        height: int,
        chain_id: str,
        validator: bytes,
    ) -> None:
        block, header = stored.block, stored.block.header
        if header.height != height or header.chain_id != chain_id:
            raise self._corrupt(height, "the header is of another height or chain")
        if header.hash() != stored.block_id.hash:
            raise self._corrupt(height, "the header does not have the block's hash")
        if data_hash(block.txs) != header.data_hash:
            raise self._corrupt(height, "the transactions are not those of the header")
        if block.last_commit.hash() != header.last_commit_hash:
            raise self._corrupt(height, "the commit is not that of the header")
        if len(stored.results) != len(block.txs):
            raise self._corrupt(height, "the results do not match the transactions")
        if previous is None:
            return
        if header.last_block_id != previous.block_id:
            raise self._corrupt(height, "the header does not name the block before it")
        if header.app_hash != previous.app_hash:
            raise self._corrupt(height, "the header's app hash is not that of the state before it")
        if header.last_results_hash != results_hash(results_fields(previous.results)):
            raise self._corrupt(previous.height, "the results are not those of the next header")
        signatures = block.last_commit.signatures
        signed = [s for s in signatures if s.validator_address == validator_address(validator)]
        try:
            for entry in signed:
                Ed25519PublicKey.from_public_bytes(validator).verify(
                    entry.signature,
                    precommit_sign_bytes(
                        chain_id,
                        block.last_commit.height,
                        block.last_commit.round,
                        block.last_commit.block_id,
                        entry.timestamp,
                    ),
                )
        except InvalidSignature:
            signed = []
        if not signed or block.last_commit.block_id != previous.block_id:
            raise self._corrupt(height, "the commit is not signed by the validator")

    def _read(self, row: tuple[int, str, str, str, bytes]) -> StoredBlock:
        try:
            return StoredBlock(
                block=Block.from_json(json.loads(row[2])),
                block_id=BlockId.from_json(json.loads(row[1])),
                results=json.loads(row[3]),
                app_hash=row[4],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise self._corrupt(row[0], "the block cannot be read") from error

    def _corrupt(self, height: int, what: str) -> CorruptBlocks:
        return CorruptBlocks(f"{self._path}, height {height}: {what}; {_MEND}")
