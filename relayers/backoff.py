"""How long to wait before the next try: doubling up to a bound, with jitter from outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Jitter = Callable[[], float]
"""Returns a number from 0 up to 1, for example ``random.random``; a simulation gives its own."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds. The wait before try n lies between half and all of ``first`` * 2^(n-1), at most
    ``most``: bounded below too, so that a failing node is never asked in a tight loop."""

    jitter: Jitter
    first: float = 0.5
    most: float = 10.0

    def pause(self, failures: int) -> float:
        """After so many failures in a row, 1 or more."""
        whole = min(self.most, self.first * 2.0 ** min(failures - 1, 32))
        return whole * (0.5 + 0.5 * self.jitter())
