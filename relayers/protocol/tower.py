"""What a watchtower does, decided by what the chains have shown: pure, and without any key.

Anyone may claim a lock whose preimage is known (the asset goes to the recipient) and refund one
whose deadline has come (it goes to the sender). So a tower finishes swaps for parties that are
down, and can do nobody harm. It never needs a preimage that is not on a chain already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, assert_never

from adapters.model import (
    AccountId,
    ChainId,
    Hashlock,
    Head,
    LockClaimed,
    LockId,
    LockOpened,
    LockRefunded,
    LockTerms,
    Observation,
    Preimage,
    Stage,
)
from adapters.values import replace


@dataclass(frozen=True, slots=True)
class WatchedLock:
    """An open lock. ``settling``: a claim or refund of it is seen, and not final yet, since
    ``settling_since`` by the tower's clock. ``opened_at``: the height of the block that it is in.

    Both numbers are 0 in files of towers that did not keep them yet: so old a settling is believed
    no more, and any head is then high enough.
    """

    lock_id: LockId
    terms: LockTerms
    settling: bool = False
    settling_since: int = 0
    opened_at: int = 0


@dataclass(frozen=True, slots=True)
class KnownSecret:
    """A preimage that a chain has shown. ``seen``: by the tower's clock. ``paid``: it has opened a
    lock that somebody served had made, who is owed what else it opens."""

    preimage: Preimage
    seen: int
    paid: bool = False


@dataclass(frozen=True, slots=True)
class Tower:
    """What a tower knows. The mappings are never changed in place."""

    locks: Mapping[LockId, WatchedLock] = field(default_factory=dict)
    secrets: Mapping[Hashlock, KnownSecret] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClaimFor:
    """Claim this lock for its recipient."""

    lock: WatchedLock
    preimage: Preimage


@dataclass(frozen=True, slots=True)
class RefundFor:
    """Refund this lock to its sender."""

    lock: WatchedLock


TowerErrand = ClaimFor | RefundFor
E = TypeVar("E", ClaimFor, RefundFor)


def serves(terms: LockTerms, accounts: frozenset[AccountId]) -> bool:
    """Whether a lock is one to look after: no accounts given means everybody's."""
    return not accounts or terms.sender in accounts or terms.recipient in accounts


def absorb(
    tower: Tower, observation: Observation, clock: int, accounts: frozenset[AccountId]
) -> Tower:
    """The tower after one more observation. Told twice, it is the same tower."""
    event, stage = observation.event, observation.stage
    match event:
        case LockOpened(lock_id, terms):
            if stage is Stage.RETRACTED:
                return forget(tower, lock_id)
            if not serves(terms, accounts):
                return tower
            height = observation.position.height
            lock = tower.locks.get(lock_id, WatchedLock(lock_id, terms, opened_at=height))
            # A block can be left for a higher one without a word of it: the highest counts.
            return _with(tower, replace(lock, opened_at=max(lock.opened_at, height)))
        case LockClaimed(lock_id, hashlock, preimage):
            # Known for good, even where the claim that showed it is retracted.
            if preimage.hashlock() == hashlock:
                known = tower.secrets.get(hashlock, KnownSecret(preimage, clock))
                opened = tower.locks.get(lock_id)
                if opened is not None and opened.terms.sender in accounts:
                    known = replace(known, paid=True)
                if tower.secrets.get(hashlock) != known:
                    tower = replace(tower, secrets={**tower.secrets, hashlock: known})
            return _settled(tower, lock_id, stage, clock)
        case LockRefunded(lock_id):
            return _settled(tower, lock_id, stage, clock)
        case _:
            assert_never(event)


def _settled(tower: Tower, lock_id: LockId, stage: Stage, clock: int) -> Tower:
    lock = tower.locks.get(lock_id)
    if lock is None:
        return tower
    if stage is Stage.FINAL:
        return forget(tower, lock_id)
    if stage is Stage.RETRACTED:
        return _with(tower, replace(lock, settling=False, settling_since=0))
    # Told again, it is not younger for that.
    since = lock.settling_since if lock.settling else clock
    return _with(tower, replace(lock, settling=True, settling_since=since))


