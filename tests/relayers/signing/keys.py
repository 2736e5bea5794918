"""Cheap keys for tests: scrypt at its smallest, chance from a counter."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from relayers.signing.secret import Secret

COST = 2
PASSPHRASE = Secret("correct horse")


def counted_bytes(seed: str = "keys") -> Callable[[int], bytes]:
    """Random bytes that are the same in every run."""
    count = 0

    def draw(size: int) -> bytes:
        nonlocal count
        count += 1
        return hashlib.shake_256(f"{seed} {count}".encode()).digest(size)

    return draw
