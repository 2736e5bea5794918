"""Locks that were given up: none goes out late, whatever dies meanwhile; what is there stays."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adapters.model import AccountId, Action, Lock, LockState
from adapters.simulated.accounts import named_credential
from adapters.simulated.faults import TAKEN, FaultPlan, SubmissionFate
from adapters.spi import AdapterError, Unavailable
from relayers.abandonment import Abandonment, GivenUpLock, given_up
from relayers.protocol.facts import Refused
from relayers.protocol.intents import Kind, SubmitLock
from relayers.protocol.offer import Offer
from relayers.protocol.state import Phase
from tests.relayers.journal.journals import memory_damage
from tests.relayers.virtual_time import run
from tests.relayers.world import ALICE, BOUNDS, A, World, ended, until

NOTHING = {"alice": (1000, 1000), "bob": (1000, 1000)}


class LateLock(FaultPlan):
    """Alice's lock is taken, and blocks take it ``late`` seconds later only."""

    def __init__(self, late: int) -> None:
        self.late = late
        self.sent = 0
        self.down: set[str] = set()
        self.asked = 0

    def submission(
        self, view: str, action: Action, account: AccountId, time: int
    ) -> SubmissionFate:
        if not isinstance(action, Lock):
            return TAKEN
        self.sent += 1
        return SubmissionFate(delay=self.late)

    def reading(self, view: str, call: str) -> AdapterError | None:
        self.asked += call == "abandon"
        return Unavailable(f"{view} is down") if call in self.down else None


async def _begun(world: World, plan: LateLock) -> tuple[Offer, SubmitLock]:
    """Alice's lock is on its way; the swap, and what asked for the lock."""
    for view in world.alice.views.values():
        view._faults = plan
    await world.alice.start()
    await world.bob.start()
    offer = await world.offer()
    await world.make(offer)
    await until(lambda: plan.sent)
    (intent,) = [one for one in world.alice.engine.intents() if isinstance(one, SubmitLock)]
    return offer, intent


LATE = 120
"""Seconds: past the window of a lock that is begun at once, before its deadline."""


def _never_came(world: World, intent: SubmitLock) -> None:
    assert world.chains[A].mempool == ()
    assert world.chains[A].lock(intent.lock_id) is None
    assert world.balances() == NOTHING


def test_a_lock_on_its_way_is_called_off_when_its_window_closes() -> None:
    async def main() -> None:
        world = World()
        plan = LateLock(LATE)
        offer, intent = await _begun(world, plan)
        swap = await ended(world.alice, offer.hashlock)
        assert swap.phase is Phase.FAILED
        assert "had to begin before" in swap.reason
        assert world.chains[A].time < intent.terms.deadline, "it need not wait for the deadline"
        await until(lambda: world.chains[A].time > intent.terms.deadline)
        _never_came(world, intent)
        await world.close()

    run(main())


@pytest.mark.parametrize("given_up_before", [False, True])
def test_a_restart_forgets_no_lock_that_was_given_up(given_up_before: bool) -> None:
    """It dies with the lock on its way; or after the swap was given up, with a node that did not
    answer before it died."""

    async def main() -> None:
        world = World()
        plan = LateLock(LATE)
        offer, intent = await _begun(world, plan)
        if given_up_before:
            plan.down = {"abandon"}
            body = Refused(intent.id, by_chain=False, reason="a test")
            await world.alice.engine.put(offer.hashlock, body, "test/refused")
            assert (await ended(world.alice, offer.hashlock)).phase is Phase.FAILED
            await until(lambda: plan.asked > 2)
        await world.alice.stop()
        await until(lambda: world.chains[A].time >= intent.before)
        assert len(world.chains[A].mempool) == 1
        plan.down = set()
        await world.alice.start()
        assert (await ended(world.alice, offer.hashlock)).phase is Phase.FAILED
        await until(lambda: world.chains[A].time > intent.terms.deadline)
        _never_came(world, intent)
        await world.close()

    run(main())


