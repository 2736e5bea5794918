"""The executor: carries out intents, at least once, until the engine closes them.

Each open intent is one owned task that tries, waits, and asks the chain before it tries again. Who
acts on a chain is one signer, who has as many turns at a time as the chain serves
(``ChainProfile.at_once``), at most one of them for a lock. What a try came to is told to the engine
as a fact; that it succeeded is told by the chain, through the watcher. How each kind is carried out
stands in ``chain_errands.py``; messages to other gateways go through a port.

An intent to lock that is closed before the lock is there for good leaves a task behind, which sees
to it that the lock does not go out late (``abandonment.py``). Claims and refunds leave none: what
they do is always wanted.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, assert_never

from adapters.model import AccountId, ChainId, Hashlock, LockId
from adapters.spi import AdapterError, Rejected, Unavailable
from adapters.values import dataclass, replace
from relayers.abandonment import Abandonment, GivenUpLock, Look, given_up
from relayers.backoff import Backoff
from relayers.chain_errands import ChainErrands, Pause
from relayers.clock import Clock
from relayers.engine import Engine, Outcome
from relayers.fatal import Fatal
from relayers.lock_news import lock_news
from relayers.post import Post
from relayers.protocol.facts import Delivered, FactBody, Refused
from relayers.protocol.intents import (
    Intent,
    Kind,
    SendAcceptance,
    SendDecline,
    SendOffer,
    SubmitClaim,
    SubmitLock,
    SubmitRefund,
    intent_id,
    swap_of,
)
from relayers.protocol.state import Swap
from relayers.quarantine import Quarantined
from relayers.signer_turns import SignerTurns, Urgency
from relayers.signing.swap_key import SwapKey

_log = logging.getLogger(__name__)

Message = SendOffer | SendAcceptance | SendDecline

_OUT_OF_DATE = 24 * 3600
"""Seconds after its deadline, and after the start, from which a chain that does not answer is not
asked any more for a lock that was given up. A restart asks again."""


class PeerMessenger(Protocol):
    """Carries messages to other gateways."""

    async def send(self, message: Message) -> None:
        """Returns when the other gateway has taken it; sending it twice must be harmless. Raises
        Rejected where it refuses for good, any other AdapterError where a later try may do."""


@dataclass(frozen=True, slots=True)
class IntentTry:
    """How far the carrying out of an intent has come. Times are the gateway's clock."""

    intent: Intent
    begun: float
    tries: int = 0
    failures: int = 0
    """In a row."""
    error: str | None = None
    next_at: float | None = None


