"""Batch trees: those that OpenZeppelin's library made, and what a proof proves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.codec import vectors
from adapters.codec.keccak import keccak256
from adapters.codec.merkle import MessageTree, leaf, verify
from adapters.model import InvalidValue

# openzeppelin_trees.cjs beside it says how it was made.
MADE = json.loads((Path(vectors.__file__).parent / "openzeppelin_trees.json").read_text())
ID = st.binary(min_size=32, max_size=32)
IDS = st.lists(ID, min_size=1, max_size=40, unique=True)


def unhex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def ids(size: int) -> list[bytes]:
    return [keccak256(number.to_bytes(32, "big")) for number in range(size)]


@pytest.mark.parametrize("made", MADE["trees"], ids=lambda made: str(made["size"]))
def test_trees_are_those_of_openzeppelin(made: dict[str, Any]) -> None:
    tree = MessageTree(ids(made["size"]))
    assert tree.root == unhex(made["root"])
    if "nodes" in made:
        assert list(tree.nodes) == [unhex(node) for node in made["nodes"]]
    for shown in made["proofs"]:
        assert tree.proof(unhex(shown["id"])) == tuple(map(unhex, shown["proof"]))


def test_there_are_trees_of_many_shapes() -> None:
    assert MADE["made_by"].startswith("@openzeppelin/merkle-tree 1.")
    assert {1, 2, 3, 7, 8, 9, 63, 64, 65} <= {made["size"] for made in MADE["trees"]}


@given(IDS, st.randoms(use_true_random=False))
def test_every_id_is_proven_and_their_order_is_no_matter(ids: list[bytes], random: Any) -> None:
    tree = MessageTree(ids)
    for one in ids:
        assert verify(tree.root, one, tree.proof(one))
    shuffled = list(ids)
    random.shuffle(shuffled)
    assert MessageTree(shuffled).nodes == tree.nodes


@given(IDS, ID, st.data())
def test_nothing_else_is_proven(ids: list[bytes], other: bytes, data: st.DataObject) -> None:
    tree = MessageTree(ids)
    one = data.draw(st.sampled_from(ids))
    proof = tree.proof(one)
    if other not in ids:
        assert not verify(tree.root, other, proof)
        assert not verify(other, one, proof)
        with pytest.raises(InvalidValue, match="is not in the batch"):
            tree.proof(other)
    assert not verify(tree.root, one, (*proof, other))
    for at in range(len(proof)):
        assert not verify(tree.root, one, proof[:at] + proof[at + 1 :])
        if other != proof[at]:
            assert not verify(tree.root, one, (*proof[:at], other, *proof[at + 1 :]))


def test_an_inner_node_is_no_leaf() -> None:
    """Hashed once, 64 bytes of an inner node's children would pass for a message."""
    tree = MessageTree(ids(4))
    for node in tree.nodes:
        assert not verify(tree.root, node, ())
        assert not verify(tree.root, node, tree.proof(ids(4)[0])[1:])
    assert not verify(tree.root, tree.nodes[1] + tree.nodes[2], ())


def test_a_single_message_is_its_leaf() -> None:
    (one,) = ids(1)
    tree = MessageTree([one])
    assert tree.root == leaf(one) == keccak256(keccak256(one))
    assert tree.proof(one) == ()
    assert verify(tree.root, one, ())


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_parts_of_another_length_prove_nothing(length: int) -> None:
    one, two = ids(2)
    tree = MessageTree([one, two])
    (sibling,) = tree.proof(one)
    odd = bytes(length)
    assert not verify(odd, one, [sibling])
    assert not verify(tree.root, odd, [sibling])
    assert not verify(tree.root, one, [sibling, odd])


@pytest.mark.parametrize(
    ("batch", "reason"),
    [
        ([], "at least one message"),
        ([bytes(32), bytes(31)], r"ids\[1\] is 31 bytes"),
        ([b"\x01" * 32, b"\x02" * 32, b"\x01" * 32], "a message twice"),
    ],
)
def test_what_is_no_batch_makes_no_tree(batch: list[bytes], reason: str) -> None:
    with pytest.raises(InvalidValue, match=reason) as refused:
        MessageTree(batch)
    assert refused.value.field == "ids"
