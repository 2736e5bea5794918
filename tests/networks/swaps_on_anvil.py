"""Swaps between two gateways on Anvil and a simulated ledger, in time that the test makes.

Engines, executors, watchers and drivers are the real ones; the way between the gateways is played.
Nothing moves by itself: ``tick`` gives both ledgers a block at the next second of made time, which
is the gateways' clock too.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Literal

from adapters.model import (
    Asset,
    AssetId,
    Bounds,
    ChainId,
    LockEvent,
    LockId,
    LockRecord,
    Stage,
)
from adapters.simulated.accounts import named_credential
from adapters.simulated.adapter import SimulatedAdapter
from adapters.simulated.chain import Rules, SimulatedChain
from adapters.spi import Adapter, Rejected, SigningFailed
from relayers.backoff import Backoff
from relayers.engine import Engine
from relayers.executor import Executor, Message
from relayers.journal.memory import MemoryJournal, MemoryStore
from relayers.post import Post
from relayers.protocol.facts import (
    AcceptanceReceived,
    DeclineReceived,
    Observed,
    OfferAccepted,
    OfferMade,
    OfferReceived,
)
from relayers.protocol.intents import SendAcceptance, SendDecline, SendOffer
from relayers.protocol.offer import Acceptance, Offer, OfferedLeg, terms_a, terms_b
from relayers.protocol.state import Swap
from relayers.protocol.timelocks import GatewayBounds, Schedule, deadlines
from relayers.watcher import Watcher
from tests.adapters.ethereum.anvil import Network
from tests.adapters.ethereum.bench import credential, opened
from tests.adapters.ethereum.signer import LocalSigner
from tests.relayers.world import TestSecrets, address

DEPTH = 4
"""Ethereum's block is final under so many others."""
BOUNDS = Bounds(inclusion=1, finality=90, clock=2)
"""F leaves room to send again what was retracted, after a pause of the executor in real time."""
GATEWAY = GatewayBounds(reaction=60, outage=600)
"""Far longer than what a machine takes to react, at up to sixteen made seconds in a real one."""
STALE = 7_200
SCHEDULE = Schedule(BOUNDS, BOUNDS, GATEWAY, STALE, STALE)
AMOUNT = 10
FUNDS = 1_000
NAMES = ("alice", "bob")
OTHER = ChainId("sim", "other")
COIN = Asset(AssetId(OTHER, "coin", "native"), "SIM", 9)
_numbers = itertools.count()
Side = Literal["initiator's", "responder's"]
"""Whose lock is the one on Ethereum."""


class HeldSigner(LocalSigner):
    """A key that can be made unusable for a while."""

    held = False

    async def sign(self, digest: bytes) -> bytes:
        if self.held:
            raise SigningFailed("the key is held by the test")
        return await super().sign(digest)


