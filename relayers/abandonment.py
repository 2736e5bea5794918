"""Locks that were given up: seen to until none of them can go out late.

A lock is submitted, and then its swap comes to nothing: its window closed, the other side's secret
became public, the chain refused it once. The transaction may still be somewhere. The adapter is
told to abandon it (``Adapter.abandon``), again and again, until the chain shows the lock after all
(then it is taken back in the ordinary way, after its deadline), or nothing of it is left twice in a
row, the finality bound apart, or its deadline has come, from which on no chain takes it.

Which locks these are stands in the snapshots, so a restart forgets none.
"""

from __future__ import annotations

from dataclasses import dataclass

from adapters.model import LockId, LockState, LockTerms
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
    if own.open_final or own.settled_final or own.expired:
        return None
    return GivenUpLock(own.lock_id, own.terms)


class Abandonment:
    """What is done about one lock that was given up."""

    def __init__(self, lock: GivenUpLock) -> None:
        self.lock = lock
        self._nothing_left = False

    async def look(self, adapter: Adapter, credential: Credential) -> float | None:
        """One try; the seconds until the next is due, None where none is needed any more.

        Raises AdapterError.
        """
        bounds = adapter.profile.bounds
        record = await adapter.lookup(self.lock.lock_id)
        if record.state is not LockState.ABSENT:
            self._nothing_left = False
            return None if record.final else bounds.finality + 1
        head = await adapter.head()
        if head.time >= self.lock.terms.deadline:
            return None
        before, self._nothing_left = (
            self._nothing_left,
            await adapter.abandon(self.lock.terms, credential),
        )
        if not self._nothing_left:
            return bounds.inclusion + 1
        # What took the lock's place may be undone by a reorg until it is final.
        return None if before else bounds.inclusion + bounds.finality + 1
