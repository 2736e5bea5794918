"""One organisation's gateway: the real engine, executor and watchers on a journal that outlives it.

It dies where its plan says, between any two writes of its journal, and is built again from what was
durable. What a dead process still had in mind reaches nobody.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import random
from typing import TYPE_CHECKING, assert_never

from adapters.model import AccountId, Action, Preimage, Refund
from adapters.simulated.accounts import named_credential
from adapters.simulated.adapter import SimulatedAdapter
from adapters.simulated.faults import FaultPlan, SubmissionFate
from adapters.spi import NotSent, Rejected, Unavailable, Unknown
from relayers.backoff import Backoff
from relayers.engine import Engine, EngineStopped, Outcome
from relayers.executor import Executor, Message
from relayers.journal.memory import Boundary, MemoryJournal, MemoryStore
from relayers.journal.port import JournalError
from relayers.post import Post
from relayers.protocol.facts import (
    AcceptanceReceived,
    DeclineReceived,
    FactBody,
    OfferAccepted,
    OfferDeclined,
    OfferReceived,
)
from relayers.protocol.intents import SendAcceptance, SendDecline, SendOffer
from relayers.protocol.offer import Acceptance, Offer
from relayers.protocol.state import Ignored
from relayers.watcher import Watcher
from tests.simulation.loop import clock
from tests.simulation.plan import STALE, TOO_LATE, A, Answer, B, Bound, Crash, bounds

if TYPE_CHECKING:
    from tests.simulation.world import World


class Died(JournalError):
    """The process ends here."""


class Secrets:
    """A swap key that is a name."""

    def __init__(self, name: str) -> None:
        self._key = hashlib.sha256(name.encode()).digest()

    async def preimage(self, salt: bytes) -> Preimage:
        return self.derive(salt)

    def derive(self, salt: bytes) -> Preimage:
        return Preimage(hmac.digest(self._key, b"simulation" + salt, "sha256"))


class SubmissionFaults(FaultPlan):
    """What becomes of a gateway's submissions. Each kind of action meets one fault at most, so that
    the inclusion bound holds, retries included."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._met: set[str] = set()
        self._first: dict[str, float] = {}

    def _sulks_until(self, kind: str) -> float:
        """Longer than I and R together."""
        return self._first.setdefault(kind, clock()) + 30

    def submission(
        self, view: str, action: Action, account: AccountId, time: int
    ) -> SubmissionFate:
        gateway = self._gateway
        if gateway.dead:
            return SubmissionFate(copies=0, error=NotSent("the process is dead"))
        world, chance = gateway.world, gateway.chance
        world.submitted(gateway, action)
        kind = type(action).__name__
        if world.plan.broken is Bound.INCLUSION and clock() < self._sulks_until(kind):
            world.spoiled.add((gateway.name, kind))
            return SubmissionFate(delay=int(self._sulks_until(kind) - clock()) + 1)
        if world.plan.broken is Bound.LATE and isinstance(action, Refund):
            # Else the refund would be there before the claim that comes too late.
            return SubmissionFate(delay=2 * TOO_LATE)
        if world.plan.broken is Bound.REACTION and clock() < self._sulks_until(kind):
            world.spoiled.add((gateway.name, kind))
            return SubmissionFate(copies=0, error=NotSent("the key cannot be used now"))
        if kind in self._met or chance.random() >= world.plan.submission_faults:
            return SubmissionFate()
        self._met.add(kind)
        match chance.randrange(4):
            case 0:
                return SubmissionFate(copies=0, error=NotSent("not taken"))
            case 1:
                return SubmissionFate(copies=0, error=Unknown("lost"))
            case 2:
                return SubmissionFate(copies=1, error=Unknown("the answer was lost"))
            case _:
                return SubmissionFate(copies=2)