class Gateway:
    """One organisation's, with its own adapters."""

    def __init__(self, name: str, world: World, adapter: Adapter) -> None:
        self.name = name
        self.world = world
        number = NAMES.index(name)
        network = world.network
        own = credential(network.settings(), network.signers[number])
        simulated = SimulatedAdapter(world.other, bounds=BOUNDS, name="other", stale_after=STALE)
        self.ethereum = Post(adapter, own)
        self.other = Post(simulated, named_credential(OTHER, name))
        self.posts = {post.id: post for post in (self.ethereum, self.other)}
        self.engine: Engine
        self.executor: Executor

    async def run(self, ready: asyncio.Event) -> None:
        backoff = Backoff(lambda: 0.5, first=0.05, most=0.5)
        clock = self.world.clock
        self.engine = await Engine.open(MemoryJournal(MemoryStore()), clock, recheck=0.05)
        secrets = TestSecrets(self.name)
        self.executor = Executor(self.engine, self.posts, self, secrets, clock, backoff)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.engine.run())
            tasks.create_task(self.executor.run())
            for post in self.posts.values():
                tasks.create_task(Watcher(self.engine, post.adapter, clock, backoff).run())
            ready.set()

    def swap(self, offer: Offer) -> Swap:
        found = self.engine.swap(offer.hashlock)
        assert found is not None, f"{self.name} knows of no such swap"
        return found

    def frozen(self) -> str | None:
        """Why Ethereum is frozen for this gateway, if it is."""
        return self.engine.views()[self.ethereum.id].frozen

    async def stages(self, offer: Offer, kind: type[LockEvent]) -> list[Stage]:
        """Of Ethereum's events of this kind, as the swap was told of them."""
        taken = await self.engine.history(offer.hashlock)
        seen = [one.body.observation for one in taken if isinstance(one.body, Observed)]
        return [one.stage for one in seen if one.chain != OTHER and isinstance(one.event, kind)]

    async def told(self, offer: Offer) -> list[str]:
        """What its users were told of the swap."""
        told: list[str] = []
        with_key = self.engine.follow(key=offer.hashlock)
        try:
            async with asyncio.timeout(0.2):
                async for stored in with_key:
                    told.append(stored.event.text)
        except TimeoutError:
            return told

    # --- the way to the other gateway ---------------------------------------------------------

    async def send(self, message: Message) -> None:
        other = self.world.peer(self)
        match message:
            case SendOffer(ident, offer, signature):
                body = OfferReceived(offer, signature, SCHEDULE)
                await other.engine.put(offer.hashlock, body, f"{ident}/in")
                if self.world.accepting:
                    await other.accept(offer)
            case SendAcceptance(ident, _, acceptance, signature):
                swap = other.engine.swap(acceptance.hashlock)
                if swap is None:
                    raise Rejected(f"{other.name} knows no such offer")
                locks = self.world.lock_ids(swap.offer, acceptance)
                received = AcceptanceReceived(acceptance, signature, *locks)
                await other.engine.put(acceptance.hashlock, received, f"{ident}/in")
            case SendDecline(ident, _, hashlock, reason):
                await other.engine.put(hashlock, DeclineReceived(reason), f"{ident}/in")

    async def accept(self, offer: Offer) -> str | None:
        """Why it was not taken, if it was not."""
        accounts = [self.posts[leg.chain].account for leg in (offer.a, offer.b)]
        acceptance = Acceptance(bytes(32), offer.hashlock, *accounts)
        body = OfferAccepted(acceptance, bytes(65), *self.world.lock_ids(offer, acceptance))
        ident = f"{offer.hashlock.hex()}/accept/{next(_numbers)}"
        outcome = await self.engine.put(offer.hashlock, body, ident)
        return None if outcome.ignored is None else f"{outcome.ignored}: {outcome.detail}"


