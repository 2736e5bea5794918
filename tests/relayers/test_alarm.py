"""The alarm: wakes come in time whatever the clocks do, each once, and those that came too soon
again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from adapters.model import Head
from relayers.alarm import Alarm
from relayers.heads import Heads
from relayers.journal.port import FactEntry
from relayers.protocol.facts import At, ChainView, Fact, OfferMade, Woken
from relayers.protocol.state import Leg, Phase, Swap
from relayers.protocol.swap import step
from relayers.protocol.wakes import wakes
from tests.relayers.journal.journals import A, life
from tests.relayers.virtual_time import START, run

EXPIRES = int(START) + 100
RECHECK = 5.0


def offered() -> Swap:
    """A swap that wants one wake, by the clock: when its offer expires."""
    body = life()[0].body
    assert isinstance(body, OfferMade)
    body = replace(body, offer=replace(body.offer, valid_until=EXPIRES))
    state = step(None, Fact(body, At(int(START), ()))).state
    assert state is not None
    assert [wake.at for wake in wakes(state)] == [EXPIRES]
    return state


def refunding() -> Swap:
    """A swap that wants one wake, by the time of a chain: when its lock's deadline has come."""
    state = offered()
    accepted = step(state, Fact(life()[1].body, At(int(START), ()))).state
    assert accepted is not None
    assert accepted.a is not None
    a = Leg(accepted.a.lock_id, replace(accepted.a.terms, deadline=EXPIRES))
    state = replace(accepted, phase=Phase.REFUNDING, a=a, b=None)
    assert [(wake.at, wake.chain) for wake in wakes(state)] == [(EXPIRES, A)]
    return state


@dataclass
class Set:
    """An alarm that runs, and the facts that it has put into an inbox."""

    heads: Heads
    alarm: Alarm
    ahead: list[float]
    """Seconds by which the gateway's clock was set."""
    inbox: list[FactEntry] = field(default_factory=list)

    async def append(self, facts: Sequence[FactEntry]) -> None:
        self.inbox.extend(facts)

    def woken(self) -> list[Woken]:
        bodies = [entry.body for entry in self.inbox]
        return [body for body in bodies if isinstance(body, Woken)]


@asynccontextmanager
async def alarm(recheck: float = RECHECK) -> AsyncIterator[Set]:
    loop, ahead = asyncio.get_running_loop(), [0.0]

    def clock() -> float:
        return loop.time() + ahead[0]

    heads = Heads(clock)
    made = Set(heads, Alarm(clock, heads, recheck), ahead)
    task = asyncio.create_task(made.alarm.run(made.append))
    await asyncio.sleep(1)
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_a_wake_that_is_set_while_the_alarm_sleeps_comes_at_its_moment() -> None:
    async def main() -> None:
        async with alarm(recheck=1e9) as made:
            made.alarm.set([offered()])
            await asyncio.sleep(98)
            assert not made.inbox
            await asyncio.sleep(2)
            assert made.woken() == [Woken(EXPIRES)]
            await asyncio.sleep(500)
            assert len(made.inbox) == 1

    run(main())


def test_a_clock_that_was_set_forward_is_noticed() -> None:
    async def main() -> None:
        async with alarm() as made:
            made.alarm.set([offered()])
            await asyncio.sleep(1)
            made.ahead[0] = 1_000
            await asyncio.sleep(RECHECK + 1)
            assert made.woken() == [Woken(EXPIRES)]

    run(main())


def test_a_wake_comes_again_where_the_clock_was_set_back_before_it_was_taken_in() -> None:
    async def main() -> None:
        state = offered()
        async with alarm() as made:
            made.alarm.set([state])
            await asyncio.sleep(100)
            (first,) = made.inbox
            assert made.alarm.taken_in(first.id, first.key, At(EXPIRES - 1, ()))
            made.alarm.set([state])
            await asyncio.sleep(1)
            _, second = made.inbox
            assert second.body == first.body
            assert second.id != first.id
            assert made.alarm.taken_in(second.id, second.key, At(EXPIRES, ()))
            made.alarm.set([state])
            await asyncio.sleep(500)
            assert len(made.inbox) == 2
            assert not made.alarm.taken_in(second.id, second.key, At(EXPIRES, ()))

    run(main())


def test_a_wake_by_a_chain_s_time_comes_with_its_head_and_again_after_a_reorg() -> None:
    async def main() -> None:
        state = refunding()
        async with alarm(recheck=1e9) as made:
            made.alarm.set([state])
            await asyncio.sleep(500)
            assert not made.inbox, "the gateway's clock is not the chain's"
            newest = Head(A, 7, bytes(32), EXPIRES, 0)
            made.heads.see(newest)
            made.alarm.ring()
            await asyncio.sleep(1)
            (first,) = made.inbox
            assert first.body == Woken(EXPIRES, A)
            earlier = ChainView(replace(newest, time=EXPIRES - 1))
            assert made.alarm.taken_in(first.id, first.key, At(EXPIRES, (earlier,)))
            made.alarm.set([state])
            await asyncio.sleep(1)
            assert made.woken() == [Woken(EXPIRES, A)] * 2

    run(main())


def test_what_is_no_wake_is_told_apart() -> None:
    async def main() -> None:
        async with alarm() as made:
            assert not made.alarm.taken_in("another fact", offered().hashlock, At(EXPIRES, ()))

    run(main())