class Gateway:
    """``name`` is that of its accounts: alice offers, bob accepts."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.store = MemoryStore()
        self.secrets = Secrets(name)
        self.chance = random.Random(f"{world.plan.seed} {name}")
        self.dead = True
        self.down_seconds = 0.0
        self.claimed = False
        """It has tried to claim."""
        self.writes = 0
        self.deaths: list[float] = []
        self.crashes = [world.plan.crashes[name]] if name in world.plan.crashes else []
        self.engine: Engine | None = None
        self._death = asyncio.Event()
        faults = SubmissionFaults(self)
        late = {A: world.plan.late_a, B: world.plan.late_b}
        self.views = {
            chain: SimulatedAdapter(
                world.chains[chain],
                bounds=bounds(late[chain]),
                name=f"{name}:{chain}",
                stale_after=STALE,
                faults=faults,
            )
            for chain in (A, B)
        }

    # --- life and death ------------------------------------------------------------------------

    def _write(self, boundary: Boundary) -> None:
        if self.dead:
            raise Died(f"{self.name} is dead")
        crash = self.crashes[0] if self.crashes else None
        if crash is not None and self.writes >= crash.write:
            self.dead = True
            self._death.set()
            raise Died(f"{self.name} dies at write {self.writes} ({boundary})")
        self.writes += 1

    async def live(self) -> None:
        """Runs the gateway, and builds it again after each death, until cancelled."""
        while True:
            journal = MemoryJournal(self.store, self._write)
            self.dead = False
            self._death = asyncio.Event()
            try:
                await self._process(journal)
            except* (JournalError, EngineStopped):
                pass
            finally:
                self.dead = True
                self.engine = None
                await journal.close()
            me = asyncio.current_task()
            if me is not None and me.cancelling():
                # A task group that fails while it is cancelled tells of the failure alone.
                raise asyncio.CancelledError
            crash = self.crashes.pop(0)
            self.deaths.append(clock())
            self.world.say(f"{self.name} is down for {crash.down:.1f} s")
            self.down_seconds += crash.down
            await asyncio.sleep(crash.down)
            self.world.say(f"{self.name} is back")

    async def _process(self, journal: MemoryJournal) -> None:
        engine = await Engine.open(journal, clock, recheck=60.0)
        backoff = Backoff(self.chance.random, first=0.25, most=2.0)
        posts = {
            chain: Post(self.views[chain], named_credential(chain, self.name)) for chain in (A, B)
        }
        executor = Executor(engine, posts, self, self.secrets, clock, backoff)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(engine.run())
            tasks.create_task(executor.run())
            for chain in (A, B):
                watcher = Watcher(engine, self.views[chain], clock, backoff)
                tasks.create_task(watcher.run())
            self.engine = engine
            # Whoever made the write that it died at, the whole process ends.
            await self._death.wait()
            raise Died(f"{self.name} is dead")

    def kill(self, down: float) -> None:
        """Dies at the next write, whatever the plan says."""
        self.crashes.insert(0, Crash(0, down))

    # --- messages --------------------------------------------------------------------------------

    async def send(self, message: Message) -> None:
        """The messenger port: out over a network that loses, delays and doubles."""
        if self.dead:
            raise Unavailable("the process is dead")
        await self.world.carry(self, message)

    async def receive(self, message: Message) -> None:
        """What the other gateway sends. Raises Rejected, Unavailable."""
        world = self.world
        match message:
            case SendOffer(ident, offer, signature):
                body: FactBody = OfferReceived(offer, signature, world.plan.schedule)
                outcome = await self.put(offer, body, f"{ident}/{offer.a.amount}")
                if outcome.ignored not in (None, Ignored.KNOWN_ALREADY):
                    raise Rejected(outcome.detail)
                if outcome.state is not None and outcome.state.offer == offer:
                    await self._answer(offer)
            case SendAcceptance(ident, _, acceptance, signature):
                offer = world.offer
                ids = world.lock_ids(offer, acceptance)
                body = AcceptanceReceived(acceptance, signature, *ids)
                outcome = await self.put(offer, body, f"{ident}/{acceptance.recipient_a}")
                if outcome.ignored not in (None, Ignored.KNOWN_ALREADY):
                    raise Rejected(outcome.detail)
            case SendDecline(ident, _, _, reason):
                await self.put(world.offer, DeclineReceived(reason), ident)

    async def _answer(self, offer: Offer) -> None:
        match self.world.plan.answer:
            case Answer.ACCEPT:
                await self._accept(offer)
            case Answer.REJECT:
                body = OfferDeclined("not today")
                await self.put(offer, body, f"{offer.hashlock.hex()}/decline")
            case Answer.NOTHING:
                pass
            case _:
                assert_never(self.world.plan.answer)

    async def _accept(self, offer: Offer) -> None:
        acceptance = Acceptance(
            bytes(32),
            offer.hashlock,
            named_credential(A, self.name).account,
            named_credential(B, self.name).account,
        )
        body = OfferAccepted(acceptance, bytes(65), *self.world.lock_ids(offer, acceptance))
        await self.put(offer, body, f"{offer.hashlock.hex()}/accept")

    async def put(self, offer: Offer, body: FactBody, ident: str) -> Outcome:
        if self.engine is None or self.dead:
            raise Unavailable(f"{self.name} does not answer")
        try:
            return await self.engine.put(offer.hashlock, body, ident)
        except (JournalError, EngineStopped):
            raise Unavailable(f"{self.name} does not answer") from None
