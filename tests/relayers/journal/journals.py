"""The journals that every contract test runs against, and facts to put into them."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path

from adapters.model import (
    AccountId,
    AssetId,
    Bounds,
    ChainId,
    Cursor,
    Hashlock,
    Head,
    LockClaimed,
    LockId,
    LockOpened,
    Observation,
    Position,
    Preimage,
    Stage,
)
from relayers.journal.memory import MemoryJournal, MemoryStore
from relayers.journal.port import ChainCursor, FactEntry, Journal, Stepped, StoredFact, Unreadable
from relayers.journal.sqlite import SqliteJournal
from relayers.protocol.facts import (
    AcceptanceReceived,
    At,
    ChainView,
    Fact,
    FactBody,
    OfferMade,
    RevealBegun,
)
from relayers.protocol.offer import Acceptance, Offer, OfferedLeg, terms_a, terms_b
from relayers.protocol.state import Swap
from relayers.protocol.swap import step
from relayers.protocol.timelocks import GatewayBounds, Schedule, deadlines
from relayers.watcher import entry_of

A, B = ChainId("sim", "a"), ChainId("sim", "b")
NOW = 1_800_000_000
BOUNDS = Bounds(inclusion=4, finality=6, clock=2)
SCHEDULE = Schedule(BOUNDS, BOUNDS, GatewayBounds(5, 60), 10, 10)
OWNER = "organisation one"

Opener = Callable[[], Awaitable[Journal]]
"""Opens the journal again on what it left behind."""


def memory_opener(store: MemoryStore | None = None) -> Opener:
    store = store if store is not None else MemoryStore()

    async def opener() -> Journal:
        return MemoryJournal(store)

    return opener


def sqlite_opener(folder: Path) -> Opener:
    async def opener() -> Journal:
        return await SqliteJournal.open(folder / "journal.db", OWNER)

    return opener


Damage = Callable[[str, bytes], None]
"""Makes what is stored of swap ``key`` unreadable while the journal is closed: ``what`` is
"snapshot", "intent" or "event"."""


def memory_damage(store: MemoryStore) -> Damage:
    def damage(what: str, key: bytes) -> None:
        unreadable = Unreadable("a stored value cannot be read")
        match what:
            case "snapshot":
                store.swaps[Hashlock(key)] = unreadable
            case "intent":
                ident = next(one for one in store.intents if one.startswith(key.hex()))
                store.intents[ident] = unreadable
            case _:
                raise ValueError(what)

    return damage


def sqlite_damage(path: Path, body: bytes | None = None) -> Damage:
    """``body``: what stands there instead; None: the record without its last byte."""

    def damage(what: str, key: bytes) -> None:
        with closing(sqlite3.connect(path)) as connection, connection:
            match what:
                case "snapshot" | "event":
                    table, where, value = f"{what}s", "key=?", key
                case "intent":
                    table, where, value = "intents", "id GLOB ?", f"{key.hex()}:*"
                case _:
                    raise ValueError(what)
            content = "substr(body, 1, length(body) - 1)" if body is None else "?"
            given = (value,) if body is None else (body, value)
            done = connection.execute(f"UPDATE {table} SET body={content} WHERE {where}", given)
            assert done.rowcount

    return damage


def at(clock: int = NOW, frozen: str | None = None) -> At:
    heads = [Head(chain, clock - NOW, bytes(32), clock, 0) for chain in (A, B)]
    return At(clock, (ChainView(heads[0], frozen), ChainView(heads[1])))


def cursor(height: int, chain: ChainId = A) -> ChainCursor:
    return ChainCursor(Cursor(f"at {height}"), Head(chain, height, bytes(32), NOW + height, 0))


def preimage_of(number: int) -> Preimage:
    return Preimage(sha256(b"preimage %d" % number).digest())


def key_of(number: int) -> Hashlock:
    return preimage_of(number).hashlock()


def life(number: int = 0, amount: int = 2**255 + 1) -> list[FactEntry]:
    """The facts of a happy swap in their order, as its initiator learns them."""
    key = key_of(number)
    t1, t2 = deadlines(SCHEDULE, NOW + 600, 60)
    accounts = {chain: AccountId(chain, "alice") for chain in (A, B)}
    a = OfferedLeg(A, "locks", AssetId(A, "coin", "x"), amount, accounts[A], t1)
    b = OfferedLeg(B, "locks", AssetId(B, "coin", "x"), amount, accounts[B], t2)
    salt = sha256(b"salt %d" % number).digest()
    offer = Offer(1, b"i" * 20, b"r" * 20, salt, key, a, b, NOW + 600, "invoice № 7")
    acceptance = Acceptance(bytes(32), key, AccountId(A, "bob"), AccountId(B, "bob"))
    lock_a = LockId(sha256(b"a" + key).digest())
    lock_b = LockId(sha256(b"b" + key).digest())

    def named(name: str, body: FactBody) -> FactEntry:
        return FactEntry(f"{key.hex()}/{name}", key, body)

    events = [
        (A, LockOpened(lock_a, terms_a(offer, acceptance)), 10),
        (B, LockOpened(lock_b, terms_b(offer, acceptance)), 20),
        (B, LockClaimed(lock_b, key, preimage_of(number)), 30),
        (A, LockClaimed(lock_a, key, preimage_of(number)), 40),
    ]
    seen = [
        entry_of(Observation(chain, event, stage, Position(height, bytes(32), 0, f"tx {number}")))
        for chain, event, height in events
        for stage in (Stage.PENDING, Stage.FINAL)
    ]
    return [
        named("make", OfferMade(offer, b"\xff" * 65, SCHEDULE)),
        named("accept", AcceptanceReceived(acceptance, bytes(65), lock_a, lock_b)),
        *seen[:4],
        named("reveal", RevealBegun(lock_b)),
        *seen[4:],
    ]


async def consume(journal: Journal, swaps: dict[Hashlock, Swap], count: int) -> list[Stepped]:
    """What an engine does with the next so many facts, one commit each."""
    done: list[Stepped] = []
    while len(done) < count:
        for fact in await journal.take(count - len(done)):
            done.append(stepped(fact, swaps, at(NOW + len(done))))
            await journal.commit(done[-1:])
    return done


def stepped(fact: StoredFact, swaps: dict[Hashlock, Swap], moment: At) -> Stepped:
    assert not isinstance(fact.body, Unreadable)
    move = step(swaps.get(fact.key), Fact(fact.body, moment))
    if move.state is not None:
        swaps[fact.key] = move.state
    return Stepped(fact, moment, move)
