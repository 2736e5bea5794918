"""The lock id: one formula for every chain, alike in Python, Solidity and the chaincode.

    lock_id = keccak256(chain ‖ contract ‖ sender ‖ recipient ‖ asset
                        ‖ amount ‖ hashlock ‖ deadline)

Eight words of 32 bytes each, integers big-endian (Solidity's ``abi.encode`` of static values).
What the five identity words are is each chain's own affair; its adapter documents it.
"""

from __future__ import annotations

from dataclasses import dataclass

from adapters.codec.keccak import keccak256
from adapters.model import Hashlock, InvalidValue, LockId


@dataclass(frozen=True, slots=True)
class IdentityWords:
    """Who and what, as one chain writes them in 32 bytes each."""

    chain: bytes
    contract: bytes
    sender: bytes
    recipient: bytes
    asset: bytes


def lock_id(words: IdentityWords, amount: int, hashlock: Hashlock, deadline: int) -> LockId:
    """The id of a lock. Raises InvalidValue where a word is not 32 bytes."""
    parts = (words.chain, words.contract, words.sender, words.recipient, words.asset)
    for name, part in zip(
        ("chain", "contract", "sender", "recipient", "asset"), parts, strict=True
    ):
        if len(part) != 32:
            raise InvalidValue(f"the {name} word of a lock id is {len(part)} bytes; it must be 32")
    return LockId(
        keccak256(
            b"".join(parts) + amount.to_bytes(32, "big") + hashlock + deadline.to_bytes(32, "big")
        )
    )
