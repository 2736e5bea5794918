"""Batches of messages as Merkle trees, in the format of OpenZeppelin's StandardMerkleTree.

    leaf of an id  = keccak256(keccak256(id))
    inner node     = keccak256(smaller child ‖ greater child)

The leaf type is ``bytes32``, whose ABI encoding is the 32 bytes themselves; hashed twice, a leaf is
never taken for an inner node. Children are sorted, so a proof is a plain list of siblings, from
the leaf up. The tree lies in a list of 2n - 1 nodes: the root is node 0, the children of node i are
2i + 1 and 2i + 2, and the leaves, sorted, stand at the end, the smallest last. The tree of a single
message is its leaf, and its proof is empty.

Source: npm ``@openzeppelin/merkle-tree``, format ``standard-v1``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from adapters.codec.keccak import keccak256
from adapters.model import InvalidValue


class MessageTree:
    """The tree over the ids of a batch, in any order: that of the ids makes no difference to it.

    Raises InvalidValue where there is no id, one is not 32 bytes, or one comes twice."""

    def __init__(self, ids: Sequence[bytes]) -> None:
        if not ids:
            raise InvalidValue("ids is empty: a batch has at least one message", "ids")
        for index, one in enumerate(ids):
            if len(one) != 32:
                raise InvalidValue(f"ids[{index}] is {len(one)} bytes; it must be 32", "ids")
        if len(set(ids)) != len(ids):
            raise InvalidValue("ids names a message twice", "ids")
        inner = len(ids) - 1
        leaves = sorted(((leaf(one), one) for one in ids), reverse=True)
        nodes = [b""] * inner + [hashed for hashed, _ in leaves]
        for index in reversed(range(inner)):
            nodes[index] = _node(nodes[2 * index + 1], nodes[2 * index + 2])
        self._nodes = tuple(nodes)
        self._places = {one: inner + place for place, (_, one) in enumerate(leaves)}

    @property
    def root(self) -> bytes:
        """32 bytes."""
        return self._nodes[0]

    @property
    def nodes(self) -> tuple[bytes, ...]:
        """All nodes, the root first."""
        return self._nodes

    def proof(self, message_id: bytes) -> tuple[bytes, ...]:
        """The siblings of an id's leaf and of all above it, from the leaf up. Raises InvalidValue
        where the id is not of this batch."""
        place = self._places.get(message_id)
        if place is None:
            raise InvalidValue(f"message 0x{message_id.hex()} is not in the batch", "message_id")
        siblings = []
        while place > 0:
            # Left children have odd numbers.
            siblings.append(self._nodes[place + 1 if place % 2 else place - 1])
            place = (place - 1) // 2
        return tuple(siblings)


def leaf(message_id: bytes) -> bytes:
    """The leaf of an id, 32 bytes."""
    return keccak256(keccak256(message_id))


def verify(root: bytes, message_id: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the proof leads from the id to the root. False for parts that are not 32 bytes."""
    if any(len(part) != 32 for part in (root, message_id, *proof)):
        return False
    return reduce(_node, proof, leaf(message_id)) == root


def _node(one: bytes, other: bytes) -> bytes:
    return keccak256(min(one, other) + max(one, other))
