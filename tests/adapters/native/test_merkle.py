"""The state tree and its proofs, checked by the independent verifier."""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.native.app import proof
from adapters.native.app.merkle import Tree
from adapters.native.app.proof import verify

KEYS = st.binary(min_size=1, max_size=4)
STATES = st.dictionaries(KEYS, st.binary(max_size=4), max_size=40)


def test_the_verifier_depends_on_hashlib_only() -> None:
    parsed = ast.parse(Path(proof.__file__).read_text())
    imported = {
        name
        for node in ast.walk(parsed)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module]
        )
    }
    assert imported == {"__future__", "hashlib"}


@given(STATES, KEYS)
def test_presence_and_absence_are_proved(state: dict[bytes, bytes], key: bytes) -> None:
    tree = Tree().update(state)
    for asked in [*state, key]:
        value = state.get(asked)
        assert tree.get(asked) == value
        shown = tree.prove(asked)
        assert verify(tree.root, asked, value, shown)
        # The same proof shows nothing else of the key.
        assert not verify(tree.root, asked, None if value is not None else b"", shown)
        assert not verify(tree.root, asked, (value or b"") + b"x", shown)


@given(STATES, st.data())
def test_tampered_proofs_show_nothing(state: dict[bytes, bytes], data: st.DataObject) -> None:
    tree = Tree().update(state)
    key = data.draw(st.sampled_from(sorted(state)) if state else KEYS)
    shown, value = tree.prove(key), tree.get(key)
    at = data.draw(st.integers(0, len(shown) - 1))
    flipped = bytearray(shown)
    flipped[at] ^= data.draw(st.integers(1, 255))
    assert not verify(tree.root, key, value, bytes(flipped))
    assert not verify(tree.root, key, value, shown[:at])
    assert not verify(tree.root, key, value, shown + b"\x00")
    assert not verify(bytes(32) if tree.root != bytes(32) else b"\x01" * 32, key, value, shown)


@given(STATES, KEYS)
def test_nobody_proves_the_absence_of_what_is_there(
    state: dict[bytes, bytes], other: bytes
) -> None:
    """Neither with another key's proof, nor with the key's own path relabelled as absent."""
    tree = Tree().update(state)
    for key, value in state.items():
        own = tree.prove(key)
        for kind in (proof.ABSENT_EMPTY, proof.ABSENT_OTHER):
            assert not verify(tree.root, key, None, bytes([kind]) + own[1:])
        if other not in state:
            absent = tree.prove(other)
            assert not verify(tree.root, key, None, absent)
            assert not verify(tree.root, key, value, absent)


@given(STATES, st.dictionaries(KEYS, st.binary(max_size=4), max_size=40), st.data())
def test_a_state_has_one_root_whatever_its_history(
    state: dict[bytes, bytes], written: dict[bytes, bytes], data: st.DataObject
) -> None:
    gone = data.draw(st.sets(st.sampled_from(sorted(state)))) if state else set()
    changes: dict[bytes, bytes | None] = {**written, **dict.fromkeys(gone)}
    old = Tree().update(state)
    root = old.root
    new = old.update(changes)
    merged = {k: v for k, v in (state | changes).items() if v is not None}
    assert new.root == Tree().update(merged).root
    assert dict(new.items()) == merged
    assert list(new.items()) == list(Tree().update(dict(reversed(merged.items()))).items())
    assert old.root == root, "an old version must stay as it was"
    assert dict(old.items()) == state


def test_an_update_that_changes_nothing_gives_the_same_tree() -> None:
    tree = Tree().update({bytes([n]): b"v" for n in range(50)})
    assert tree.update({b"absent": None}).root == tree.root
    assert tree.update({b"\x01": b"v"}).root == tree.root


@pytest.mark.parametrize("noise", [b"", b"\x02", b"\x02\x00", b"\xff" * 100, b"\x01" + bytes(66)])
def test_noise_is_no_proof(noise: bytes) -> None:
    tree = Tree().update({b"k": b"v", b"l": b"w"})
    assert not verify(tree.root, b"k", b"v", noise)
    assert not verify(tree.root, b"m", None, noise)


def test_another_leaf_proves_absence_only_where_the_key_would_stand() -> None:
    """Against a tree that no honest application makes: a leaf on the wrong side of the root."""
    keys = [bytes([n]) for n in range(40)]
    paths = {key: hashlib.sha256(key).digest() for key in keys}
    left = next(key for key in keys if not proof.bit(paths[key], 0))
    right = next(key for key in keys if proof.bit(paths[key], 0))
    value_hash = hashlib.sha256(b"v").digest()
    misplaced = proof.leaf_hash(paths[right], value_hash)
    root = proof.inner_hash(misplaced, bytes(32))
    shown = bytes([proof.ABSENT_OTHER]) + paths[right] + value_hash + b"\x00\x01" + bytes(32)
    assert not verify(root, left, None, shown)
