"""Makes lock_id.json: run ``python -m adapters.codec.vectors.lock_id`` after changing it.

Each vector has the five identity words and the hashlock as 0x-prefixed hexadecimal of 32 bytes, the
amount and the deadline as decimal text (JSON numbers lose digits above 2^53), and the lock id.
Words are the formula's inputs as they are; that some of them could not be an account of some chain
does not matter to it. Amounts and deadlines are within what a lock may have.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adapters.codec.lock_id import IdentityWords, lock_id
from adapters.model import MAX_AMOUNT, Hashlock

PATH = Path(__file__).with_suffix(".json")

_IDENTITY = ("chain", "contract", "sender", "recipient", "asset")
_MAX_DEADLINE = 2**63 - 1
_ZERO = bytes(32)
_ONES = b"\xff" * 32


def _word(label: str) -> bytes:
    return hashlib.sha256(f"isthmus lock id vector: {label}".encode()).digest()


def _vector(name: str, **changes: Any) -> dict[str, str]:
    """One vector: ordinary words, but for the changes."""
    words = {field: changes.get(field, _word(field)) for field in _IDENTITY}
    amount: int = changes.get("amount", 1_000_000)
    deadline: int = changes.get("deadline", 1_800_000_000)
    hashlock = Hashlock(changes.get("hashlock", _word("hashlock")))
    result = lock_id(IdentityWords(**words), amount, hashlock, deadline)
    return {
        "name": name,
        **{field: _hex(words[field]) for field in _IDENTITY},
        "amount": str(amount),
        "hashlock": _hex(hashlock),
        "deadline": str(deadline),
        "lock_id": _hex(result),
    }


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


def vectors() -> Iterator[dict[str, str]]:
    """All vectors, in the file's order; names are unique."""
    yield _vector("ordinary")
    for field in _IDENTITY:
        yield _vector(f"zero {field}", **{field: _ZERO})
        yield _vector(f"all ones {field}", **{field: _ONES})
        yield _vector(f"{field} is one", **{field: (1).to_bytes(32, "big")})
        yield _vector(f"{field} has only its first byte", **{field: b"\x80" + bytes(31)})
        # An address as Solidity pads it: twelve zero bytes, then twenty.
        yield _vector(f"{field} is an address", **{field: bytes(12) + _word(field)[:20]})
    yield _vector("all identity words zero", **dict.fromkeys(_IDENTITY, _ZERO))
    yield _vector("all identity words ones", **dict.fromkeys(_IDENTITY, _ONES))
    yield _vector("all identity words alike", **dict.fromkeys(_IDENTITY, _word("alike")))
    yield _vector(
        "sender and recipient exchanged", sender=_word("recipient"), recipient=_word("sender")
    )
    yield _vector("coin of an EVM chain", asset=_ZERO, chain=(1).to_bytes(32, "big"))
    yield _vector("hashlock is one", hashlock=(1).to_bytes(32, "big"))
    yield _vector("hashlock all ones", hashlock=_ONES)
    amounts = (1, 2, 255, 256, 2**53, 2**53 + 1, 2**63, 2**64 - 1, 2**64, 2**128 - 1, 2**128)
    for amount in (*amounts, 10**18, 2**255, MAX_AMOUNT - 1, MAX_AMOUNT):
        yield _vector(f"amount {amount}", amount=amount)
    for deadline in (
        1,
        255,
        256,
        2**31 - 1,
        2**31,
        2**32,
        2**53 + 1,
        _MAX_DEADLINE - 1,
        _MAX_DEADLINE,
    ):
        yield _vector(f"deadline {deadline}", deadline=deadline)
    yield _vector("amount and deadline at their most", amount=MAX_AMOUNT, deadline=_MAX_DEADLINE)
    yield _vector("amount and deadline at their least", amount=1, deadline=1)
    for index in range(24):
        words = {field: _word(f"{field} {index}") for field in (*_IDENTITY, "hashlock")}
        amount = int.from_bytes(_word(f"amount {index}")[: index + 1], "big") + 1
        deadline = 1_700_000_000 + int.from_bytes(_word(f"deadline {index}")[:3], "big")
        yield _vector(f"mixed {index}", **words, amount=amount, deadline=deadline)


def text() -> str:
    """The file as it should be."""
    document = {
        "formula": "keccak256(chain | contract | sender | recipient | asset | amount | hashlock "
        "| deadline), eight big-endian words of 32 bytes",
        "vectors": list(vectors()),
    }
    return json.dumps(document, indent=1) + "\n"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="ascii")