def _with(tower: Tower, lock: WatchedLock) -> Tower:
    if tower.locks.get(lock.lock_id) == lock:
        return tower
    return replace(tower, locks={**tower.locks, lock.lock_id: lock})


def forget(tower: Tower, lock_id: LockId) -> Tower:
    """The tower without a lock that is settled for good, or is not there."""
    if lock_id not in tower.locks:
        return tower
    locks = {known: lock for known, lock in tower.locks.items() if known != lock_id}
    return replace(tower, locks=locks)


def prune(tower: Tower, before: int) -> Tower:
    """The tower without the secrets that were seen before this time and open nothing here. A lock
    under one of them that is found later is simply left to its owners."""
    needed = {lock.terms.hashlock for lock in tower.locks.values()}
    kept = {
        hashlock: known
        for hashlock, known in tower.secrets.items()
        if known.seen >= before or hashlock in needed
    }
    return tower if len(kept) == len(tower.secrets) else replace(tower, secrets=kept)


def errands(
    tower: Tower,
    heads: Mapping[ChainId, Head],
    clock: int,
    accounts: frozenset[AccountId],
    *,
    patience: int,
    to_final: Mapping[ChainId, int],
) -> tuple[TowerErrand, ...]:
    """What is to be done now, judged by each chain's own time: the claims first, since a late one
    is lost and a late refund is not. Among each the hashlocks take turns, in the order of their
    nearest deadlines, so that no number of locks under one of them makes the others wait.

    Of the claims those come first whose secret has opened a lock of somebody served. Anybody can
    lock dust for a served account under secrets of their own, as many as they like; only who was
    given a lock by that account, which was agreed on, can open it.

    A lock is claimed where either party is served, and refunded only where its sender is: what
    comes back to somebody else is no reason to spend this tower's fees.

    ``patience``: seconds that the owners get to do it themselves. ``to_final``: I + F + ε of each
    chain, in seconds. For the last so many before a deadline nobody is waited for; and what is
    seen settling for so long without an end is taken for lost, and is done again.
    """
    claims: list[ClaimFor] = []
    refunds: list[RefundFor] = []
    for lock in tower.locks.values():
        chain = lock.terms.chain
        head = heads.get(chain)
        span = to_final.get(chain, 0)
        # A clock that was set back makes an age below zero: no reason to believe it either.
        if head is None or (lock.settling and 0 <= clock - lock.settling_since <= span):
            continue
        left = lock.terms.deadline - head.time
        known = tower.secrets.get(lock.terms.hashlock)
        if left > 0:
            if known is not None and (clock >= known.seen + patience or left <= span):
                claims.append(ClaimFor(lock, known.preimage))
        elif -left >= patience and (not accounts or lock.terms.sender in accounts):
            refunds.append(RefundFor(lock))
    owed = [claim for claim in claims if tower.secrets[claim.lock.terms.hashlock].paid]
    others = [claim for claim in claims if not tower.secrets[claim.lock.terms.hashlock].paid]
    return (*_in_turns(owed), *_in_turns(others), *_in_turns(refunds))


def _in_turns(errands: Sequence[E]) -> list[E]:
    """The first of each hashlock, then the second of each, and so on; of each the nearest deadline
    first, and in each round too."""
    rounds: dict[Hashlock, int] = {}
    placed: list[tuple[int, E]] = []
    for errand in sorted(errands, key=lambda errand: errand.lock.terms.deadline):
        hashlock = errand.lock.terms.hashlock
        placed.append((rounds.get(hashlock, 0), errand))
        rounds[hashlock] = rounds.get(hashlock, 0) + 1
    return [errand for _, errand in sorted(placed, key=lambda place: place[0])]
