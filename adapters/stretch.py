"""How many blocks an event stream reads before it tells what it has read.

After an outage there is much to read, and what a node bears nobody knows beforehand. Whoever reads
the stream ends it where nothing has come for long; were the same stretch then asked for again, and
again, the stream would never get any further. So a stretch that was broken off is halved, and so is
one that took long; one that was read quickly makes the next a little longer. What was learnt
belongs to the node, not to one stream: an adapter keeps one Stretch for all its streams.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Stretch:
    """``longest``: blocks at the most. ``seconds``: what reading a stretch may take; a fraction of
    the profile's ``stale_after``, after which a silent stream may be broken off."""

    def __init__(self, longest: int, seconds: float) -> None:
        self._longest = longest
        self._seconds = seconds
        self._blocks = longest

    @property
    def blocks(self) -> int:
        """The number of blocks to read next, at the most."""
        return self._blocks

    def too_long(self, blocks: int) -> None:
        """So many blocks at a time were too many for the node."""
        self._blocks = max(1, min(self._blocks, blocks // 2))

    @contextmanager
    def reading(self, blocks: int) -> Iterator[None]:
        """Around the reading of a stretch: learns from how long it took, and from being
        cancelled in the middle of it."""
        now = asyncio.get_running_loop().time
        started = now()
        before = self._blocks
        try:
            yield
        except asyncio.CancelledError:
            self.too_long(blocks)
            raise
        took = now() - started
        if took > self._seconds:
            self.too_long(blocks)
        elif took * 4 < self._seconds and blocks >= before == self._blocks:
            # Slowly: what is too long costs far more time than what is too short.
            self._blocks = min(self._longest, before + max(1, before // 4))
