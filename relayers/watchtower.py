"""The watchtower: finishes swaps for parties that are down, with nothing but its own fee money.

It watches every chain of its configuration. When a preimage shows on one of them it claims each
open lock under that hashlock for the lock's recipient; when a deadline has come it refunds the lock
to its sender. On each chain it does so many of these at a time as the chain's profile says
(``at_once``). What it knows comes from the chains and can be read from them again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from adapters.model import (
    AccountId,
    ChainId,
    Claim,
    Collect,
    Cursor,
    Head,
    LockId,
    LockState,
    Refund,
)
from adapters.spi import AdapterError
from relayers.backoff import Backoff
from relayers.clock import Clock
from relayers.journal.port import ChainCursor, FactEntry
from relayers.post import Post
from relayers.protocol.facts import Observed
from relayers.protocol.state import Swap
from relayers.protocol.timelocks import at_once_beside_claims
from relayers.protocol.tower import (
    ClaimFor,
    RefundFor,
    Tower,
    TowerErrand,
    absorb,
    errands,
    forget,
    prune,
)
from relayers.tower_state import TowerStateError
from relayers.watcher import Watcher

_log = logging.getLogger(__name__)

_KEEP_SECRETS = 30 * 24 * 3600
"""Seconds for which a preimage is kept though it opens no lock that is known here."""

_LOOK_EVERY = 5.0
"""Seconds after which a tower looks again though no chain has shown anything new."""


class State(Protocol):
    """Where the tower is kept; ``TowerState`` keeps it in a file."""

    def load(self) -> tuple[Tower, dict[ChainId, Cursor]]: ...

    def save(self, tower: Tower, cursors: dict[ChainId, Cursor]) -> None: ...


class Watchtower:
    """``posts``: the chains that can be reached from the start; ``add`` takes in another.
    ``serves``: the accounts whose locks it looks after; empty: everybody's. ``patience``: seconds
    that the owners get to act themselves, except shortly before a deadline.

    Raises TowerStateError where its state cannot be read.
    """

    def __init__(
        self,
        posts: Mapping[ChainId, Post],
        state: State,
        clock: Clock,
        backoff: Backoff,
        *,
        serves: frozenset[AccountId] = frozenset(),
        patience: int = 0,
    ) -> None:
        self._posts: dict[ChainId, Post] = {}
        self._store = state
        self._clock = clock
        self._backoff = backoff
        self._serves = serves
        self._patience = patience
        self._heads: dict[ChainId, Head] = {}
        self._failures: dict[LockId, int] = {}
        self._not_before: dict[LockId, float] = {}
        self._moved: dict[ChainId, asyncio.Event] = {}
        self._to_final: dict[ChainId, int] = {}
        self._watchers: dict[ChainId, Watcher] = {}
        self._tower, self._cursors = state.load()
        for chain, post in posts.items():
            self.add(chain, post)

    @property
    def tower(self) -> Tower:
        """What it knows now."""
        return self._tower

    @property
    def watchers(self) -> Sequence[Watcher]:
        """One per chain that it has."""
        return tuple(self._watchers.values())

    def add(self, chain: ChainId, post: Post) -> None:
        """A chain that can be reached now: ``look_after`` is to be called for it. It is read from
        where it was left, and what is known of its locks is acted on from its first head on."""
        bounds = post.adapter.profile.bounds
        self._posts[chain] = post
        self._moved[chain] = asyncio.Event()
        self._to_final[chain] = bounds.inclusion + bounds.finality + bounds.clock
        self._watchers[chain] = Watcher(self, post.adapter, self._clock, self._backoff)

    async def look_after(self, chain: ChainId) -> None:
        """Watches one chain that it has and acts on it, until cancelled. Raises TowerStateError
        where its state cannot be written."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watchers[chain].run(), name=f"tower watcher {chain}")
            tasks.create_task(self._act(chain), name=f"tower {chain}")

    async def run(self) -> None:
        """Looks after every chain that it has now, until cancelled. Raises TowerStateError."""
        async with asyncio.TaskGroup() as tasks:
            for chain in self._posts:
                tasks.create_task(self.look_after(chain), name=f"tower post {chain}")

    # --- told by the watchers ----------------------------------------------------------------

    async def cursor(self, chain: ChainId) -> Cursor | None:
        return self._cursors.get(chain)

    async def observe(
        self, head: Head, entries: Sequence[FactEntry] = (), cursor: ChainCursor | None = None
    ) -> None:
        self._heads[head.chain] = head
        clock = int(self._clock())
        for entry in entries:
            if isinstance(entry.body, Observed):
                self._tower = absorb(self._tower, entry.body.observation, clock, self._serves)
        if cursor is not None:
            self._cursors[head.chain] = cursor.cursor
            self._tower = prune(self._tower, clock - _KEEP_SECRETS)
            self._store.save(self._tower, self._cursors)
        for moved in self._moved.values():
            moved.set()

    async def freeze(self, head: Head, reason: str) -> None:
        """A tower goes on: what it does is right on any fork on which it can be done."""

    async def look(self, chain: ChainId) -> None:
        self._moved[chain].set()

    def swaps(self) -> Sequence[Swap]:
        return ()

    # --- acting ------------------------------------------------------------------------------

    async def _act(self, chain: ChainId) -> None:
        """What is begun goes on until it is done; what is due is judged anew for each place that is
        free, because a secret that has come out goes before all refunds."""
        at_once = self._posts[chain].adapter.profile.at_once
        refunds_at_once = at_once_beside_claims(at_once)
        begun: dict[LockId, TowerErrand] = {}
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._moved[chain].clear()
                refunds = sum(isinstance(errand, RefundFor) for errand in begun.values())
                for errand in self._due(chain, begun):
                    if len(begun) == at_once:
                        break
                    if isinstance(errand, RefundFor):
                        # The other places are for claims that come: what is begun takes its time.
                        if refunds == refunds_at_once:
                            break
                        refunds += 1
                    begun[errand.lock.lock_id] = errand
                    tasks.create_task(self._do(errand, begun))
                try:
                    async with asyncio.timeout(_LOOK_EVERY):
                        await self._moved[chain].wait()
                except TimeoutError:
                    pass

    def _due(self, chain: ChainId, begun: Collection[LockId]) -> Sequence[TowerErrand]:
        """What is to be done on a chain now and is not begun, the most urgent first."""
        clock = self._clock()
        due = errands(
            self._tower,
            self._heads,
            int(clock),
            self._serves,
            patience=self._patience,
            to_final=self._to_final,
        )
        return [
            errand
            for errand in due
            if errand.lock.terms.chain == chain
            and errand.lock.lock_id not in begun
            and clock >= self._not_before.get(errand.lock.lock_id, 0)
        ]

    async def _do(self, errand: TowerErrand, begun: dict[LockId, TowerErrand]) -> None:
        try:
            await self._try(errand)
        finally:
            del begun[errand.lock.lock_id]
            self._moved[errand.lock.terms.chain].set()

    async def _try(self, errand: TowerErrand) -> None:
        lock = errand.lock
        post = self._posts[lock.terms.chain]
        bounds = post.adapter.profile.bounds
        try:
            # Before the look-up, so that what the look-up says is as of this head or a later one.
            head = await post.adapter.head()
            record = await post.adapter.lookup(lock.lock_id)
            if record.state is LockState.OPEN:
                match errand:
                    case ClaimFor(preimage=preimage):
                        await post.adapter.submit(Claim(lock.lock_id, preimage), post.credential)
                    case RefundFor():
                        await post.adapter.submit(Refund(lock.lock_id), post.credential)
                _log.info("%s sent for lock %s", type(errand).__name__, lock.lock_id.hex())
            elif record.owed:
                await post.adapter.submit(Collect(lock.lock_id), post.credential)
            elif record.state is not LockState.ABSENT and record.final:
                self._drop(lock.lock_id)
                return
            elif (
                record.state is LockState.ABSENT
                # As it is known now: the lock may have been seen again meanwhile, higher up.
                and head.height >= self._tower.locks.get(lock.lock_id, lock).opened_at
                and head.time >= lock.terms.deadline
            ):
                # Its deadline has come and it is not there: it can never be there any more. A node
                # that is behind the lock's own block says the same, and knows nothing of it.
                self._drop(lock.lock_id)
                return
            pause: float = bounds.inclusion + bounds.finality + 1
            self._failures.pop(lock.lock_id, None)
        except TowerStateError:
            raise
        except AdapterError as error:
            pause = self._failed(lock.lock_id)
            _log.warning("%s; trying again", error)
        except Exception as error:  # noqa: BLE001 - one lock must not stop the others
            pause = self._failed(lock.lock_id)
            _log.error("%s at lock %s", type(error).__name__, lock.lock_id.hex())
        self._not_before[lock.lock_id] = self._clock() + pause

    def _failed(self, lock_id: LockId) -> float:
        self._failures[lock_id] = self._failures.get(lock_id, 0) + 1
        return self._backoff.pause(self._failures[lock_id])

    def _drop(self, lock_id: LockId) -> None:
        self._tower = forget(self._tower, lock_id)
        self._failures.pop(lock_id, None)
        self._not_before.pop(lock_id, None)
