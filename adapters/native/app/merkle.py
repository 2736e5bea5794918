"""The state's Merkle tree: immutable, so that every version stays whole while it is referred to.

Its hashes and proofs are defined in ``proof.py``. An update shares every untouched subtree with
the tree it came from; it hashes each new node once. Trees live in memory: about 600 bytes a key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from adapters.native.app.proof import (
    ABSENT_EMPTY,
    ABSENT_OTHER,
    EMPTY,
    PRESENT,
    bit,
    inner_hash,
    leaf_hash,
)


class Leaf:
    __slots__ = ("hash", "key", "path", "value")

    def __init__(self, path: bytes, key: bytes, value: bytes) -> None:
        self.path = path
        self.key = key
        self.value = value
        self.hash = leaf_hash(path, hashlib.sha256(value).digest())


class Inner:
    __slots__ = ("hash", "left", "right")

    def __init__(self, left: Node | None, right: Node | None) -> None:
        self.left = left
        self.right = right
        self.hash = inner_hash(_hash(left), _hash(right))


Node = Leaf | Inner
_Change = tuple[bytes, bytes, bytes | None]


class Tree:
    """One version of the state. ``root`` is 32 bytes; the empty tree's root is 32 zero bytes."""

    __slots__ = ("_node",)

    def __init__(self, node: Node | None = None) -> None:
        self._node = node

    @property
    def root(self) -> bytes:
        return _hash(self._node)

    def get(self, key: bytes) -> bytes | None:
        path = hashlib.sha256(key).digest()
        node, depth = self._node, 0
        while isinstance(node, Inner):
            node = node.right if bit(path, depth) else node.left
            depth += 1
        return node.value if node is not None and node.path == path else None

    def update(self, changes: Mapping[bytes, bytes | None]) -> Tree:
        """The tree with these keys set, or, where None, removed. Order does not matter."""
        ordered = sorted(
            (hashlib.sha256(key).digest(), key, value) for key, value in changes.items()
        )
        return Tree(_update(self._node, 0, ordered))

    def prove(self, key: bytes) -> bytes:
        """A proof that ``proof.verify`` accepts for what ``get`` returns."""
        path = hashlib.sha256(key).digest()
        siblings: list[bytes] = []
        node, depth = self._node, 0
        while isinstance(node, Inner):
            if bit(path, depth):
                siblings.append(_hash(node.left))
                node = node.right
            else:
                siblings.append(_hash(node.right))
                node = node.left
            depth += 1
        tail = len(siblings).to_bytes(2, "big") + b"".join(siblings)
        if node is None:
            return bytes([ABSENT_EMPTY]) + tail
        if node.path == path:
            return bytes([PRESENT]) + tail
        other = node.path + hashlib.sha256(node.value).digest()
        return bytes([ABSENT_OTHER]) + other + tail

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Every key and value, in the order of the paths: alike wherever the state is alike."""
        stack: list[Node | None] = [self._node]
        while stack:
            node = stack.pop()
            if isinstance(node, Leaf):
                yield node.key, node.value
            elif node is not None:
                stack.append(node.right)
                stack.append(node.left)


def _hash(node: Node | None) -> bytes:
    return EMPTY if node is None else node.hash


def _update(node: Node | None, depth: int, changes: Sequence[_Change]) -> Node | None:
    """``changes`` are sorted by path, distinct, and all belong under ``node``."""
    if not changes:
        return node
    if isinstance(node, Inner):
        middle = _split(changes, depth)
        left = _update(node.left, depth + 1, changes[:middle])
        right = _update(node.right, depth + 1, changes[middle:])
        if left is node.left and right is node.right:
            return node
        return _join(left, right)
    if node is not None and all(path != node.path for path, _, _ in changes):
        changes = sorted([*changes, (node.path, node.key, node.value)])
    elif node is not None and len(changes) == 1 and changes[0][2] == node.value:
        return node
    leaves = [Leaf(path, key, value) for path, key, value in changes if value is not None]
    return _build(leaves, depth)


def _build(leaves: Sequence[Leaf], depth: int) -> Node | None:
    if not leaves:
        return None
    if len(leaves) == 1:
        return leaves[0]
    middle = next((i for i, leaf in enumerate(leaves) if bit(leaf.path, depth)), len(leaves))
    return Inner(_build(leaves[:middle], depth + 1), _build(leaves[middle:], depth + 1))


def _join(left: Node | None, right: Node | None) -> Node | None:
    """Keeps the one shape: a subtree with a single leaf is that leaf."""
    if left is None and not isinstance(right, Inner):
        return right
    if right is None and not isinstance(left, Inner):
        return left
    return Inner(left, right)


def _split(changes: Sequence[_Change], depth: int) -> int:
    return next((i for i, change in enumerate(changes) if bit(change[0], depth)), len(changes))
