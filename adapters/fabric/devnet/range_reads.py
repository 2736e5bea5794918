"""What a range query saw, for the check against phantoms at commit.

Up to 50 results are listed one by one. More are hashed: each 51 reads make a leaf, each 51 hashes
of a level make one of the next, and only the highest level is kept
(``core/ledger/kvledger/txmgmt/rwsetutil/query_results_helper.go`` in Fabric).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2

from adapters.fabric.devnet.ledger import Version

DEGREE = 50


def version_message(version: Version | None) -> kv_rwset_pb2.Version | None:
    if version is None:
        return None
    return kv_rwset_pb2.Version(block_num=version.block, tx_num=version.position)


def read_message(key: str, version: Version | None) -> kv_rwset_pb2.KVRead:
    """One read; no version says that the key was absent."""
    return kv_rwset_pb2.KVRead(key=key, version=version_message(version))


@dataclass(slots=True)
class RangeReads:
    """Collects the results of one range query in their order."""

    degree: int = DEGREE
    _pending: list[kv_rwset_pb2.KVRead] = field(default_factory=list)
    _levels: list[list[bytes]] = field(default_factory=list)
    """Hashes by level; the first is the leaf level, 1."""

    def add(self, key: str, version: Version) -> None:
        self._pending.append(read_message(key, version))
        if len(self._pending) > self.degree:
            self._hash_pending()

    def _hash_pending(self) -> None:
        reads = kv_rwset_pb2.QueryReads(kv_reads=self._pending).SerializeToString()
        self._pending = []
        digest = hashlib.sha256(reads).digest()
        for level in range(len(self._levels) + 1):
            if level == len(self._levels):
                self._levels.append([])
            self._levels[level].append(digest)
            if len(self._levels[level]) <= self.degree:
                return
            digest = hashlib.sha256(b"".join(self._levels[level])).digest()
            self._levels[level] = []

    def put_into(self, query: kv_rwset_pb2.RangeQueryInfo) -> None:
        """Finishes, and writes the reads or their summary into the query's record."""
        if not self._levels:
            if self._pending:
                query.raw_reads.kv_reads.extend(self._pending)
            return
        if self._pending:
            self._hash_pending()
        levels = self._levels
        for level in range(len(levels) - 1):
            hashes = levels[level]
            if hashes:
                raised = (
                    hashes[0] if len(hashes) == 1 else hashlib.sha256(b"".join(hashes)).digest()
                )
                levels[level] = []
                levels[level + 1].append(raised)
        if len(levels[-1]) > self.degree:
            combined = hashlib.sha256(b"".join(levels[-1])).digest()
            levels[-1] = []
            levels.append([combined])
        query.reads_merkle_hashes.max_degree = self.degree
        query.reads_merkle_hashes.max_level = len(levels)
        query.reads_merkle_hashes.max_level_hashes.extend(levels[-1])
