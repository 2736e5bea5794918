"""EIP-712 hashing: the standard's own example, eth_account's encoder, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account.messages import _hash_eip191_message, encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from adapters.codec.typed_data import Schema, Value
from adapters.model import InvalidValue

# The example of EIP-712, whose hashes the standard's test contract and script give.
MAIL = Schema(
    {
        "Mail": (("from", "Person"), ("to", "Person"), ("contents", "string")),
        "Person": (("name", "string"), ("wallet", "address")),
    }
)
COW: Value = {"name": "Cow", "wallet": bytes.fromhex("CD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826")}
BOB: Value = {"name": "Bob", "wallet": bytes.fromhex("bBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB")}

ALL = Schema(
    {
        "All": (
            ("text", "string"),
            ("data", "bytes"),
            ("four", "bytes4"),
            ("word", "bytes32"),
            ("account", "address"),
            ("flag", "bool"),
            ("small", "uint8"),
            ("middle", "uint64"),
            ("large", "uint256"),
            ("z", "Zebra"),
            ("a", "Ant"),
        ),
        "Zebra": (("ant", "Ant"), ("last", "bytes1")),
        "Ant": (("legs", "uint16"),),
    }
)
ANT = st.fixed_dictionaries({"legs": st.integers(0, 2**16 - 1)})
VALUES = st.fixed_dictionaries(
    {
        "text": st.text(),
        "data": st.binary(max_size=300),
        "four": st.binary(min_size=4, max_size=4),
        "word": st.binary(min_size=32, max_size=32),
        "account": st.binary(min_size=20, max_size=20),
        "flag": st.booleans(),
        "small": st.integers(0, 255),
        "middle": st.integers(0, 2**64 - 1),
        "large": st.integers(0, 2**256 - 1),
        "z": st.fixed_dictionaries({"ant": ANT, "last": st.binary(min_size=1, max_size=1)}),
        "a": ANT,
    }
)
GOOD: dict[str, Any] = {
    "text": "x",
    "data": b"",
    "four": bytes(4),
    "word": bytes(32),
    "account": bytes(20),
    "flag": False,
    "small": 0,
    "middle": 0,
    "large": 0,
    "z": {"ant": {"legs": 6}, "last": b"\x01"},
    "a": {"legs": 6},
}


def test_the_example_of_the_standard() -> None:
    assert (
        MAIL.encode_type("Mail")
        == "Mail(Person from,Person to,string contents)Person(string name,address wallet)"
    )
    assert MAIL.type_hash("Mail").hex() == (
        "a0cedeb2dc280ba39b857546d74f5549c3a1d7bdc2dd96bf881f76108e23dac2"
    )
    assert MAIL.hash_struct("Mail", {"from": COW, "to": BOB, "contents": "Hello, Bob!"}).hex() == (
        "c52c0ee5d84264471806290a3f2c4cecfc5490626bf912d01f240d7a274b371e"
    )


@given(VALUES)
def test_hashes_are_those_of_another_encoder(values: dict[str, Any]) -> None:
    other = encode_typed_data(
        full_message={
            "types": {
                name: [{"name": member, "type": kind} for member, kind in members]
                for name, members in ALL.types.items()
            },
            "primaryType": "All",
            "domain": {"name": "Isthmus", "version": "1"},
            "message": values,
        }
    )
    assert ALL.domain_separator() == other.header
    assert ALL.hash_struct("All", values) == other.body
    assert ALL.digest("All", values) == _hash_eip191_message(other)


@pytest.mark.parametrize(
    ("member", "kind", "value"),
    [
        ("text", "string", b"x"),
        ("text", "text that UTF-8 can write", "\ud800"),
        ("data", "bytes", "x"),
        ("data", "bytes", None),
        ("four", "bytes4", bytes(3)),
        ("four", "bytes4", bytes(5)),
        ("four", "bytes4", 0),
        ("word", "bytes32", bytes(31)),
        ("word", "bytes32", bytes(33)),
        ("account", "address", bytes(19)),
        ("account", "address", bytes(32)),
        ("account", "address", "0x" + "00" * 20),
        ("flag", "bool", 0),
        ("flag", "bool", 1),
        ("small", "uint8", 256),
        ("small", "uint8", -1),
        ("small", "uint8", True),
        ("small", "uint8", "1"),
        ("small", "uint8", 1.0),
        ("middle", "uint64", 2**64),
        ("large", "uint256", 2**256),
        ("a", "Ant", b""),
        ("a", "Ant", 6),
    ],
)
def test_what_does_not_fit_its_type_is_refused_by_name(member: str, kind: str, value: Any) -> None:
    with pytest.raises(InvalidValue, match=rf"^All\.{member} is not (a |){kind}$") as refused:
        ALL.hash_struct("All", {**GOOD, member: value})
    assert refused.value.field == f"All.{member}"


def test_what_is_nested_is_named_by_its_own_struct() -> None:
    with pytest.raises(InvalidValue, match=r"^Ant\.legs is not a uint16$"):
        ALL.hash_struct("All", {**GOOD, "z": {"ant": {"legs": 2**16}, "last": b"\x01"}})


def test_members_are_neither_missing_nor_more() -> None:
    ALL.hash_struct("All", GOOD)
    with pytest.raises(InvalidValue, match=r"^All\.flag is missing$"):
        ALL.hash_struct("All", {name: value for name, value in GOOD.items() if name != "flag"})
    with pytest.raises(InvalidValue, match=r"^All\.more is not a member of All$"):
        ALL.hash_struct("All", {**GOOD, "more": 1})


@pytest.mark.parametrize(
    "kind",
    [
        "int8",
        "uint",
        "uint0",
        "uint7",
        "uint264",
        "uint08",
        "bytes0",
        "bytes33",
        "Bee",
        "bytes32[]",
    ],
)
def test_a_type_that_is_not_known_makes_no_schema(kind: str) -> None:
    with pytest.raises(ValueError, match="not a type of typed data"):
        Schema({"Odd": (("member", kind),)})
