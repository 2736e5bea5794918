"""One run: two gateways (or one and an adversary), two chains, one made clock, one seed.

Faults play until ``CALM``; then they stop, and everything must come to an end. What must hold all
the while is judged by ``invariants.py``, which shares no arithmetic with the program.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any

from adapters.model import (
    AccountId,
    Action,
    Asset,
    AssetId,
    ChainId,
    Claim,
    Cursor,
    Lock,
    LockClaimed,
    LockId,
    LockState,
    LockTerms,
)
from adapters.simulated.accounts import named_credential
from adapters.simulated.adapter import SimulatedAdapter
from adapters.simulated.chain import PooledTransaction, Rules, SimulatedChain
from adapters.simulated.identity import lock_id_of
from adapters.spi import Unavailable
from relayers.backoff import Backoff
from relayers.executor import Message
from relayers.post import Post
from relayers.protocol import timelocks
from relayers.protocol.facts import OfferMade
from relayers.protocol.offer import Acceptance, Offer, OfferedLeg, terms_a, terms_b
from relayers.protocol.state import Level, Swap
from relayers.protocol.tower import Tower
from relayers.watchtower import Watchtower
from tests.simulation import invariants
from tests.simulation.adversary import Adversary, tight
from tests.simulation.gateway import Gateway, Secrets
from tests.simulation.loop import clock, run
from tests.simulation.plan import (
    DEPTH,
    INTERVAL,
    STALE,
    START,
    TOO_LATE,
    A,
    B,
    Bound,
    Deviation,
    Plan,
    bounds,
)

FUNDS = 1_000
AMOUNT = {A: 70, B: 50}
VALID_FOR = 30
CALM = 60
"""Seconds after t1 at which faults have stopped; twice that later everything must have ended."""
OUTAGES = (90, 180, 300)
"""Seconds, where O is broken: from one that the slack still bears to one that outlasts t1."""
COINS = {chain: Asset(AssetId(chain, "coin", "native"), "SIM", 9) for chain in (A, B)}
TOKENS = {chain: Asset(AssetId(chain, "token", "other"), "OTH", 9) for chain in (A, B)}


@dataclass
class Verdict:
    """What one run came to. ``failures``: the invariants that did not hold, in words."""

    plan: Plan
    failures: list[str] = field(default_factory=list)
    hops: set[tuple[str, str, str]] = field(default_factory=set)
    """(role, phase, phase) of the transitions that happened."""
    ends: dict[str, str] = field(default_factory=dict)
    alerts: dict[str, list[str]] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)


class _TowerMemory:
    """Where a watchtower keeps what it knows, for one run."""

    def __init__(self) -> None:
        self._kept: tuple[Tower, dict[ChainId, Cursor]] = (Tower(), {})

    def load(self) -> tuple[Tower, dict[ChainId, Cursor]]:
        return self._kept

    def save(self, tower: Tower, cursors: dict[ChainId, Cursor]) -> None:
        self._kept = (tower, dict(cursors))


class World:
    def __init__(self, plan: Plan, verbose: bool = False) -> None:
        self.plan = plan
        self.verdict = Verdict(plan)
        self._verbose = verbose
        self.tokens = TOKENS
        self.chance = random.Random(f"{plan.seed} world")
        self.began = float(START)
        self.exposed_at: float | None = None
        self.claim_seen_at: float | None = None
        """When a claim of the responder's lock was first in a block."""
        self.broke_at: float | None = None
        self.spoiled: set[tuple[str, str]] = set()
        """Whose action of which kind met what the plan breaks a bound with."""
        self.chains: dict[ChainId, SimulatedChain] = {}
        for chain, late in ((A, plan.late_a), (B, plan.late_b)):
            self.chains[chain] = SimulatedChain(
                chain,
                coin=COINS[chain],
                tokens=[TOKENS[chain]],
                rules=Rules(depth=DEPTH, late=late),
                genesis_time=START - 2,
            )
            for name in ("alice", "bob", "stranger"):
                account = named_credential(chain, name).account
                self.chains[chain].fund(account, COINS[chain].id, FUNDS)
                self.chains[chain].fund(account, TOKENS[chain].id, FUNDS)
        self.offer = self._offer()
        self.preimage = Secrets("alice").derive(self.offer.salt)
        self.sides: dict[str, Gateway | Adversary] = {
            name: Adversary(self, name) if plan.adversary == name else Gateway(self, name)
            for name in ("alice", "bob")
        }
        self._tasks: list[asyncio.Task[None]] = []
        self._drift = dict(plan.drift)
        self._halted: dict[ChainId, float] = {}

    def _offer(self) -> Offer:
        """Alice's, under the schedule that both sides judge by."""
        plan = self.plan
        salt = hashlib.sha256(b"salt %d" % plan.seed).digest()
        valid_until = START + VALID_FOR
        t1, t2 = timelocks.deadlines(plan.schedule, valid_until, plan.slack)
        legs = {
            chain: OfferedLeg(
                chain,
                "locks",
                COINS[chain].id,
                AMOUNT[chain],
                named_credential(chain, "alice").account,
                deadline,
            )
            for chain, deadline in ((A, t1), (B, t2))
        }
        hashlock = Secrets("alice").derive(salt).hashlock()
        offer = Offer(1, b"a" * 20, b"b" * 20, salt, hashlock, legs[A], legs[B], valid_until)
        if plan.deviation is Deviation.TIGHT_OFFER:
            return tight(offer, plan.schedule, self.chance)
        return offer

    # --- what the sides see of each other ---------------------------------------------------------

    def gateways(self) -> list[Gateway]:
        return [side for side in self.sides.values() if isinstance(side, Gateway)]

    def other(self, side: Gateway | Adversary) -> Gateway | Adversary:
        return self.sides["bob" if side.name == "alice" else "alice"]

    def lock_ids(self, offer: Offer, acceptance: Acceptance) -> tuple[LockId, LockId]:
        return lock_id_of(terms_a(offer, acceptance)), lock_id_of(terms_b(offer, acceptance))

    async def carry(self, sender: Gateway, message: Message) -> None:
        """A network that delays, loses before or after delivery, delivers twice, or is cut."""
        cut = self.plan.cut
        if cut is not None and cut.covers(clock() - self.began):
            raise Unavailable("the network is cut")
        receiver, faulty = self.other(sender), self.chance.random() < self.plan.message_faults
        if not faulty or clock() > self.began + VALID_FOR - 10:
            await receiver.receive(message)
            return
        fault = self.chance.randrange(4)
        self.say(f"message {type(message).__name__} of {sender.name}: fault {fault}")
        if fault == 0:
            raise Unavailable("lost on the way")
        await asyncio.sleep(self.chance.uniform(0, 3))
        await receiver.receive(message)
        if fault == 1:
            raise Unavailable("the answer was lost")
        if fault == 2:
            self.spawn(self._again(receiver, message))

    async def _again(self, receiver: Gateway | Adversary, message: Message) -> None:
        await asyncio.sleep(self.chance.uniform(0, 20))
        try:
            await receiver.receive(message)
        except Exception as error:  # noqa: BLE001 - nobody waits for this answer
            self.say(f"a late copy was refused: {error}")

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work))

    def expose(self) -> None:
        """The preimage is out: whoever watches knows it from now on."""
        if self.exposed_at is None:
            self.exposed_at = clock()

    def submitted(self, gateway: Gateway, action: Action) -> None:
        """A gateway is about to hand an action to a node; judged before it takes effect."""
        self.say(f"{gateway.name} submits {type(action).__name__}")
        self.verdict.failures.extend(invariants.of_submission(self, gateway, action))
        if isinstance(action, Claim):
            self.expose()

    def there(self, terms: LockTerms) -> bool:
        """The lock is open on its chain, pending or final."""
        found = self.chains[terms.chain].lock(lock_id_of(terms))
        return found is not None and found[1].state is LockState.OPEN

    def say(self, text: str) -> None:
        if self._verbose:
            self.verdict.log.append(f"{clock() - self.began:8.2f}  {text}")

    # --- chains ---------------------------------------------------------

    async def _make_blocks(self, chain_id: ChainId) -> None:
        chain, plan = self.chains[chain_id], self.plan
        late, reorgs = plan.late_blocks[chain_id], plan.reorgs[chain_id]
        calm = self.offer.a.deadline + CALM
        while True:
            height = chain.newest.height + 1
            faulty = clock() < calm
            # At most I - 1, so that what was sent just after a block is in time with the next.
            await asyncio.sleep(INTERVAL + (1 if faulty and height in late else 0))
            if clock() < self._halted.get(chain_id, 0.0):
                continue
            chain.produce_block(max(chain.time, int(clock()) + self._drift[chain_id]))
            self._tell_block(chain_id)
            if faulty and chain.newest.height in reorgs:
                depth = self.chance.randrange(1, DEPTH + 1)
                if depth < chain.newest.height:
                    # The lost order is made anew; what was in comes again, a block later at most.
                    vanished = chain.reorg(
                        depth,
                        loses=lambda _: plan.reorgs_lose,
                        delay=self.chance.choice([0, 2]),
                        extra=1,
                    )
                    self.say(f"{chain_id}: reorg of {len(vanished)} at {chain.newest.height}")
                    if self.claim_seen_at == clock() and plan.reorgs_lose:
                        self.claim_seen_at = None  # gone before anybody could look

    def _tell_block(self, chain_id: ChainId) -> None:
        for _, event in self.chains[chain_id].newest.events:
            if isinstance(event, LockClaimed) and chain_id == B:
                if self.claim_seen_at is None:
                    self.claim_seen_at = clock()
                too_late = clock() >= self.offer.b.deadline + TOO_LATE
                if self.plan.broken is Bound.LATE and too_late:
                    self.spoiled.add(("the chain", type(event).__name__))
            if self._verbose:
                self.say(f"{chain_id}: {type(event).__name__} {event.lock_id.hex()[:8]}")

    async def _break(self) -> None:
        """Breaks the plan's bound, where that is not done to each submission."""
        # There are final blocks by then; some swaps have ended on one side.
        await asyncio.sleep(self.chance.uniform(18, self.chance.choice([45, 45, 120])))
        chain_id = self.chance.choice([A, B])
        self.broke_at = clock()
        match self.plan.broken:
            case Bound.FINALITY if self.chance.random() < 0.5:
                chain = self.chains[chain_id]
                chain.reorg(min(DEPTH + 2, chain.newest.height - 1), extra=1)
                self.say(f"{chain_id}: a final block vanishes")
            case Bound.FINALITY:
                self._halted[chain_id] = clock() + 60
                self.say(f"{chain_id} halts")
            case Bound.CLOCK:
                self._drift[chain_id] += 9
                self.say(f"{chain_id}: its clock runs ahead")
            case Bound.OUTAGE:
                gateway = self.chance.choice(self.gateways())
                gateway.kill(self.chance.choice(OUTAGES))
                self.say(f"{gateway.name} will be down too long")
            case _:
                pass

    async def _strangers(self) -> None:
        """Others lock under the same hashlock: anybody may."""
        await asyncio.sleep(self.chance.uniform(1, 40))
        for chain_id in (A, B):
            account = named_credential(chain_id, "stranger").account
            bob = named_credential(chain_id, "bob").account
            deadline = self.offer.a.deadline
            for amount in range(1, self.plan.strangers + 1):
                terms = LockTerms(
                    chain_id,
                    "locks",
                    account,
                    bob,
                    COINS[chain_id].id,
                    amount,
                    self.offer.hashlock,
                    deadline,
                )
                self._straight(chain_id, account, Lock(terms))

    def _straight(self, chain_id: ChainId, account: AccountId, action: Action) -> None:
        chain = self.chains[chain_id]
        transaction = chain.next_transaction()
        chain.submit(PooledTransaction(transaction, account, action, chain.time))

    async def _watch_over(self) -> None:
        """The real watchtower, on nodes of its own."""
        views = {
            chain: SimulatedAdapter(
                self.chains[chain], bounds=bounds(late), name=f"tower:{chain}", stale_after=STALE
            )
            for chain, late in ((A, self.plan.late_a), (B, self.plan.late_b))
        }
        posts = {
            chain: Post(view, named_credential(chain, "tower")) for chain, view in views.items()
        }
        backoff = Backoff(random.Random(f"{self.plan.seed} tower").random, first=0.25, most=2.0)
        await Watchtower(posts, _TowerMemory(), clock, backoff).run()

    async def _freeze(self, gateway: Gateway) -> None:
        freeze = self.plan.freezes[gateway.name]
        await asyncio.sleep(freeze.at)
        view = gateway.views[freeze.chain]
        view.freeze()
        self.say(f"{gateway.name} sees an old head of {freeze.chain}")
        gateway.down_seconds += freeze.seconds
        await asyncio.sleep(freeze.seconds)
        view.thaw()

    # --- the run ---------------------------------------------------------

    async def play(self) -> Verdict:
        for chain_id in (A, B):
            self.spawn(self._make_blocks(chain_id))
        for side in self.sides.values():
            self.spawn(side.live())
        for gateway in self.gateways():
            if gateway.name in self.plan.freezes:
                self.spawn(self._freeze(gateway))
        if self.plan.tower:
            self.spawn(self._watch_over())
        if self.plan.strangers:
            self.spawn(self._strangers())
        if self.plan.broken is not None:
            self.spawn(self._break())
        alice = self.sides["alice"]
        if isinstance(alice, Gateway):
            self.spawn(self._make_offer(alice))
        last = self.offer.a.deadline + 3 * CALM
        if self.plan.broken is Bound.OUTAGE:
            last += max(OUTAGES)  # who is down when everything ends must be back to see it
        while clock() < last:
            await asyncio.sleep(5)
            crashed = [task for task in self._tasks if task.done() and task.exception()]
            if crashed:
                raise crashed[0].exception() or AssertionError
            if self._over():
                break
        await invariants.of_end(self)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return self.verdict

    async def _make_offer(self, alice: Gateway) -> None:
        """Her user tries until it is taken in."""
        body = OfferMade(self.offer, bytes(65), self.plan.schedule)
        while True:
            try:
                await alice.put(self.offer, body, f"{self.offer.hashlock.hex()}/make")
            except Unavailable:
                await asyncio.sleep(0.5)
            else:
                return

    def swaps(self) -> dict[str, Swap]:
        found = {}
        for gateway in self.gateways():
            swap = gateway.store.swaps.get(self.offer.hashlock)
            if swap is not None:
                found[gateway.name] = swap
        return found

    def _over(self) -> bool:
        swaps = self.swaps()
        if len(swaps) < len(self.gateways()) or not all(swap.ended for swap in swaps.values()):
            return False
        adversary = next((s for s in self.sides.values() if isinstance(s, Adversary)), None)
        quiet = not any(chain.mempool for chain in self.chains.values())
        return quiet and self._settled() and (adversary is None or adversary.settled())

    def _settled(self) -> bool:
        """No lock of a gateway's is open."""
        names = {named_credential(c, g.name).account for c in (A, B) for g in self.gateways()}
        for chain in self.chains.values():
            for terms in invariants.open_locks(chain):
                if terms.sender in names:
                    return False
        return True

    def alerts(self) -> dict[str, list[str]]:
        return {
            gateway.name: [
                stored.event.kind
                for stored in gateway.store.events
                if stored.event.level is Level.ALERT
            ]
            for gateway in self.gateways()
        }


Change = Callable[[Plan], Plan]


def simulate(plan: Plan, verbose: bool = False) -> Verdict:
    """One whole run."""

    async def play() -> Verdict:
        return await World(plan, verbose).play()

    return run(play(), float(START))


def without(plan: Plan, **changes: Any) -> Plan:
    return replace(plan, **changes)
