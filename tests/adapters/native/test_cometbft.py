"""Hashes and encodings, against blocks that a real CometBFT 0.38.19 node made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from adapters.native.app.timestamp import ZERO_TIME, Timestamp
from adapters.native.cometbft.block import (
    Block,
    BlockId,
    base64_bytes,
    consensus_hash,
    data_hash,
    int64,
    precommit_sign_bytes,
    results_hash,
    validator_address,
    validators_hash,
)
from adapters.native.cometbft.genesis import ValidatorKey
from adapters.native.cometbft.merkle import merkle_root

VECTORS = json.loads((Path(__file__).parent / "vectors" / "cometbft_blocks.json").read_text())
BLOCKS = VECTORS["blocks"]
VALIDATOR = base64_bytes(VECTORS["validators"][0]["public_key"])


@pytest.mark.parametrize("entry", BLOCKS, ids=lambda e: e["block"]["header"]["height"])
def test_a_real_block_has_the_hashes_it_says(entry: dict[str, Any]) -> None:
    block = Block.from_json(entry["block"])
    assert block.to_json() == entry["block"]
    assert block.block_id() == BlockId.from_json(entry["block_id"])
    assert data_hash(block.txs) == block.header.data_hash
    assert block.last_commit.hash() == block.header.last_commit_hash
    assert validators_hash([(VALIDATOR, 10)]) == block.header.validators_hash
    assert consensus_hash(22020096, -1) == block.header.consensus_hash
    assert validator_address(VALIDATOR) == block.header.proposer_address
    for signature in block.last_commit.signatures:
        Ed25519PublicKey.from_public_bytes(VALIDATOR).verify(
            signature.signature,
            precommit_sign_bytes(
                block.header.chain_id,
                block.last_commit.height,
                block.last_commit.round,
                block.last_commit.block_id,
                signature.timestamp,
            ),
        )


def test_results_hash_is_that_of_the_next_header() -> None:
    by_height = {int(e["block"]["header"]["height"]): Block.from_json(e["block"]) for e in BLOCKS}
    for height in (9, 39):
        results = [(0, b"", 0, 0)] * len(by_height[height].txs)
        assert results_hash(results) == by_height[height + 1].header.last_results_hash


def test_the_empty_list_has_the_root_of_nothing() -> None:
    assert merkle_root([]).hex().startswith("e3b0c44298fc1c14")


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21T09:48:33.707024793Z",
        "2026-11-21T09:48:33.7Z",
        "2026-11-21T09:48:33Z",
        "0001-01-01T00:00:00Z",
    ],
)
def test_times_are_read_and_written_as_go_does(text: str) -> None:
    assert str(Timestamp.parse(text)) == text


def test_the_zero_time() -> None:
    assert Timestamp.parse("0001-01-01T00:00:00Z") == ZERO_TIME


@pytest.mark.parametrize("text", ["", "2026-11-21", "2026-11-21T09:48:33+01:00", "x" * 30])
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="RFC 3339"):
        Timestamp.parse(text)


@pytest.mark.parametrize("value", [1, 1.5, None, "", "-", "1.5", "0x1", "9" * 30])
def test_what_is_no_integer_in_a_string_is_refused(value: object) -> None:
    with pytest.raises(ValueError):
        int64(value)


def test_a_validator_key_keeps_its_form_and_hides_itself() -> None:
    key = ValidatorKey.generate()
    form = key.to_json()
    assert ValidatorKey.from_json(form).public_key == key.public_key
    assert form["priv_key"]["value"] not in repr(key)
    form["priv_key"]["value"] = ValidatorKey.generate().to_json()["priv_key"]["value"][:44]
    with pytest.raises(ValueError, match="validator key") as caught:
        ValidatorKey.from_json(form)
    assert form["priv_key"]["value"] not in str(caught.value)
