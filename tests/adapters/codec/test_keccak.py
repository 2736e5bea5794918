"""Keccak-256 against values that are known from elsewhere."""

from __future__ import annotations

import pytest

from adapters.codec.keccak import keccak256


@pytest.mark.parametrize(
    ("data", "digest"),
    [
        # The Yellow Paper's hash of nothing, and the ERC-20 Transfer event's topic.
        (b"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
        (
            b"Transfer(address,address,uint256)",
            "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef",
        ),
    ],
)
def test_known_digests(data: bytes, digest: str) -> None:
    assert keccak256(data).hex() == digest
