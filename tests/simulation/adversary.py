"""A counterparty that cheats in every way it has. It keeps no promise and reads every mempool.

Whatever its deviation, it takes what it can: any lock whose preimage it knows, and its own lock
back from the deadline on.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from typing import TYPE_CHECKING

from adapters.model import (
    AccountId,
    Action,
    ChainId,
    Claim,
    Lock,
    LockState,
    LockTerms,
    Preimage,
    Refund,
)
from adapters.simulated.accounts import named_credential
from adapters.simulated.chain import PooledTransaction
from adapters.simulated.identity import lock_id_of
from adapters.spi import AdapterError
from adapters.values import replace
from relayers.executor import Message
from relayers.protocol import timelocks
from relayers.protocol.intents import SendAcceptance, SendOffer
from relayers.protocol.offer import Acceptance, Offer, terms_a, terms_b
from tests.simulation.loop import clock
from tests.simulation.plan import LATE, TOO_LATE, A, B, Bound, Deviation

if TYPE_CHECKING:
    from tests.simulation.world import World


class Adversary:
    """Plays alice (the initiator) or bob (the responder)."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.deviation = world.plan.deviation
        self.chance = random.Random(f"{world.plan.seed} adversary")
        self.own_chain, self.their_chain = (A, B) if name == "alice" else (B, A)
        self.acceptance: Acceptance | None = None
        self.locked: LockTerms | None = None
        self.done: set[tuple[ChainId, bytes, str]] = set()
        self.lock_at = self.chance.uniform(0, 150) if self._is(Deviation.LOCK_LATE) else 0.0
        self.wait = self.chance.uniform(0, 60)

    def _is(self, *deviations: Deviation) -> bool:
        return self.deviation in deviations

    def account(self, chain: ChainId) -> AccountId:
        return named_credential(chain, self.name).account

    # --- messages --------------------------------------------------------------------------------

    async def live(self) -> None:
        if self.name == "alice":
            asyncio.get_running_loop().call_later(0.5, lambda: None)
            await self._offer()
        while True:
            await asyncio.sleep(1.0)
            self._act()

    async def _offer(self) -> None:
        offer = self.world.offer
        message = SendOffer(f"{offer.hashlock.hex()}:send_offer", offer, bytes(65))
        messages = [message]
        if self._is(Deviation.ALTER_MESSAGES):
            altered = replace(offer, a=replace(offer.a, amount=offer.a.amount - 1))
            messages = [message, replace(message, offer=altered), message]
            self.chance.shuffle(messages)
        for each in messages:
            await self._send(each)

    async def _send(self, message: Message) -> None:
        for _ in range(20):
            try:
                await self.world.other(self).receive(message)
            except AdapterError:
                await asyncio.sleep(1.0)
            else:
                return

    async def receive(self, message: Message) -> None:
        match message:
            case SendOffer(ident, offer, _):
                acceptance = Acceptance(bytes(32), offer.hashlock, self.account(A), self.account(B))
                self.acceptance = acceptance
                answers = [acceptance]
                if self._is(Deviation.ACCEPT_TWICE, Deviation.ALTER_MESSAGES):
                    stranger = named_credential(A, "stranger").account
                    answers = [acceptance, replace(acceptance, recipient_a=stranger), acceptance]
                    if self._is(Deviation.ALTER_MESSAGES):
                        self.chance.shuffle(answers)
                for answer in answers:
                    sent = SendAcceptance(ident + "/answer", offer.initiator, answer, bytes(65))
                    self.world.spawn(self._send(sent))
            case SendAcceptance(_, _, acceptance, _):
                self.acceptance = acceptance
            case _:
                pass

    # --- chains ----------------------------------------------------------------------------------

    def _act(self) -> None:
        if self.acceptance is None:
            return
        offer, now = self.world.offer, clock()
        if self.locked is None and not self._is(Deviation.NEVER_LOCK):
            self._lock(offer, self.acceptance, now)
        if self.name == "alice":
            self._reveal(offer, now)
        self._take_all(now)
        if self.locked is not None:
            chain = self.world.chains[self.locked.chain]
            if chain.time >= self.locked.deadline or self._is(Deviation.REFUND_EARLY):
                self._submit(self.locked.chain, Refund(lock_id_of(self.locked)))

    def _lock(self, offer: Offer, acceptance: Acceptance, now: float) -> None:
        if now < self.world.began + self.lock_at:
            return
        if self.name == "bob" and not self.world.there(terms_a(offer, acceptance)):
            return
        terms = terms_a(offer, acceptance) if self.name == "alice" else terms_b(offer, acceptance)
        match self.deviation:
            case Deviation.WRONG_AMOUNT:
                terms = replace(terms, amount=terms.amount - 1)
            case Deviation.WRONG_ASSET:
                terms = replace(terms, asset=self.world.tokens[terms.chain].id)
            case Deviation.WRONG_RECIPIENT:
                terms = replace(terms, recipient=self.account(terms.chain))
            case Deviation.WRONG_DEADLINE:
                terms = replace(terms, deadline=terms.deadline - self.chance.choice([1, 60]))
            case Deviation.WRONG_HASH:
                other = Preimage(hashlib.sha256(b"other").digest()).hashlock()
                terms = replace(terms, hashlock=other)
            case _:
                pass
        if self._submit(terms.chain, Lock(terms)):
            self.locked = terms

    def _reveal(self, offer: Offer, now: float) -> None:
        """Alice's claim on B."""
        assert self.acceptance is not None
        terms = terms_b(offer, self.acceptance)
        if self._is(Deviation.NEVER_REVEAL) or not self.world.there(terms):
            return
        chain = self.world.chains[B]
        left = terms.deadline - chain.time
        delay = 0
        match self.deviation:
            case Deviation.HOLD_BACK:
                if left > 4:
                    return
                kept = self.world.plan.broken is not Bound.LATE
                delay = max(0, left) + (self.chance.randrange(LATE) if kept else TOO_LATE)
            case Deviation.REVEAL_LATE:
                if left > self.wait and left > 4:
                    return
            case _:
                pass
        self._submit(B, Claim(lock_id_of(terms), self.world.preimage), delay)

    def _take_all(self, now: float) -> None:
        """Claims what the exposed preimage opens for it."""
        exposed = self.world.exposed_at
        if exposed is None or self.acceptance is None or self.name != "bob":
            return
        if self._is(Deviation.CLAIM_LATE) and now < exposed + self.wait:
            return
        terms = terms_a(self.world.offer, self.acceptance)
        self._submit(A, Claim(lock_id_of(terms), self.world.preimage))

    def _submit(self, chain_id: ChainId, action: Action, delay: int = 0) -> bool:
        """Straight into the mempool, as one's own node would; once each, until it is settled."""
        chain = self.world.chains[chain_id]
        account = self.account(chain_id)
        if chain.refusal(action, account, chain.newest, chain.time) is not None:
            return False
        ident = lock_id_of(action.terms) if isinstance(action, Lock) else _lock_id(action)
        mark = (chain_id, ident, type(action).__name__)
        if mark in self.done:
            return False
        self.done.add(mark)
        transaction = chain.next_transaction()
        chain.submit(PooledTransaction(transaction, account, action, chain.time + delay))
        if isinstance(action, Claim):
            self.world.expose()
        return True

    def settled(self) -> bool:
        if self.locked is None:
            return True
        found = self.world.chains[self.locked.chain].lock(lock_id_of(self.locked))
        return found is not None and found[1].state is not LockState.OPEN


def _lock_id(action: Action) -> bytes:
    assert isinstance(action, Claim | Refund)
    return action.lock_id


def tight(offer: Offer, schedule: timelocks.Schedule, chance: random.Random) -> Offer:
    """Deadlines that are one second, or many, short of what the arithmetic demands."""
    t2 = offer.b.deadline
    t1 = t2 + timelocks.gap(schedule) - chance.choice([0, 1, 30])
    return replace(offer, a=replace(offer.a, deadline=t1))
