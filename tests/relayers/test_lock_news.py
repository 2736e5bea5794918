"""A stream of events that lags, or never shows a lock: what the chain says when asked is taken in
as if it had been seen, and no lock of ours is given up for unseen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from adapters.model import (
    AccountId,
    Action,
    ChainId,
    Claim,
    Cursor,
    Lock,
    LockClaimed,
    LockEvent,
    LockState,
    Notice,
    Observation,
    Submission,
)
from adapters.simulated.adapter import SimulatedAdapter
from adapters.simulated.faults import TAKEN, FaultPlan, SubmissionFate
from adapters.spi import AdapterError, Credential, NotSent, Unavailable
from relayers.lock_news import lock_news
from relayers.protocol.facts import Fact, LookedUp, Refused, Woken
from relayers.protocol.intents import Kind, intent_id
from relayers.protocol.offer import Offer
from relayers.protocol.state import Move, Phase, Role, Swap
from relayers.protocol.swap import step
from tests.relayers.protocol import samples
from tests.relayers.protocol.samples import CHAIN_B, LOCK_A, LOCK_B
from tests.relayers.protocol.side import Side
from tests.relayers.virtual_time import run
from tests.relayers.world import BOUNDS, STALE, A, B, Gateway, World, ended, until

DONE = {"alice": (990, 1010), "bob": (1010, 990)}
NOTHING = {"alice": (1000, 1000), "bob": (1000, 1000)}


class LaggingAdapter(SimulatedAdapter):
    """Heads come as they are. What is held back of locks comes later, or never."""

    holds_back: Callable[[LockEvent], bool] = staticmethod(lambda event: True)

    async def events(self, cursor: Cursor | None) -> AsyncIterator[Notice]:
        kept: list[Observation] = []
        async for notice in super().events(cursor):
            kept.extend(notice.observations)
            told = tuple(one for one in kept if not self.holds_back(one.event))
            kept = [one for one in kept if self.holds_back(one.event)]
            yield replace(notice, observations=told)


def lagging(gateway: Gateway, chain: ChainId) -> LaggingAdapter:
    view = LaggingAdapter(
        gateway.world.chains[chain],
        bounds=BOUNDS,
        name=f"{gateway.name}:{chain}",
        stale_after=STALE,
    )
    gateway.views[chain] = view
    return view


async def begun(world: World) -> Offer:
    await world.alice.start()
    await world.bob.start()
    offer = await world.offer()
    await world.make(offer)
    return offer


def swap_of(gateway: Gateway, offer: Offer) -> Swap:
    swap = gateway.engine.swap(offer.hashlock)
    assert swap is not None
    return swap


# --- the other side's secret ---------------------------------------------------------------------


def test_a_secret_that_a_look_up_shows_is_used_at_once() -> None:
    """Bob's stream of B never shows that his lock was claimed. When he asks for its refund, the
    chain shows the secret, and his own claim is still in time."""

    async def main() -> None:
        world = World()
        lagging(world.bob, B).holds_back = lambda event: isinstance(event, LockClaimed)
        offer = await begun(world)
        bob = await ended(world.bob, offer.hashlock)
        assert bob.phase is Phase.COMPLETED
        assert bob.b is not None
        assert bob.b.settled_final
        assert (await ended(world.alice, offer.hashlock)).phase is Phase.COMPLETED
        assert world.balances() == DONE
        history = await world.bob.engine.history(offer.hashlock)
        looked_up = [taken.body for taken in history if isinstance(taken.body, LookedUp)]
        assert [one.state for one in looked_up] == [LockState.CLAIMED], "told once"
        await world.close()

    run(main())


@pytest.mark.parametrize("final", [False, True])
def test_what_is_not_final_is_taken_in_as_pending(final: bool) -> None:
    """The secret is known for good either way; our own lock has ended only once that is final."""
    side = Side(Role.RESPONDER)
    side.begin()
    side.agree()
    for lock_id in (LOCK_A, LOCK_B):
        side.look_up(lock_id, LockState.OPEN, True)
    state = side.state
    assert state is not None
    assert state.phase is Phase.LOCKED
    side.look_up(LOCK_B, LockState.CLAIMED, final)
    state = side.state
    assert state is not None
    assert state.phase is Phase.CLAIMING
    assert state.preimage == samples.PREIMAGE
    assert state.waits_for(Kind.CLAIM)
    assert state.b is not None
    assert state.b.settled_final is final


# --- our own lock --------------------------------------------------------------------------------


def test_a_swap_completes_though_the_stream_never_shows_our_lock() -> None:
    async def main() -> None:
        world = World()
        lagging(world.alice, A)
        offer = await begun(world)
        assert (await ended(world.bob, offer.hashlock)).phase is Phase.COMPLETED
        alice = await ended(world.alice, offer.hashlock)
        assert alice.phase is Phase.COMPLETED
        assert world.balances() == DONE
        await world.close()

    run(main())


def test_a_lock_that_the_stream_never_shows_comes_home() -> None:
    async def main() -> None:
        world = World()
        lagging(world.alice, A)
        offer = await begun(world)
        await until(lambda: world.chains[A].escrowed(offer.a.asset) > 0)
        await world.bob.stop()
        assert (await ended(world.alice, offer.hashlock)).phase is Phase.REFUNDED
        assert world.balances() == NOTHING
        await world.close()

    run(main())


class Faults(FaultPlan):
    """Alice's lock is taken, and blocks take it ``delay`` seconds later only, or never."""

    def __init__(self, delay: int = 0, copies: int = 1) -> None:
        self.fate = SubmissionFate(delay=delay, copies=copies)
        self.sent = 0
        self.down: set[str] = set()

    def submission(
        self, view: str, action: Action, account: AccountId, time: int
    ) -> SubmissionFate:
        if not isinstance(action, Lock):
            return TAKEN
        self.sent += 1
        return self.fate

    def reading(self, view: str, call: str) -> AdapterError | None:
        return Unavailable(f"{view} is down") if call in self.down else None


