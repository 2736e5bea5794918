"""Reservations: own transactions in flight never spend one holding twice."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import pytest

from adapters.fabric.reservations import Choice, Reservations, Reserved
from adapters.spi import NotSent, Rejected, RejectionReason


class Purse:
    """Holdings a, b, c; each transaction needs one."""

    def __init__(self) -> None:
        self.names = ["a", "b", "c"]
        self.now = 0.0
        self.reservations = Reservations(doubt=8.0, clock=lambda: self.now)

    async def choose(self, excluded: Collection[str]) -> Choice:
        free = [name for name in self.names if name not in excluded]
        if not free:
            raise Rejected("too little", RejectionReason.INSUFFICIENT_BALANCE)
        await asyncio.sleep(0)
        return Choice((free[0],), len(self.names))

    async def hold(
        self, inside: asyncio.Event, leave: asyncio.Event, seen: list[str], patience: float = 60
    ) -> None:
        async with self.reservations.reserve(self.choose, patience) as reserved:
            seen += reserved.choice.names
            inside.set()
            await leave.wait()


async def test_transactions_in_flight_hold_different_ones() -> None:
    purse, seen, leave = Purse(), list[str](), asyncio.Event()
    inside = [asyncio.Event() for _ in range(3)]
    async with asyncio.TaskGroup() as group:
        for event in inside:
            group.create_task(purse.hold(event, leave, seen))
        for event in inside:
            await event.wait()
        assert sorted(seen) == ["a", "b", "c"]
        leave.set()


async def test_the_next_one_waits_for_what_comes_back() -> None:
    purse, seen, leave, never = Purse(), list[str](), asyncio.Event(), asyncio.Event()
    purse.names = ["a"]
    inside, late = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(purse.hold(inside, leave, seen))
        await inside.wait()
        waiting = group.create_task(purse.hold(late, never, seen))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not late.is_set()
        leave.set()
        await late.wait()
        assert seen == ["a", "a"]
        never.set()
    assert waiting.done()


async def test_patience_ends_in_not_sent() -> None:
    purse = Purse()
    purse.names = ["a"]
    async with purse.reservations.reserve(purse.choose, 0):
        with pytest.raises(NotSent):
            async with purse.reservations.reserve(purse.choose, 0):
                pass


async def test_an_empty_account_is_refused_at_once() -> None:
    purse = Purse()
    purse.names = []
    with pytest.raises(Rejected):
        async with purse.reservations.reserve(purse.choose, 60):
            pass


async def _spend(purse: Purse, *, sent: bool, settled: bool) -> Reserved:
    async with purse.reservations.reserve(purse.choose, 0) as reserved:
        if sent:
            reserved.mark_sent()
        if settled:
            reserved.mark_settled()
        return reserved


@pytest.mark.parametrize(
    ("sent", "settled", "again"), [(False, False, "a"), (True, True, "a"), (True, False, "b")]
)
async def test_what_may_have_been_ordered_stays_reserved(
    sent: bool, settled: bool, again: str
) -> None:
    purse = Purse()
    await _spend(purse, sent=sent, settled=settled)
    assert (await _spend(purse, sent=False, settled=False)).choice.names == (again,)


async def test_doubt_ends() -> None:
    purse = Purse()
    await _spend(purse, sent=True, settled=False)
    purse.now = 7.9
    assert (await _spend(purse, sent=False, settled=False)).choice.names == ("b",)
    purse.now = 8.1
    assert (await _spend(purse, sent=False, settled=False)).choice.names == ("a",)


async def test_a_cancelled_transaction_gives_back_what_it_did_not_send() -> None:
    purse, seen, inside = Purse(), list[str](), asyncio.Event()
    task = asyncio.ensure_future(purse.hold(inside, asyncio.Event(), seen))
    await inside.wait()
    task.cancel()
    await asyncio.wait([task])
    assert (await _spend(purse, sent=False, settled=False)).choice.names == ("a",)
