"""The lock id: its file of vectors, and the formula by an encoder that is not ours."""

from __future__ import annotations

import json

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from adapters.codec.keccak import keccak256
from adapters.codec.lock_id import IdentityWords, lock_id
from adapters.codec.vectors import lock_id as lock_id_vectors
from adapters.model import Hashlock, InvalidValue

WORD = st.binary(min_size=32, max_size=32)
SOLIDITY_TYPES = [*["bytes32"] * 5, "uint256", "bytes32", "uint256"]


def test_the_file_is_what_the_code_generates() -> None:
    assert lock_id_vectors.PATH.read_text(encoding="ascii") == lock_id_vectors.text(), (
        "run python -m adapters.codec.vectors.lock_id"
    )


def test_the_vectors_are_enough_and_all_different() -> None:
    vectors = json.loads(lock_id_vectors.PATH.read_text())["vectors"]
    assert len(vectors) >= 60
    assert len({vector["name"] for vector in vectors}) == len(vectors)
    # Two vectors with one id would be one input twice, or a collision.
    assert len({vector["lock_id"] for vector in vectors}) == len(vectors)


@pytest.mark.parametrize(
    "vector",
    json.loads(lock_id_vectors.PATH.read_text())["vectors"],
    ids=lambda vector: vector["name"],
)
def test_solidity_encoding_gives_the_same(vector: dict[str, str]) -> None:
    words = [
        bytes.fromhex(vector[field][2:])
        for field in ("chain", "contract", "sender", "recipient", "asset")
    ]
    encoded = encode(
        SOLIDITY_TYPES,
        [
            *words,
            int(vector["amount"]),
            bytes.fromhex(vector["hashlock"][2:]),
            int(vector["deadline"]),
        ],
    )
    assert "0x" + keccak256(encoded).hex() == vector["lock_id"]


@given(
    words=st.lists(WORD, min_size=5, max_size=5),
    amount=st.integers(1, 2**256 - 1),
    hashlock=WORD,
    deadline=st.integers(1, 2**63 - 1),
)
def test_formula_is_abi_encode(
    words: list[bytes], amount: int, hashlock: bytes, deadline: int
) -> None:
    expected = keccak256(encode(SOLIDITY_TYPES, [*words, amount, hashlock, deadline]))
    assert lock_id(IdentityWords(*words), amount, Hashlock(hashlock), deadline) == expected


@pytest.mark.parametrize("field", ["chain", "contract", "sender", "recipient", "asset"])
@pytest.mark.parametrize("length", [0, 20, 31, 33])
def test_a_word_of_another_length_is_refused(field: str, length: int) -> None:
    words = dict.fromkeys(("chain", "contract", "sender", "recipient", "asset"), bytes(32))
    words[field] = bytes(length)
    with pytest.raises(InvalidValue, match=f"the {field} word of a lock id is {length} bytes"):
        lock_id(IdentityWords(**words), 1, Hashlock(b"\x01" * 32), 1)
