"""Locks that were given up: seen to until none of them can go out late.

A lock is submitted, and then its swap comes to nothing: its window closed, the other side's secret
became public, the chain refused it once. The transaction may still be somewhere. The adapter is
told to abandon it (``Adapter.abandon``), again and again, until nothing of it is left twice in a
row, the finality bound apart. At its deadline, from which on no chain takes it, the chain is asked
once more. What it says is told to the engine: a lock that came after all is taken back, in the
ordinary way.

Which locks these are stands in the snapshots, so a restart forgets none.
"""

from __future__ import annotations

from dataclasses import dataclass

from adapters.model import LockId, LockRecord, LockState, LockTerms
from adapters.spi import Adapter, Credential
from relayers.protocol.intents import Kind
from relayers.protocol.state import Swap


@dataclass(frozen=True, slots=True)
class GivenUpLock:
    """A lock that was asked for, is not wanted any more, and is not there for good."""

    lock_id: LockId
    terms: LockTerms


def given_up(swap: Swap) -> GivenUpLock | None:
    """The swap's own lock, where it was given up. One that is only pending counts: a reorg may
    put it back among the transactions that wait."""
    own = swap.own
    if own is None or Kind.LOCK not in swap.closed:
        return None
    if own.open_final or own.settled_final or own.missed:
        return None
    if own.expired and not swap.ended:
        return None  # What asks for its refund asks the chain for it as well.
    return GivenUpLock(own.lock_id, own.terms)


@dataclass(frozen=True, slots=True)
class Look:
    """What one look showed. ``pause``: seconds until the next is due; None where none is needed any
    more. ``record``: what the chain said, where that is to be told: that the lock is not there
    counts from its deadline on only."""

    pause: float | None
    record: LockRecord | None = None


class Abandonment:
    """What is done about one lock that was given up."""

    def __init__(self, lock: GivenUpLock) -> None:
        self.lock = lock
        self._nothing_left = False

    async def look(self, adapter: Adapter, credential: Credential) -> Look:
        """One try. Raises AdapterError."""
        bounds = adapter.profile.bounds
        # Before the look-up: what is not there then, though its deadline had come, never will be.
        left = self.lock.terms.deadline - (await adapter.head()).time
        record = await adapter.lookup(self.lock.lock_id)
        if record.state is not LockState.ABSENT:
            self._nothing_left = False
            return Look(None if record.final else bounds.finality + 1, record)
        if left <= 0:
            return Look(None, record)
        before, self._nothing_left = (
            self._nothing_left,
            await adapter.abandon(self.lock.terms, credential),
        )
        if not self._nothing_left:
            pause = bounds.inclusion + 1
        elif not before:
            # What took the lock's place may be undone by a reorg until it is final.
            pause = bounds.inclusion + bounds.finality + 1
        else:
            pause = left
        return Look(min(pause, max(left, 1)))
