"""Two gateways, two simulated chains, in one process and in made time. Real engine, executor and
watchers; only the way between the gateways is played."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from adapters.model import Asset, AssetId, Bounds, ChainId, Hashlock, LockId, Preimage
from adapters.simulated.accounts import named_credential
from adapters.simulated.adapter import SimulatedAdapter
from adapters.simulated.chain import Rules, SimulatedChain
from adapters.simulated.faults import FaultPlan
from adapters.spi import AdapterError, Rejected, Unavailable, Unknown
from relayers.backoff import Backoff
from relayers.engine import Engine
from relayers.executor import Executor, Message
from relayers.journal.memory import CrashHook, MemoryJournal, MemoryStore, no_crash
from relayers.journal.port import Journal
from relayers.post import Post
from relayers.protocol.facts import (
    AcceptanceReceived,
    DeclineReceived,
    OfferAccepted,
    OfferMade,
    OfferReceived,
)
from relayers.protocol.intents import SendAcceptance, SendDecline, SendOffer
from relayers.protocol.offer import Acceptance, Offer, OfferedLeg, terms_a, terms_b
from relayers.protocol.state import Phase, Swap
from relayers.protocol.timelocks import GatewayBounds, Schedule, deadlines
from relayers.watcher import Watcher
from tests.relayers.virtual_time import clock

A = ChainId("sim", "a")
B = ChainId("sim", "b")
COINS = {chain: Asset(AssetId(chain, "coin", "native"), "SIM", 9) for chain in (A, B)}
BOUNDS = Bounds(inclusion=4, finality=6, clock=2)
STALE = 10
GATEWAY = GatewayBounds(reaction=5, outage=60)
SCHEDULE = Schedule(BOUNDS, BOUNDS, GATEWAY, STALE, STALE)
FUNDS = 1_000
ALICE, BOB = "alice", "bob"


def address(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()[:20]


class TestSecrets:
    """A swap key that is a name."""

    __test__ = False

    def __init__(self, name: str) -> None:
        self._key = hashlib.sha256(name.encode()).digest()

    async def preimage(self, salt: bytes) -> Preimage:
        return Preimage(hmac.digest(self._key, b"test" + salt, "sha256"))


class Process:
    """One run of a gateway: from its start to its end, planned or not."""

    def __init__(self, gateway: Gateway, journal: Journal) -> None:
        self.gateway = gateway
        self.journal = journal
        self.engine: Engine
        self.executor: Executor
        self.watchers: list[Watcher] = []
        self.ready = asyncio.Event()
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        world, name = self.gateway.world, self.gateway.name
        self.engine = await Engine.open(self.journal, clock)
        backoff = Backoff(lambda: 0.5, first=0.5, most=4.0)
        posts = {
            chain: Post(self.gateway.views[chain], named_credential(chain, name))
            for chain in (A, B)
        }
        self.executor = Executor(
            self.engine, posts, self.gateway, self.gateway.secrets, clock, backoff
        )
        self.watchers = [
            Watcher(self.engine, self.gateway.views[chain], clock, backoff) for chain in (A, B)
        ]
        assert world is not None
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.engine.run())
            tasks.create_task(self.executor.run())
            for watcher in self.watchers:
                tasks.create_task(watcher.run())
            self.ready.set()


JournalMaker = Callable[[], Awaitable[Journal]]


@dataclass
class Gateway:
    """A gateway that can be started, killed and started again. Its store outlives it."""

    world: World
    name: str
    faults: FaultPlan = field(default_factory=FaultPlan)
    accepts: bool = True
    crash: CrashHook = no_crash
    make_journal: JournalMaker | None = None
    process: Process | None = None
    supervised: bool = False
    """Something starts it again when it dies."""

    def __post_init__(self) -> None:
        self.store = MemoryStore()
        self.secrets = TestSecrets(self.name)
        self.views = {
            chain: SimulatedAdapter(
                self.world.chains[chain],
                bounds=BOUNDS,
                name=f"{self.name}:{chain}",
                stale_after=STALE,
                faults=self.faults,
            )
            for chain in (A, B)
        }

    @property
    def engine(self) -> Engine:
        assert self.process is not None
        return self.process.engine

    @property
    def alive(self) -> bool:
        process = self.process
        return process is not None and process.ready.is_set() and not process.task.done()

    def die(self) -> None:
        """The process ends at once, whoever it was that called into it."""
        if self.process is not None:
            self.process.task.cancel()

    async def _journal(self) -> Journal:
        if self.make_journal is not None:
            return await self.make_journal()
        return MemoryJournal(self.store, self.crash)

    async def start(self) -> None:
        self.process = Process(self, await self._journal())
        ready = asyncio.create_task(self.process.ready.wait())
        await asyncio.wait({ready, self.process.task}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()

    async def stop(self) -> BaseException | None:
        """Ends the process as kill -9 would: nothing gets to say goodbye. Returns what it died of
        before, if it did."""
        process, self.process = self.process, None
        if process is None:
            return None
        process.task.cancel()
        (died,) = await asyncio.gather(process.task, return_exceptions=True)
        await process.journal.close()
        return None if isinstance(died, asyncio.CancelledError) else died

    # The messenger, and what the other gateway does with what it is sent.

    async def send(self, message: Message) -> None:
        other = self.world.other(self)
        if not other.alive:
            raise Unavailable(f"{other.name} does not answer")
        try:
            await self._deliver(message, other)
        except AdapterError:
            raise
        except Exception as error:
            # What kills the other process does not cross the wire.
            raise Unknown(f"{other.name} broke off") from error

    async def _deliver(self, message: Message, other: Gateway) -> None:
        engine = other.engine
        match message:
            case SendOffer(ident, offer, signature):
                body = OfferReceived(offer, signature, SCHEDULE)
                await engine.put(offer.hashlock, body, f"{ident}/in")
                if other.accepts:
                    await other.accept(offer)
            case SendAcceptance(ident, _, acceptance, signature):
                swap = engine.swap(acceptance.hashlock)
                if swap is None:
                    raise Rejected(f"{other.name} knows no such offer")
                body_in = AcceptanceReceived(
                    acceptance, signature, *self.world.lock_ids(swap.offer, acceptance)
                )
                await engine.put(acceptance.hashlock, body_in, f"{ident}/in")
            case SendDecline(ident, _, hashlock, reason):
                await engine.put(hashlock, DeclineReceived(reason), f"{ident}/in")

    async def accept(self, offer: Offer) -> None:
        acceptance = Acceptance(
            bytes(32),
            offer.hashlock,
            named_credential(A, self.name).account,
            named_credential(B, self.name).account,
        )
        body = OfferAccepted(acceptance, bytes(65), *self.world.lock_ids(offer, acceptance))
        await self.engine.put(offer.hashlock, body, f"{offer.hashlock.hex()}/accept")


class World:
    """``interval``: seconds between blocks."""

    def __init__(self, interval: int = 2, depth: int = 2, late: bool = False) -> None:
        self.chains = {
            chain: SimulatedChain(
                chain, coin=COINS[chain], rules=Rules(depth=depth, late=late), genesis_time=999_990
            )
            for chain in (A, B)
        }
        self.interval = interval
        self.halted: set[ChainId] = set()
        self.alice = Gateway(self, ALICE)
        self.bob = Gateway(self, BOB)
        for chain in (A, B):
            for name in (ALICE, BOB, "tower"):
                self.chains[chain].fund(
                    named_credential(chain, name).account, COINS[chain].id, FUNDS
                )
        self._blocks = [asyncio.create_task(self._make_blocks(chain)) for chain in (A, B)]

    async def _make_blocks(self, chain: ChainId) -> None:
        while True:
            await asyncio.sleep(self.interval)
            if chain not in self.halted:
                self.chains[chain].produce_block(int(clock()))

    def other(self, gateway: Gateway) -> Gateway:
        return self.bob if gateway is self.alice else self.alice

    def lock_ids(self, offer: Offer, acceptance: Acceptance) -> tuple[LockId, LockId]:
        view = self.alice.views
        return (
            view[A].lock_id(terms_a(offer, acceptance)),
            view[B].lock_id(terms_b(offer, acceptance)),
        )

    async def offer(self, number: int = 0, amount: int = 10) -> Offer:
        """Alice's, of coin on A for as much on B."""
        salt = hashlib.sha256(b"salt %d" % number).digest()
        preimage = await self.alice.secrets.preimage(salt)
        start = int(clock()) + 30
        t1, t2 = deadlines(SCHEDULE, start, 20)
        legs = {
            chain: OfferedLeg(
                chain,
                "locks",
                COINS[chain].id,
                amount,
                named_credential(chain, ALICE).account,
                deadline,
            )
            for chain, deadline in ((A, t1), (B, t2))
        }
        return Offer(
            1, address(ALICE), address(BOB), salt, preimage.hashlock(), legs[A], legs[B], start
        )

    async def make(self, offer: Offer) -> None:
        await self.alice.engine.put(
            offer.hashlock,
            OfferMade(offer, bytes(65), SCHEDULE),
            f"{offer.hashlock.hex()}/make",
        )

    def keep_alive(self, gateway: Gateway) -> asyncio.Task[None]:
        """Starts a gateway again whenever it has died, as its supervisor would."""

        gateway.supervised = True

        async def supervise() -> None:
            while True:
                if not gateway.alive:
                    await gateway.stop()
                    await gateway.start()
                await asyncio.sleep(3)

        return asyncio.create_task(supervise())

    async def insist(self, offer: Offer) -> None:
        """Makes the offer, again where the gateway died over it: the same fact, so once."""
        while True:
            try:
                if self.alice.alive:
                    async with asyncio.timeout(5):
                        await self.make(offer)
                    return
            except Exception:  # noqa: BLE001 - it died, whatever of
                pass
            await asyncio.sleep(1)

    def balances(self) -> dict[str, tuple[int, int]]:
        """What each holds, on A and on B."""
        return {
            name: (
                self.chains[A].balance(named_credential(A, name).account, COINS[A].id),
                self.chains[B].balance(named_credential(B, name).account, COINS[B].id),
            )
            for name in (ALICE, BOB)
        }

    async def close(self) -> None:
        for task in self._blocks:
            task.cancel()
        await self.alice.stop()
        await self.bob.stop()


async def ended(gateway: Gateway, key: Hashlock, within: float = 3_000) -> Swap:
    """The swap, once it has come to an end on this side."""
    async with asyncio.timeout(within):
        while True:
            if gateway.process is not None and not gateway.supervised and not gateway.alive:
                gateway.process.task.result()
            swap = gateway.engine.swap(key) if gateway.alive else None
            if swap is not None and swap.ended:
                return swap
            await asyncio.sleep(1)


async def until(condition: Callable[[], object], within: float = 3_000) -> None:
    """Returns when the condition holds; looks at it once a second of made time."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - the time is made, and looking costs nothing
            await asyncio.sleep(1)


__all__ = ["ALICE", "BOB", "FUNDS", "Gateway", "Phase", "World", "ended", "until"]
