"""Verifies proofs about the native ledger's state. Depends on hashlib and nothing else.

The state is a map from keys to values, kept in a binary Merkle tree over paths:

    path(key)          = SHA-256(key), read bit by bit from the most significant bit
    empty subtree      = 32 zero bytes
    leaf               = SHA-256(0x00 ‖ path ‖ SHA-256(value))
    inner node         = SHA-256(0x01 ‖ left ‖ right)

A subtree that holds one key is that key's leaf, at whatever depth; so a state has one tree and
one root. The root after block H is the app hash in the header of block H + 1.

A proof is: 1 byte kind ‖ [32 bytes path ‖ 32 bytes SHA-256(value) of another leaf, kind 1 only]
‖ 2 bytes count ‖ count siblings of 32 bytes, the topmost first. Kinds: 0 the key's place is an
empty subtree; 1 the key's place is held by another key's leaf; 2 the key is there.
"""

from __future__ import annotations

import hashlib

EMPTY = bytes(32)
ABSENT_EMPTY, ABSENT_OTHER, PRESENT = 0, 1, 2


def leaf_hash(path: bytes, value_hash: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + path + value_hash).digest()


def inner_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def bit(path: bytes, depth: int) -> int:
    """The bit of a path at a depth; depth 0 is the most significant bit of the first byte."""
    return path[depth >> 3] >> (7 - (depth & 7)) & 1


def verify(root: bytes, key: bytes, value: bytes | None, proof: bytes) -> bool:
    """Whether the proof shows that under this root the key holds the value (None: nothing).

    Total: bytes that are no proof are simply not one. No exception is raised.
    """
    if len(proof) < 3:
        return False
    kind, rest = proof[0], proof[1:]
    other = b""
    if kind == ABSENT_OTHER:
        other, rest = rest[:64], rest[64:]
        if len(other) != 64:
            return False
    count, rest = int.from_bytes(rest[:2], "big"), rest[2:]
    if count > 256 or len(rest) != 32 * count:
        return False
    siblings = [rest[32 * i : 32 * i + 32] for i in range(count)]
    path = hashlib.sha256(key).digest()
    match kind:
        case 2 if value is not None:
            node = leaf_hash(path, hashlib.sha256(value).digest())
        case 1 if value is None:
            held = other[:32]
            # The other leaf proves absence only if it stands where the key would stand.
            if held == path or any(bit(held, i) != bit(path, i) for i in range(count)):
                return False
            node = leaf_hash(held, other[32:])
        case 0 if value is None:
            node = EMPTY
        case _:
            return False
    for depth in range(count - 1, -1, -1):
        sibling = siblings[depth]
        node = inner_hash(sibling, node) if bit(path, depth) else inner_hash(node, sibling)
    return node == root
