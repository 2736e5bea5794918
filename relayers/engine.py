"""The engine: takes facts from the journal, steps swaps with them, writes what follows, tells it.

One engine owns one journal and is the only one to step its swaps. Whatever happens comes in as a
fact through ``put`` and ``observe``; whatever is to be done goes out as an intent to the listeners,
after it was written. Opening restores the snapshots, the open intents and the heads; what was in
the inbox is then taken up as if it had just come. There is no other recovery.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Protocol, Self, TypeVar

from adapters.model import ChainId, Cursor, Hashlock, Head
from adapters.values import dataclass
from relayers.alarm import Alarm
from relayers.clock import Clock
from relayers.fatal import Fatal
from relayers.heads import Heads
from relayers.journal.opened import opened
from relayers.journal.port import (
    Answer,
    ChainCursor,
    Consumption,
    Dropped,
    FactEntry,
    Held,
    Journal,
    JournalCorrupt,
    JournalTooNew,
    Stepped,
    StoredEvent,
    StoredFact,
    Taken,
    Unreadable,
)
from relayers.protocol.facts import At, ChainView, Fact, FactBody, Woken
from relayers.protocol.intents import Intent
from relayers.protocol.state import Ignored, Swap
from relayers.protocol.swap import step
from relayers.quarantine import BEHIND, UNREADABLE, NotHeld, Quarantine, Quarantined, Ward
from relayers.rebuild import NotRebuilt, rebuilt
from relayers.waiters import Waiters, settle

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a fact: the swap after it, and why it moved nothing where it did not."""

    state: Swap | None
    ignored: Ignored | None = None
    detail: str = ""


class EngineStopped(Fatal):
    """The engine does not run, or stopped before the fact was dealt with. If the fact was stored
    it is dealt with at the next start."""


STOPPED = "the engine has stopped; start the gateway again"


class IntentListener(Protocol):
    """Told of intents in the order in which they were written. Must neither block nor raise."""

    def opened(self, intent: Intent) -> None: ...

    def closed(self, intent: str) -> None: ...

    def rebuilt(self, key: Hashlock) -> None:
        """A swap that could not be read was made anew, and stands among ``Engine.swaps``. What of
        it is open was told before."""
        ...


