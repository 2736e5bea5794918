"""How many facts an engine takes in per second, on one core: in memory, and through SQLite.

    python -m bench        (or: make bench)

Each swap is a happy one, seen by its initiator: 13 facts from the offer to the other side's claim,
many swaps interleaved, appended in batches as watchers do. The garbage collector is set as in a
gateway's process.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from adapters.model import (
    AccountId,
    AssetId,
    Bounds,
    ChainId,
    Head,
    LockClaimed,
    LockEvent,
    LockId,
    LockOpened,
    Observation,
    Position,
    Preimage,
    Stage,
)
from gateway import garbage
from relayers.engine import Engine
from relayers.journal.memory import MemoryJournal, MemoryStore
from relayers.journal.port import FactEntry, Journal
from relayers.journal.sqlite import SqliteJournal
from relayers.protocol.facts import AcceptanceReceived, Delivered, FactBody, OfferMade, RevealBegun
from relayers.protocol.intents import Kind, intent_id
from relayers.protocol.offer import Acceptance, Offer, OfferedLeg, terms_a, terms_b
from relayers.protocol.state import Phase
from relayers.protocol.timelocks import GatewayBounds, Schedule, deadlines
from relayers.watcher import entry_of

FLOORS = {"memory": 10_000, "sqlite": 3_000}
NOW = 1_800_000_000
A, B = ChainId("eip155", "1"), ChainId("fabric", "0123456789abcdef0123456789abcdef")
BOUNDS = Bounds(inclusion=12, finality=60, clock=5)
SCHEDULE = Schedule(BOUNDS, BOUNDS, GatewayBounds(30, 3_600), 60, 60)
BATCH = 256


def _swap(number: int) -> Iterator[FactEntry]:
    """The facts of one swap, in the order in which its initiator learns them."""
    salt = sha256(b"salt %d" % number).digest()
    preimage = Preimage(sha256(salt).digest())
    key = preimage.hashlock()
    t1, t2 = deadlines(SCHEDULE, NOW + 600, 600)
    alice, bob = (
        {chain: AccountId(chain, "0x" + sha256(name).hexdigest()[:40]) for chain in (A, B)}
        for name in (b"alice", b"bob")
    )
    a, b = (
        OfferedLeg(chain, "0x" + "c" * 40, AssetId(chain, "slip44", "60"), 10**18, account, at)
        for chain, account, at in ((A, alice[A], t1), (B, alice[B], t2))
    )
    offer = Offer(1, b"i" * 20, b"r" * 20, salt, key, a, b, NOW + 600)
    acceptance = Acceptance(bytes(32), key, bob[A], bob[B])
    lock_a = LockId(sha256(b"a" + key).digest())
    lock_b = LockId(sha256(b"b" + key).digest())
    opened_a = LockOpened(lock_a, terms_a(offer, acceptance))
    opened_b = LockOpened(lock_b, terms_b(offer, acceptance))

    def fact(name: str, body: FactBody) -> FactEntry:
        return FactEntry(f"{key.hex()}/{name}", key, body)

    def seen(chain: ChainId, event: LockEvent, height: int) -> Iterator[FactEntry]:
        position = Position(height, sha256(b"%d" % height).digest(), number, salt.hex())
        for stage in (Stage.PENDING, Stage.FINAL):
            yield entry_of(Observation(chain, event, stage, position))

    yield fact("make", OfferMade(offer, bytes(65), SCHEDULE))
    yield fact("sent", Delivered(intent_id(key, Kind.SEND_OFFER)))
    yield fact("accept", AcceptanceReceived(acceptance, bytes(65), lock_a, lock_b))
    yield from seen(A, opened_a, 10)
    yield from seen(B, opened_b, 20)
    yield fact("reveal", RevealBegun(lock_b))
    yield from seen(B, LockClaimed(lock_b, key, preimage), 30)
    yield from seen(A, LockClaimed(lock_a, key, preimage), 40)
    yield fact("again", RevealBegun(lock_b))


def facts(swaps: int) -> list[FactEntry]:
    """Interleaved: the n-th facts of all swaps stand together, in groups of some hundred swaps."""
    found: list[FactEntry] = []
    for group in range(0, swaps, 200):
        lives = [list(_swap(number)) for number in range(group, min(swaps, group + 200))]
        for row in zip(*lives, strict=True):
            found.extend(row)
    return found


@dataclass(frozen=True, slots=True)
class Rate:
    """Facts per second from handing in the first to having told what became of the last; and per
    second of processor time, which other work on the machine disturbs less."""

    wall: float
    cpu: float


async def measure(journal: Journal, entries: list[FactEntry]) -> Rate:
    engine = await Engine.open(journal, lambda: NOW)
    running = asyncio.create_task(engine.run())
    garbage.settle()
    heads = [Head(chain, 100, bytes(32), NOW, 90) for chain in (A, B)]
    for head in heads:
        engine.update_view(head)
    began, busy = time.perf_counter(), time.process_time()
    for first in range(0, len(entries), BATCH):
        await engine.observe(heads[0], entries[first : first + BATCH])
    seconds, used = time.perf_counter() - began, time.process_time() - busy
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    phases = {swap.phase for swap in engine.swaps()}
    if phases != {Phase.COMPLETED}:
        raise AssertionError(f"the swaps of the benchmark ended as {phases}")
    return Rate(len(entries) / seconds, len(entries) / used)


async def run(swaps: int, folder: Path) -> dict[str, Rate]:
    entries = facts(swaps)
    memory = await measure(MemoryJournal(MemoryStore()), entries)
    async with await SqliteJournal.open(folder / "journal.db", "bench") as journal:
        sqlite = await measure(journal, [replace(entry) for entry in entries])
    return {"memory": memory, "sqlite": sqlite}