@pytest.mark.parametrize("there", [True, False])
def test_at_its_deadline_a_lock_that_was_not_seen_is_asked_for(there: bool) -> None:
    """And until the chain has answered, it is not given up for never having come."""

    async def main() -> None:
        world = World()
        view, faults = lagging(world.alice, A), Faults(copies=int(there))
        view._faults = faults
        offer = await begun(world)
        await until(lambda: faults.sent)
        faults.down = {"lookup"}
        await until(lambda: world.chains[A].time > offer.a.deadline + 60)
        assert swap_of(world.alice, offer).phase is Phase.LOCKING
        faults.down = set()
        alice = await ended(world.alice, offer.hashlock)
        assert alice.phase is (Phase.REFUNDED if there else Phase.FAILED)
        assert alice.a is not None
        assert alice.a.missed is not there
        assert world.balances() == NOTHING
        await world.close()

    run(main())


@pytest.mark.parametrize("stopped", [0, 20, 3 * 86_400])
def test_a_lock_that_was_given_up_and_comes_unseen_is_taken_back(stopped: int) -> None:
    """Also by a gateway that was down when it came, and until so long after its deadline."""

    async def main() -> None:
        world = World()
        view, faults = lagging(world.alice, A), Faults(delay=40)
        view._faults = faults
        faults.down = {"abandon"}
        offer = await begun(world)
        await until(lambda: faults.sent)
        body = Refused(intent_id(offer.hashlock, Kind.LOCK), by_chain=False, reason="a test")
        await world.alice.engine.put(offer.hashlock, body, "test/refused")
        assert swap_of(world.alice, offer).phase is Phase.FAILED
        if stopped:
            await world.alice.stop()
            await world.bob.stop()
            await until(lambda: world.chains[A].escrowed(offer.a.asset) > 0)
            world.interval = max(2, stopped // 1000)
            await asyncio.sleep(offer.a.deadline + stopped - world.chains[A].time)
            world.interval = 2
            await world.alice.start()
        await until(lambda: world.chains[A].escrowed(offer.a.asset) > 0)
        await until(lambda: swap_of(world.alice, offer).phase is Phase.REFUNDED)
        assert world.balances() == NOTHING
        await world.close()

    run(main())


def test_a_lock_that_was_given_up_and_never_came_is_known_for_absent() -> None:
    """From its deadline on; what it would have taken counts as given no more then."""

    async def main() -> None:
        world = World()
        faults = Faults(copies=0)
        lagging(world.alice, A)._faults = faults
        offer = await begun(world)
        await until(lambda: faults.sent)
        body = Refused(intent_id(offer.hashlock, Kind.LOCK), by_chain=False, reason="a test")
        await world.alice.engine.put(offer.hashlock, body, "test/refused")
        await until(lambda: world.chains[A].time >= offer.a.deadline - 4)
        own = swap_of(world.alice, offer).own
        assert own is not None
        assert not own.missed
        await until(lambda: (own := swap_of(world.alice, offer).own) is not None and own.missed)
        assert world.chains[A].time >= offer.a.deadline
        assert swap_of(world.alice, offer).phase is Phase.FAILED
        assert world.alice.process is not None
        await asyncio.sleep(5)
        assert world.alice.process.executor._abandoning == {}
        await world.close()

    run(main())


# --- what is no news -----------------------------------------------------------------------------


def test_what_is_known_is_not_told_again() -> None:
    async def main() -> None:
        world = World()
        offer = await begun(world)
        await until(lambda: world.alice.engine.swap(offer.hashlock) is not None)
        await until(lambda: swap_of(world.alice, offer).phase is Phase.LOCKED)
        own = swap_of(world.alice, offer).own
        assert own is not None
        record = await world.alice.views[A].lookup(own.lock_id)
        assert record.state is LockState.OPEN
        assert lock_news(world.alice.engine, offer.hashlock, A, record) is None
        stranger = replace(record, lock_id=samples.STRANGER)
        assert lock_news(world.alice.engine, offer.hashlock, A, stranger) is None
        assert (await ended(world.alice, offer.hashlock)).phase is Phase.COMPLETED
        await world.close()

    run(main())


def test_not_there_says_nothing_before_the_deadline() -> None:
    side = Side(Role.RESPONDER)
    side.begin()
    side.agree()
    side.look_up(LOCK_A, LockState.OPEN, True)
    side.look_up(LOCK_B, LockState.ABSENT, False)
    assert side.state is not None
    assert side.state.phase is Phase.LOCKING
    assert side.state.b is not None
    assert not side.state.b.missed
    ahead = samples.T2 - side.heads[CHAIN_B]
    side.pass_time(ahead, ahead, ahead)
    side.heed_wakes()
    waiting = side.state
    assert waiting.phase is Phase.LOCKING, "not seen is not absent"
    assert waiting.waits_for(Kind.REFUND)
    assert not waiting.waits_for(Kind.LOCK)
    side.look_up(LOCK_B, LockState.ABSENT, False)
    failed: Swap | None = side.state
    assert failed is not None
    assert failed.phase is Phase.FAILED


# --- in quarantine -------------------------------------------------------------------------------


def test_a_swap_in_quarantine_claims_what_it_was_about_to_claim(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One of its facts cannot be processed, and the node of A takes claims only after that. A
    look-up has news then, which the swap cannot take in; the claim goes out all the same."""

    async def main() -> None:
        world = World()
        view = world.bob.views[A]
        submit, down = view.submit, True

        async def after_a_while(action: Action, credential: Credential) -> Submission:
            if down and isinstance(action, Claim):
                raise NotSent("the node of A is down for a while")
            return await submit(action, credential)

        def broken(state: Swap | None, fact: Fact) -> Move:
            if state is not None and state.role is Role.RESPONDER and isinstance(fact.body, Woken):
                raise ZeroDivisionError
            return step(state, fact)

        monkeypatch.setattr(view, "submit", after_a_while)
        offer = await begun(world)
        await until(lambda: world.bob.engine.swap(offer.hashlock) is not None)
        await until(lambda: swap_of(world.bob, offer).phase is Phase.CLAIMING)
        monkeypatch.setattr("relayers.engine.step", broken)
        await until(lambda: offer.hashlock in world.bob.engine.quarantined())
        down = False
        assert (await ended(world.alice, offer.hashlock)).phase is Phase.COMPLETED
        assert world.balances() == DONE
        await world.close()

    run(main())