class Engine:
    """``recheck``: as ``Alarm`` takes it. ``batch``: the most facts in one commit."""

    def __init__(
        self, journal: Journal, clock: Clock, *, recheck: float = 5.0, batch: int = 256
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._batch = batch
        self._swaps: dict[Hashlock, Swap] = {}
        self._intents: dict[str, Intent] = {}
        self._heads = Heads(clock)
        self._ward = Ward()
        self._alarm = Alarm(clock, self._heads, recheck)
        self._listeners: list[IntentListener] = []
        self._waiters = Waiters[Outcome]()
        self._stepping = asyncio.Lock()
        self._news = asyncio.Event()
        self._begun = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        """Those of ``run``, while it runs."""

    @classmethod
    async def open(
        cls, journal: Journal, clock: Clock, *, recheck: float = 5.0, batch: int = 256
    ) -> Self:
        """An engine as it was when the journal was last written. Raises JournalError."""
        engine = cls(journal, clock, recheck=recheck, batch=batch)
        engine._heads.restore(await journal.chains())
        restored = await journal.restore()
        engine._swaps = {state.hashlock: state for state in restored.swaps}
        engine._alarm.set(restored.swaps)
        engine._intents = {intent.id: intent for intent in restored.intents}
        for unreadable in restored.unreadable:
            engine._ward.shut(unreadable)
        for held in await journal.held():
            engine._ward.hold(held)
        return engine

    async def run(self) -> None:
        """Runs until it is cancelled. Raises JournalError where the journal fails: then nothing
        more may be done, and the process is to be started anew."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                self._begun.set()
                tasks.create_task(self._consume(), name="engine: facts")
                tasks.create_task(self._alarm.run(self._journal.append), name="engine: timers")
        finally:
            self._stop()

    def _stop(self) -> None:
        self._tasks = None
        self._begun.set()
        self._waiters.stop(EngineStopped(STOPPED))

    # --- what is known -----------------------------------------------------------------------

    def swap(self, key: Hashlock) -> Swap | None:
        """Raises Quarantined where it is in quarantine and nobody knows where it stands: what is
        stored of it cannot be read, or its first fact could not be processed."""
        state = self._swaps.get(key)
        if state is None and key in self._ward:
            raise Quarantined(key, self._ward.reason(key))
        return state

    def swaps(self) -> Sequence[Swap]:
        """Those that can be read."""
        return tuple(self._swaps.values())

    def intents(self) -> Sequence[Intent]:
        """What is open now."""
        return tuple(self._intents.values())

    def views(self) -> Mapping[ChainId, ChainView]:
        return self._heads.views()

    def quarantined(self) -> Mapping[Hashlock, Quarantine]:
        """Each swap that is held."""
        return self._ward.all()

    async def history(self, key: Hashlock) -> Sequence[Taken]:
        return await self._journal.history(key)

    async def cursor(self, chain: ChainId) -> Cursor | None:
        """How far a chain has been read."""
        return await self._journal.cursor(chain)

    def moment(self) -> At:
        """The gateway's clock and the newest heads, as the next fact will meet them."""
        return self._heads.moment()

    async def follow(
        self, after: int = 0, key: Hashlock | None = None
    ) -> AsyncIterator[StoredEvent]:
        """User events with a number above ``after``: those stored, then those to come. Endless."""
        while True:
            news = self._news
            events = await self._journal.events(after, self._batch, key)
            for event in events:
                after = event.number
                yield event
            if not events:
                await news.wait()

    def listen(self, listener: IntentListener) -> None:
        """Tells the listener of intents from now on; those open already are in ``intents()``."""
        self._listeners.append(listener)

    # --- what comes in -----------------------------------------------------------------------

    async def put(
        self, key: Hashlock, body: FactBody, fact_id: str, *, answer: Answer | None = None
    ) -> Outcome:
        """Stores a fact, durably, and returns what became of it.

        The same fact id again changes nothing: the swap as it is now comes back, ignored as
        KNOWN_ALREADY. ``answer`` is stored with the fact, in one. Cancelling leaves a stored fact
        stored. Raises Quarantined, EngineStopped, JournalError.
        """
        if key in self._ward:
            raise Quarantined(key, self._ward.reason(key))
        waiter = self._waiters.wait(fact_id)
        try:
            entry = FactEntry(fact_id, key, body)
            (appended,) = await self._journal.append((entry,), answer=answer)
            if appended.consumed:
                # It may have been written and not told yet: what steps now tells before it ends.
                async with self._stepping:
                    state = self._swaps.get(key)
                return Outcome(state, Ignored.KNOWN_ALREADY, "this was taken in before")
            return await waiter
        finally:
            self._waiters.forget(fact_id, waiter)

    async def observe(
        self, head: Head, entries: Sequence[FactEntry] = (), cursor: ChainCursor | None = None
    ) -> None:
        """Takes in what a chain has shown: its newest head, facts, and how far it was read.

        Returns when the facts were dealt with, so that a reader never runs ahead of the engine.
        Raises EngineStopped, JournalError.
        """
        self._heads.see(head)
        if entries or cursor is not None:
            last = entries[-1].id if entries else ""
            waiter = self._waiters.wait(last)
            try:
                appended = await self._journal.append(entries, cursor=cursor)
                if any(not one.consumed for one in appended):
                    # Facts are dealt with in their order; only the last must be waited for, unless
                    # it was known already.
                    if appended[-1].consumed:
                        async with self._stepping:
                            pass
                    else:
                        await waiter
            except Quarantined:
                pass  # Held, with its reason; other swaps flow on.
            finally:
                self._waiters.forget(last, waiter)
        self._alarm.ring()

    def update_view(self, head: Head) -> None:
        """Makes this the newest head of its chain, from whoever has just read it."""
        self._heads.see(head)
        self._alarm.ring()

    async def reached(self, chain: ChainId, time: int) -> None:
        """Returns when the newest head of a chain has this time or a later one."""
        await self._heads.reached(chain, time)

    async def freeze(self, head: Head, reason: str) -> None:
        """Stops new locks and new reveals on the head's chain, until ``unfreeze``. Every open swap
        on it is looked at, and says so. The first reason stays."""
        view = self._heads.freeze(head, reason)
        if view is None:
            return
        await self._journal.set_frozen(view)
        await self.look(head.chain)

    async def unfreeze(self, chain: ChainId) -> None:
        """An operator's word that a chain can be trusted again. Raises KeyError for a chain that
        was never seen."""
        view = self._heads.unfreeze(chain)
        await self._journal.set_frozen(view)
        await self.look(chain)

    async def look(self, chain: ChainId) -> None:
        """Looks at every open swap that uses a chain again, because something about it changed
        that no fact tells, such as a head that has become stale."""
        clock = self._clock()
        entries = [
            FactEntry(f"{key.hex()}/look/{chain}/{clock}", key, Woken(int(clock)))
            for key, state in self._swaps.items()
            if not state.ended and chain in (state.offer.a.chain, state.offer.b.chain)
        ]
        if entries:
            await self._journal.append(entries)

    # --- quarantine --------------------------------------------------------------------------

    async def retry_held(self) -> None:
        """Before ``run``: processes all held facts once more; perhaps this release can take in what
        the one before could not. Raises JournalError."""
        async with self._stepping:
            for key in self._ward.all():
                await self._retry(key)

    async def replay(self, key: Hashlock) -> Quarantine | None:
        """Processes the held facts of a swap once more, in their order. Where what is stored of it
        cannot be read, that is made anew from its history first. None where the swap is not in
        quarantine after it; else why. Raises EngineStopped, JournalError."""

        async def work() -> Quarantine | None:
            if self._ward.unreadable(key):
                await self._rebuild(key)
            await self._retry(key)
            return self._ward.get(key)

        return await self._in_turn(work)

    async def drop(self, key: Hashlock, fact: int, reason: str) -> Quarantine | None:
        """Gives up the first held fact of a swap, for the record with a reason, and processes the
        rest once more. ``fact``: its offset, so that asking twice never drops two. Returns as
        ``replay``. Raises NotHeld, EngineStopped, JournalError."""

        async def work() -> Quarantine | None:
            held = self._ward.get(key)
            if held is None or fact not in [one.fact.offset for one in held.facts]:
                raise NotHeld(f"fact {fact} of swap 0x{key.hex()} is not held, or no longer")
            if held.unreadable:
                raise NotHeld(
                    f"swap 0x{key.hex()}: {UNREADABLE}, so its facts wait and none is at fault; "
                    "replay it, with a version that can read it"
                )
            first = held.facts[0].fact
            if first.offset != fact:
                raise NotHeld(
                    f"fact {fact} of swap 0x{key.hex()} waits behind fact {first.offset}, which is "
                    "the one at fault; replay, or drop that one"
                )
            rest = self._ward.take(key)[1:]
            await self._process([one.fact for one in rest], Dropped(first, reason))
            return self._ward.get(key)

        return await self._in_turn(work)

    async def _retry(self, key: Hashlock) -> None:
        if not self._ward.unreadable(key):
            await self._process([one.fact for one in self._ward.take(key)])

    async def _rebuild(self, key: Hashlock) -> None:
        try:
            history = await self._journal.history(key)
            told = [stored.event async for stored in self._told(key)]
            anew = rebuilt(history, told)
        except (JournalCorrupt, JournalTooNew, NotRebuilt) as error:
            self._ward.not_rebuilt(key, f"it cannot be made anew from its history: {error}")
            return
        except Fatal:
            raise
        except Exception as error:  # noqa: BLE001 - a fault in one swap must not stop the others
            # The class alone: an error's text may quote what it stumbled over.
            self._ward.not_rebuilt(key, f"it cannot be made anew from its history: {_name(error)}")
            return
        await self._journal.rebuild(anew.state, anew.intents)
        self._ward.open(key)
        self._swaps[key] = anew.state
        self._alarm.set((anew.state,))
        for intent in anew.intents:
            self._open(intent)
        for listener in self._listeners:
            listener.rebuilt(key)

    async def _told(self, key: Hashlock) -> AsyncIterator[StoredEvent]:
        after = 0
        while events := await self._journal.events(after, self._batch, key):
            for event in events:
                after = event.number
                yield event

    async def _in_turn(self, work: Callable[[], Awaitable[T]]) -> T:
        """Does an operator's work between two batches, in a task of the engine's own: whoever asked
        may go away in the middle, and the journal and the engine stay one."""
        await self._begun.wait()
        if self._tasks is None:
            raise EngineStopped(STOPPED)
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        async def do() -> None:
            try:
                async with self._stepping:
                    settle(answer, await work())
            except NotHeld as error:
                settle(answer, error)
            except Exception as error:
                settle(answer, error)
                raise

        def done(_: asyncio.Task[None]) -> None:
            # Also where it was cancelled before it began.
            settle(answer, EngineStopped(STOPPED))
            if not answer.cancelled():
                answer.exception()  # taken note of, also where whoever asked has gone

        doing = do()
        try:
            task = self._tasks.create_task(doing, name="engine: an operator's word")
        except RuntimeError:
            # The group is ending, because another of its tasks has failed.
            doing.close()
            raise EngineStopped(STOPPED) from None
        task.add_done_callback(done)
        return await answer

    # --- the loops ---------------------------------------------------------------------------

    async def _consume(self) -> None:
        while True:
            facts = await self._journal.take(self._batch)
            async with self._stepping:
                await self._process(facts)

    async def _process(self, facts: Sequence[StoredFact], *before: Consumption) -> None:
        """Steps, writes and tells a batch, with what is to be written before it. The lock must be
        held."""
        states: dict[Hashlock, Swap] = {}
        held: dict[Hashlock, str] = {}
        consumptions = list(before)
        at = self.moment()
        for fact in facts:
            consumptions.append(self._step(fact, at, states, held))
        if not consumptions:
            return
        events = await self._journal.commit(consumptions)
        moved: dict[Hashlock, Swap] = {}
        for consumption in consumptions:
            self._tell(consumption, moved)
        self._alarm.set(moved.values())
        if events:
            self._news.set()
            self._news = asyncio.Event()

    def _step(
        self, fact: StoredFact, at: At, states: dict[Hashlock, Swap], held: dict[Hashlock, str]
    ) -> Consumption:
        """``states`` and ``held`` are what this batch has made so far of the swaps it touched."""
        key = fact.key
        if key in held:
            return Held(fact, held[key])
        behind = self._ward.behind(key)
        if behind is not None:
            return Held(fact, behind)
        if isinstance(fact.body, Unreadable):
            held[key] = BEHIND
            return Held(fact, fact.body.reason)
        state = states.get(key)
        if state is None:
            state = self._swaps.get(key)
        try:
            move = step(state, Fact(fact.body, at))
        except Exception as error:  # noqa: BLE001 - a fault in one swap must not stop the others
            held[key] = BEHIND
            # The class alone: an error's text may quote what it stumbled over.
            return Held(fact, f"{type(fact.body).__name__} could not be processed: {_name(error)}")
        if move.state is not None:
            states[key] = move.state
        return Stepped(fact, at, move)

    def _tell(self, consumption: Consumption, moved: dict[Hashlock, Swap]) -> None:
        """``moved``: where the swaps are noted whose wakes may be others now, as they are."""
        fact = consumption.fact
        match consumption:
            case Stepped(_, at, move):
                woken = self._alarm.taken_in(fact.id, fact.key, at)
                if move.state is not None and (
                    woken or move.state is not self._swaps.get(fact.key)
                ):
                    moved[fact.key] = self._swaps[fact.key] = move.state
                for ident in move.closed:
                    if self._intents.pop(ident, None) is not None:
                        for listener in self._listeners:
                            listener.closed(ident)
                for intent in opened(move):
                    self._open(intent)
                if fact.id in self._waiters:
                    outcome = Outcome(move.state, move.ignored, move.detail)
                    self._waiters.answer(fact.id, outcome)
            case Held(_, reason):
                self._ward.hold(consumption)
                self._waiters.answer(fact.id, Quarantined(fact.key, reason, stored=True))
            case Dropped():
                pass

    def _open(self, intent: Intent) -> None:
        self._intents[intent.id] = intent
        for listener in self._listeners:
            listener.opened(intent)


def _name(error: Exception) -> str:
    """The class of an error and where it was raised; never its text."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else f" at {trace.tb_frame.f_code.co_name}:{trace.tb_lineno}"
    return f"{type(error).__name__}{where}"