def test_a_lock_that_was_given_up_is_called_off_once_its_swap_can_be_read_again() -> None:
    async def main() -> None:
        world = World()
        plan = LateLock(LATE)
        offer, intent = await _begun(world, plan)
        plan.down = {"abandon"}
        body = Refused(intent.id, by_chain=False, reason="a test")
        await world.alice.engine.put(offer.hashlock, body, "test/refused")
        assert (await ended(world.alice, offer.hashlock)).phase is Phase.FAILED
        await world.alice.stop()
        memory_damage(world.alice.store)("snapshot", offer.hashlock)
        plan.down = set()
        await world.alice.start()
        assert offer.hashlock in world.alice.engine.quarantined()
        assert len(world.chains[A].mempool) == 1, "nobody knows yet that it was given up"
        assert await world.alice.engine.replay(offer.hashlock) is None
        await until(lambda: world.chains[A].time > intent.terms.deadline)
        _never_came(world, intent)
        await world.close()

    run(main())


def test_a_lock_that_comes_all_the_same_is_taken_back() -> None:
    """The node cannot call it off; the chain has the last word."""

    async def main() -> None:
        world = World()
        plan = LateLock(40)
        offer, intent = await _begun(world, plan)
        plan.down = {"abandon"}
        body = Refused(intent.id, by_chain=False, reason="a test")
        await world.alice.engine.put(offer.hashlock, body, "test/refused")
        assert (await ended(world.alice, offer.hashlock)).phase is Phase.FAILED
        await until(lambda: world.chains[A].escrowed(offer.a.asset) > 0)
        await until(lambda: _phase(world, offer) is Phase.REFUNDING)
        plan.down = set()
        assert (await ended(world.alice, offer.hashlock)).phase is Phase.REFUNDED
        assert world.balances() == NOTHING
        assert world.alice.process is not None
        assert world.alice.process.executor._abandoning == {}
        await world.close()

    run(main())


def _phase(world: World, offer: Offer) -> Phase | None:
    swap = world.alice.engine.swap(offer.hashlock)
    return swap.phase if swap is not None else None


def test_what_a_reorg_puts_back_among_those_that_wait_is_called_off() -> None:
    """Given up while it was pending: it is watched until it is final."""

    async def main() -> None:
        world = World()
        await world.alice.start()
        await world.bob.start()
        offer = await world.offer()
        await world.make(offer)
        chain = world.chains[A]
        await until(lambda: chain.escrowed(offer.a.asset) > 0)
        swap = world.alice.engine.swap(offer.hashlock)
        assert swap is not None
        assert swap.own is not None
        world.halted.add(A)
        await world.alice.stop()
        abandonment = Abandonment(GivenUpLock(swap.own.lock_id, swap.own.terms))
        view, credential = world.alice.views[A], named_credential(A, ALICE)
        assert (await abandonment.look(view, credential)).pause is not None
        chain.reorg(1, delay=LATE)
        assert len(chain.mempool) == 1
        # Nothing is left of it; looked at once more, because that too could be undone.
        soon = await abandonment.look(view, credential)
        assert soon.pause is not None
        assert soon.pause <= BOUNDS.inclusion + BOUNDS.finality + 1
        assert chain.mempool == ()
        # And at its deadline: what the chain says then is the last word.
        late = await abandonment.look(view, credential)
        assert late.pause == swap.own.terms.deadline - chain.time
        assert late.record is None
        world.halted.clear()
        await until(lambda: chain.time >= abandonment.lock.terms.deadline)
        last = await abandonment.look(view, credential)
        assert last.pause is None
        assert last.record is not None
        assert last.record.state is LockState.ABSENT
        await world.close()

    run(main())


def test_only_own_locks_that_were_asked_for_and_closed_are_given_up() -> None:
    async def main() -> None:
        world = World()
        plan = LateLock(LATE)
        offer, _ = await _begun(world, plan)
        swap = world.alice.engine.swap(offer.hashlock)
        assert swap is not None
        assert swap.own is not None
        assert given_up(swap) is None, "it is wanted still"
        closed = replace(swap, closed=(*swap.closed, Kind.LOCK))
        assert given_up(closed) == GivenUpLock(swap.own.lock_id, swap.own.terms)
        expired = closed.with_leg(replace(swap.own, expired=True))
        assert given_up(expired) is None, "what asks for its refund asks for it"
        failed = replace(expired, phase=Phase.FAILED)
        assert given_up(failed) == GivenUpLock(swap.own.lock_id, swap.own.terms)
        missed = failed.with_leg(replace(swap.own, expired=True, missed=True))
        assert given_up(missed) is None
        assert given_up(replace(closed, a=None, b=None)) is None
        await world.close()

    run(main())