class World:
    """``alice`` offers, ``bob`` accepts."""

    def __init__(self, network: Network) -> None:
        self.network = network
        # Anvil makes no block that is older than its own start.
        self.time = max(self._ethereum_time(), int(time.time())) + 2
        self.accepting = True
        self.other = SimulatedChain(
            OTHER, coin=COIN, rules=Rules(depth=1), genesis_time=self.time - 1
        )
        for name in NAMES:
            self.other.fund(named_credential(OTHER, name).account, COIN.id, FUNDS)
        self.alice: Gateway
        self.bob: Gateway

    def clock(self) -> float:
        return float(self.time)

    def peer(self, gateway: Gateway) -> Gateway:
        return self.bob if gateway is self.alice else self.alice

    def _ethereum_time(self) -> int:
        block = self.network.rpc("eth_getBlockByNumber", "latest", False)
        return int(block["timestamp"], 16)

    # --- time and blocks ----------------------------------------------------------------------

    def tick(self, seconds: int = 1) -> None:
        """A block on each ledger."""
        self.time += seconds
        self.mine(at=self.time)
        self.other.produce_block(self.time)

    def mine(self, blocks: int = 1, *, at: int | None = None) -> None:
        """Blocks on Ethereum alone, all of one time."""
        self.time = max(self.time, at or 0, self._ethereum_time() + 1)
        for _ in range(blocks):
            self.network.rpc("evm_setNextBlockTimestamp", hex(self.time))
            self.network.rpc("evm_mine")
            self.time += 1

    def reorg(self, blocks: int, kept: Sequence[str] = ()) -> None:
        """Replaces Ethereum's newest blocks by as many. Of what was in them these signed
        transactions come again, in the first new one; the rest is lost."""
        pairs = [[raw, 0] for raw in kept]
        self.network.rpc("anvil_reorg", blocks, pairs)

    async def until(
        self, condition: Callable[[], object], *, ticks: int = 200, seconds: int = 1
    ) -> None:
        """Makes time pass until the condition holds."""
        for _ in range(ticks):
            if condition():
                return
            await self.pass_block(seconds)
        raise AssertionError(f"not so after {ticks} blocks: {self._phases()}")

    async def pass_block(self, seconds: int = 1) -> None:
        """A tick, and time for both gateways to see it and to act on it."""
        self.tick(seconds)
        await self.seen()
        await asyncio.sleep(0.05)

    async def seen(self) -> None:
        """Returns when both gateways have seen Ethereum's newest block."""
        newest = int(self.network.rpc("eth_blockNumber"), 16)
        chain = self.alice.ethereum.id

        def seen(gateway: Gateway) -> bool:
            view = gateway.engine.views().get(chain)
            return view is not None and view.head.height == newest

        await self.settle(lambda: seen(self.alice) and seen(self.bob))

    async def settle(self, condition: Callable[[], object]) -> None:
        """Returns when the condition holds, no time having passed on the ledgers."""
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110 - the gateways take turns in this loop
                await asyncio.sleep(0.02)

    def _phases(self) -> list[str]:
        swaps = [*self.alice.engine.swaps(), *self.bob.engine.swaps()]
        return [f"{swap.role} {swap.phase}: {swap.reason}" for swap in swaps]

    # --- swaps --------------------------------------------------------------------------------

    def lock_ids(self, offer: Offer, acceptance: Acceptance) -> tuple[LockId, LockId]:
        a, b = (self.alice.posts[leg.chain].adapter for leg in (offer.a, offer.b))
        return a.lock_id(terms_a(offer, acceptance)), b.lock_id(terms_b(offer, acceptance))

    async def offer(self, lock_on_ethereum: Side, number: int = 0) -> Offer:
        """Made by alice: so much of one ledger's coin for as much of the other's."""
        salt = hashlib.sha256(b"salt %d" % number).digest()
        preimage = await TestSecrets("alice").preimage(salt)
        valid = self.time + 300
        t1, t2 = deadlines(SCHEDULE, valid, 20)
        posts = [self.alice.ethereum, self.alice.other]
        if lock_on_ethereum == "responder's":
            posts.reverse()
        coins = {OTHER: COIN.id, self.alice.ethereum.id: self.network.devnet.assets()[0]}
        legs = [
            OfferedLeg(
                post.id,
                post.adapter.profile.contract,
                coins[post.id],
                AMOUNT,
                post.account,
                deadline,
            )
            for post, deadline in zip(posts, (t1, t2), strict=True)
        ]
        parties = (address("alice"), address("bob"))
        offer = Offer(1, *parties, salt, preimage.hashlock(), legs[0], legs[1], valid)
        body = OfferMade(offer, bytes(65), SCHEDULE)
        await self.alice.engine.put(offer.hashlock, body, f"{offer.hashlock.hex()}/make")
        return offer

    async def on_ethereum(self, offer: Offer) -> LockRecord:
        """The swap's lock there, as the chain has it now."""
        swap = self.alice.swap(offer)
        leg = swap.a if offer.a.chain != OTHER else swap.b
        assert leg is not None
        return await self.alice.ethereum.adapter.lookup(leg.lock_id)

    def holdings(self) -> dict[str, int]:
        """Of the simulated ledger's coin."""
        return {
            name: self.other.balance(named_credential(OTHER, name).account, COIN.id)
            for name in NAMES
        }


@asynccontextmanager
async def world_on(network: Network) -> AsyncIterator[World]:
    """Two gateways at work on a network that makes blocks on demand."""
    world = World(network)
    settings = network.settings(
        final_by=DEPTH,
        poll_interval=0.02,
        inclusion=BOUNDS.inclusion,
        finality=BOUNDS.finality,
        stale_after=STALE,
    )
    async with AsyncExitStack() as stack:
        gateways = [
            Gateway(name, world, await stack.enter_async_context(opened(settings)))
            for name in NAMES
        ]
        world.alice, world.bob = gateways
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        running = []
        for gateway in gateways:
            ready = asyncio.Event()
            running.append(tasks.create_task(gateway.run(ready)))
            await ready.wait()
        # Anvil forks no block that an earlier process of it has made.
        world.mine(DEPTH + 4)
        await world.seen()
        try:
            yield world
        finally:
            for task in running:
                task.cancel()
