"""State snapshots in chunks: the whole state in the order of its paths.

    chunk = items; item = key length (2) ‖ key ‖ value length (4) ‖ value

A chunk is closed once it reaches CHUNK_BYTES. Alike states give alike chunks. The metadata is the
SHA-256 of each chunk; whoever restores checks every chunk against it, and the whole against the
app hash that consensus has given, so a lying peer costs time and nothing else.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping

from adapters.native.app.abci import Snapshot
from adapters.native.app.canonical import Malformed, Reader
from adapters.native.app.merkle import Tree

FORMAT = 1
CHUNK_BYTES = 1 << 20
MAX_CHUNKS = 1 << 16
TRIES = 8
"""Wrong answers to one chunk, after which the snapshot's own metadata is taken for the liar."""


def make_chunks(tree: Tree) -> tuple[bytes, ...]:
    chunks: list[bytes] = []
    current = bytearray()
    for key, value in tree.items():
        current += len(key).to_bytes(2, "big") + key + len(value).to_bytes(4, "big") + value
        if len(current) >= CHUNK_BYTES:
            chunks.append(bytes(current))
            current.clear()
    if current or not chunks:
        chunks.append(bytes(current))
    return tuple(chunks)


def describe(height: int, tree: Tree, chunks: tuple[bytes, ...]) -> Snapshot:
    metadata = b"".join(hashlib.sha256(chunk).digest() for chunk in chunks)
    return Snapshot(height, FORMAT, len(chunks), tree.root, metadata)


def read_chunk(chunk: bytes) -> Mapping[bytes, bytes]:
    """The items of a chunk. Raises Malformed."""
    items: dict[bytes, bytes] = {}
    at = 0
    while at < len(chunk):
        reader = Reader(chunk[at : at + 2])
        key_length = reader.unsigned(2, "key length")
        value_at = at + 2 + key_length + 4
        key = Reader(chunk[at + 2 : value_at - 4]).fixed(key_length, "key")
        value_length = Reader(chunk[value_at - 4 : value_at]).unsigned(4, "value length")
        value = Reader(chunk[value_at : value_at + value_length]).fixed(value_length, "value")
        if key in items:
            raise Malformed("a chunk holds a key twice")
        items[key] = value
        at = value_at + value_length
    return items


class Restoration:
    """A snapshot on its way in. ``finish`` gives the state once every chunk is there."""

    def __init__(self, snapshot: Snapshot, app_hash: bytes) -> None:
        self.snapshot = snapshot
        self._app_hash = app_hash
        self._chunks: dict[int, bytes] = {}
        self._wrong: Counter[int] = Counter()

    def accept(self, index: int, chunk: bytes) -> bool:
        """Whether this chunk is what the metadata says it is; it is kept then."""
        if not 0 <= index < self.snapshot.chunks:
            return False
        expected = self.snapshot.metadata[32 * index : 32 * index + 32]
        if hashlib.sha256(chunk).digest() != expected:
            self._wrong[index] += 1
            return False
        self._chunks[index] = chunk
        return True

    def hopeless(self, index: int) -> bool:
        """Whether so many peers have failed to have this chunk that there may be no such thing."""
        return self._wrong[index] >= TRIES

    def complete(self) -> bool:
        return len(self._chunks) == self.snapshot.chunks

    def finish(self) -> Tree:
        """Raises Malformed where the chunks do not add up to the app hash."""
        items: dict[bytes, bytes | None] = {}
        for index in range(self.snapshot.chunks):
            items.update(read_chunk(self._chunks[index]))
        tree = Tree().update(items)
        if tree.root != self._app_hash:
            raise Malformed("the snapshot's state does not have the app hash")
        return tree