class Executor:
    """Carries out the intents of one engine. ``posts``: one per chain that it may act on."""

    def __init__(
        self,
        engine: Engine,
        posts: Mapping[ChainId, Post],
        messenger: PeerMessenger,
        swap_key: SwapKey,
        clock: Clock,
        backoff: Backoff,
    ) -> None:
        self._engine = engine
        self._posts = dict(posts)
        self._messenger = messenger
        self._clock = clock
        self._backoff = backoff
        self._numbers = itertools.count()
        self._errands = ChainErrands(engine, swap_key, clock, self._put)
        self._signers: dict[AccountId, SignerTurns] = {
            post.credential.account: SignerTurns(post.adapter.profile.at_once)
            for post in posts.values()
        }
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._tries: dict[str, IntentTry] = {}
        self._abandoning: dict[LockId, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None

    def add(self, chain: ChainId, post: Post) -> None:
        """A chain that could not be reached at the start. Its intents are taken up at once."""
        self._posts[chain] = post
        turns = SignerTurns(post.adapter.profile.at_once)
        self._signers.setdefault(post.credential.account, turns)
        for intent in self._engine.intents():
            if _chain_of(intent) == chain:
                self.opened(intent)

    def tries(self) -> Sequence[IntentTry]:
        """The intents in work, oldest first."""
        return tuple(self._tries.values())

    async def run(self) -> None:
        """Runs until cancelled. Raises JournalError, EngineStopped."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._engine.listen(self)
                for intent in self._engine.intents():
                    self.opened(intent)
                for swap in self._engine.swaps():
                    self._give_up(swap.hashlock)
                await asyncio.Event().wait()
        finally:
            self._group = None
            self._abandoning.clear()

    # --- told by the engine ------------------------------------------------------------------

    def opened(self, intent: Intent) -> None:
        # Before and after run() there is nothing to do: open intents are in the journal.
        if self._group is None:
            return
        running = self._tasks.pop(intent.id, None)
        if running is not None:
            running.cancel()
        if isinstance(intent, SubmitLock):
            abandoning = self._abandoning.pop(intent.lock_id, None)
            if abandoning is not None:
                abandoning.cancel()
        self._tries[intent.id] = IntentTry(intent, self._clock())
        task = self._group.create_task(self._carry(intent), name=f"intent {intent.id}")
        self._tasks[intent.id] = task

    def closed(self, intent: str) -> None:
        task = self._tasks.pop(intent, None)
        if task is not None:
            task.cancel()
        self._tries.pop(intent, None)
        self._errands.forget(intent)
        key = swap_of(intent)
        if intent == intent_id(key, Kind.LOCK):
            self._give_up(key, after=task)

    def rebuilt(self, key: Hashlock) -> None:
        # While it could not be read nobody knew that its lock was given up.
        self._give_up(key)

    # --- locks that were given up ------------------------------------------------------------

    def _give_up(self, key: Hashlock, after: asyncio.Task[None] | None = None) -> None:
        """Sees to the lock of this swap, if it was given up. ``after``: the task that carried it
        out, which may be at it still."""
        swap = self._engine.swap(key)
        lock = given_up(swap) if swap is not None else None
        if lock is None or self._group is None:
            return
        running = self._abandoning.pop(lock.lock_id, None)
        if running is not None:
            running.cancel()
        name = f"abandon {lock.lock_id.hex()}"
        task = self._group.create_task(self._abandon(Abandonment(lock), after), name=name)
        self._abandoning[lock.lock_id] = task

    async def _abandon(self, abandonment: Abandonment, after: asyncio.Task[None] | None) -> None:
        lock, failures = abandonment.lock, 0
        until = max(lock.terms.deadline, self._clock()) + _OUT_OF_DATE
        pause: float | None
        if after is not None:
            await asyncio.wait([after])
        while self._clock() < until:
            try:
                post = self._post(lock.terms.chain)
                turns = self._signers[post.credential.account]
                async with turns.sole_turn(Urgency(1, lock.terms.deadline)):
                    look = await abandonment.look(post.adapter, post.credential)
                await self._take_in(lock, look)
            except Fatal:
                raise
            except (AdapterError, Quarantined) as error:
                failures += 1
                pause = self._backoff.pause(failures)
                _log.warning(
                    "lock %s was given up, and cannot be called off: %s; trying again",
                    lock.lock_id.hex(),
                    error,
                )
            except Exception as error:  # noqa: BLE001 - one lock must not stop the others
                failures += 1
                pause = self._backoff.pause(failures)
                _log.warning("%s in abandoning %s", type(error).__name__, lock.lock_id.hex())
            else:
                failures, pause = 0, look.pause
            if pause is None:
                break
            await asyncio.sleep(pause)
        self._abandoning.pop(lock.lock_id, None)

    async def _take_in(self, lock: GivenUpLock, look: Look) -> None:
        """What the chain said of a lock that was given up: where it came all the same, it is taken
        back, whether or not the stream of events ever shows it."""
        if look.record is None:
            return
        key = lock.terms.hashlock
        news = lock_news(self._engine, key, lock.terms.chain, look.record)
        if news is not None:
            await self._put(intent_id(key, Kind.LOCK), news)

    # --- one intent --------------------------------------------------------------------------

    async def _carry(self, intent: Intent) -> None:
        failures = 0
        while True:
            try:
                pause = await self._attempt(intent)
            except Fatal:
                raise
            except (AdapterError, Quarantined) as error:
                pause = Pause(trouble=str(error))
            except Exception as error:  # noqa: BLE001 - a begun claim or refund is never given up
                # Its text is not told: it may quote what it was called with.
                pause = Pause(trouble=f"{type(error).__name__} in {intent.id}")
            failures = failures + 1 if pause.trouble is not None else 0
            seconds = pause.seconds
            if failures:
                seconds = max(seconds, self._backoff.pause(failures))
                _log.warning("%s: %s; trying again", intent.id, pause.trouble)
            self._note(intent, failures, pause.trouble, seconds)
            try:
                async with asyncio.timeout(seconds):
                    if pause.until is not None:
                        await self._engine.reached(*pause.until)
                    else:
                        await asyncio.Event().wait()
            except TimeoutError:
                pass

    def _note(self, intent: Intent, failures: int, error: str | None, seconds: float) -> None:
        known = self._tries.get(intent.id)
        if known is not None and known.intent is intent:
            self._tries[intent.id] = replace(
                known,
                tries=known.tries + 1,
                failures=failures,
                error=error,
                next_at=self._clock() + seconds,
            )

    async def _attempt(self, intent: Intent) -> Pause:
        match intent:
            case SubmitLock(terms=terms):
                post = self._post(terms.chain)
                async with self._turn(intent, post):
                    return await self._errands.lock(intent, post.adapter, post.credential)
            case SubmitClaim(chain=chain):
                post = self._post(chain)
                async with self._turn(intent, post):
                    return await self._errands.claim(intent, post.adapter, post.credential)
            case SubmitRefund(chain=chain):
                post = self._post(chain)
                async with self._turn(intent, post):
                    return await self._errands.refund(intent, post.adapter, post.credential)
            case SendOffer() | SendAcceptance() | SendDecline():
                return await self._send(intent)
            case _:
                assert_never(intent)

    def _turn(
        self, intent: SubmitLock | SubmitClaim | SubmitRefund, post: Post
    ) -> AbstractAsyncContextManager[None]:
        """The signer's turn: claims first, then by the deadline that each must be done by, then the
        claim whose own lock was made longest ago. The larger stake cannot go first: amounts of two
        assets have no common measure."""
        turns = self._signers[post.credential.account]
        match intent:
            case SubmitClaim(chain=chain):
                swap = self._engine.swap(intent.hashlock)
                legs = () if swap is None else (swap.offer.a, swap.offer.b)
                deadlines = [leg.deadline for leg in legs if leg.chain == chain]
                return turns.turn(Urgency(0, min(deadlines, default=0), _locked_since(swap)))
            case SubmitLock(before=before):
                return turns.sole_turn(Urgency(1, before))
            case SubmitRefund(deadline=deadline):
                return turns.turn(Urgency(1, deadline))
            case _:
                assert_never(intent)

    def _post(self, chain: ChainId) -> Post:
        post = self._posts.get(chain)
        if post is None:
            raise Unavailable(
                f"{chain} is not open: its node was not reached yet, or it is not in the "
                "configuration any more; see isthmus doctor"
            )
        return post

    async def _send(self, message: Message) -> Pause:
        try:
            await self._messenger.send(message)
        except Rejected as error:
            await self._put(message.id, Refused(message.id, False, str(error)))
        else:
            await self._put(message.id, Delivered(message.id))
        # The engine closes it; what it keeps open after that is sent again, slowly.
        return Pause(self._backoff.most)

    async def _put(self, intent: str, body: FactBody) -> Outcome:
        """Tells the engine what came of an intent. Each telling is a fact of its own."""
        ident = f"{intent}/{type(body).__name__}/{self._clock()}/{next(self._numbers)}"
        return await self._engine.put(swap_of(intent), body, ident)


def _locked_since(swap: Swap | None) -> int:
    """When our own lock was asked for, by the gateway's clock; 0 where it is not known."""
    return (swap.asked_at(Kind.LOCK) or 0) if swap is not None else 0


def _chain_of(intent: Intent) -> ChainId | None:
    """The chain that it acts on; None for a message."""
    match intent:
        case SubmitLock(terms=terms):
            return terms.chain
        case SubmitClaim(chain=chain) | SubmitRefund(chain=chain):
            return chain
        case SendOffer() | SendAcceptance() | SendDecline():
            return None
        case _:
            assert_never(intent)
