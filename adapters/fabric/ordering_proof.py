"""Whether the orderers serve us: only a transaction that was committed shows it.

An orderer without a leader answers reads and takes connections, and an idle channel looks like one
that nobody orders for. So before a secret is let out, a transaction of the own gateway must have
been committed within the time that a head may be old; where none was, one that changes nothing is
sent (ADR 0007).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable

from adapters.spi import AdapterError


class OrderingProof:
    """Remembers when a transaction of this gateway was last seen committed."""

    def __init__(self, holds_for: float, clock: Callable[[], float]) -> None:
        """``holds_for``: seconds; ``clock``: monotonic seconds."""
        self._holds_for = holds_for
        self._clock = clock
        self._begun = -math.inf
        self._turn = asyncio.Lock()

    def note(self, begun: float) -> None:
        """A transaction was committed that the orderers were not given before ``begun``."""
        self._begun = max(self._begun, begun)

    @property
    def holds(self) -> bool:
        return self._clock() - self._begun <= self._holds_for

    async def objection(self, send: Callable[[], Awaitable[object]]) -> str | None:
        """Why it must be feared that nothing would be ordered now. ``send`` sends a transaction
        that changes nothing and returns once it is committed, of which it notes; it is called
        only where no proof holds, and by one caller at a time: the others' proof is that one's."""
        async with self._turn:
            if self.holds:
                return None
            try:
                await send()
            except AdapterError as error:
                return (
                    "no transaction was seen committed of late, and one that changes nothing was "
                    f"not either: {error}"
                )
            return None
