"""Promises about what is refused: for the right reason, at the call, and with nothing changed."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from adapters.conformance.bench import bench_on, claim, new_preimage
from adapters.conformance.harness import Harness
from adapters.model import (
    MAX_AMOUNT,
    Hashlock,
    InvalidValue,
    Lock,
    LockId,
    LockState,
    LockTerms,
    Preimage,
    Refund,
)
from adapters.spi import Rejected, RejectionReason


def _forged(terms: LockTerms, **changes: Any) -> LockTerms:
    """Terms that the constructor would refuse, as a caller's defect could make them."""
    forged = object.__new__(LockTerms)
    for field in fields(LockTerms):
        object.__setattr__(forged, field.name, changes.get(field.name, getattr(terms, field.name)))
    return forged


async def test_a_wrong_preimage_is_refused(harness: Harness) -> None:
    async with bench_on(harness) as bench:
        preimage = new_preimage()
        lock_id = await bench.locked(await bench.terms(preimage))
        before = await bench.holdings(bench.asset)
        for wrong in (new_preimage(), Preimage(preimage.hashlock()), Preimage(bytes(32))):
            await bench.refused(
                claim(lock_id, wrong), bench.recipient, RejectionReason.WRONG_PREIMAGE
            )
        assert (await bench.adapter.lookup(lock_id)).state is LockState.OPEN
        await bench.moved(before)


async def test_a_lock_that_is_not_there_is_neither_claimed_nor_refunded(harness: Harness) -> None:
    async with bench_on(harness) as bench:
        preimage = new_preimage()
        before = await bench.holdings(bench.asset)
        for absent in (
            bench.adapter.lock_id(await bench.terms(preimage)),
            LockId(bytes(32)),
            LockId(b"\xff" * 32),
        ):
            await bench.refused(
                claim(absent, preimage), bench.recipient, RejectionReason.LOCK_ABSENT
            )
            await bench.refused(Refund(absent), bench.sender, RejectionReason.LOCK_ABSENT)
        await bench.moved(before)


async def test_the_same_lock_again_is_refused_while_it_is_open(harness: Harness) -> None:
    async with bench_on(harness) as bench:
        terms = await bench.terms(new_preimage())
        await bench.locked(terms)
        before = await bench.holdings(bench.asset)
        await bench.refused(Lock(terms), bench.sender, RejectionReason.LOCK_EXISTS)
        await bench.moved(before)


async def test_more_than_the_balance_is_refused(harness: Harness) -> None:
    async with bench_on(harness) as bench:
        for asset in harness.assets:
            before = await bench.holdings(asset)
            held = before.amounts[bench.sender.account]
            for amount in (held + 1, MAX_AMOUNT):
                terms = await bench.terms(new_preimage(), asset=asset, amount=amount)
                await bench.refused(Lock(terms), bench.sender, RejectionReason.INSUFFICIENT_BALANCE)
            await bench.moved(before)


async def test_a_deadline_that_is_not_in_the_future_is_refused(harness: Harness) -> None:
    async with bench_on(harness) as bench:
        head = await bench.adapter.head()
        before = await bench.holdings(bench.asset)
        # A chain may judge by its next block's time or by its nodes' clocks, so "now" is given
        # with the clock's bound subtracted.
        for deadline in (1, head.time - bench.profile.bounds.clock):
            terms = await bench.terms(new_preimage(), deadline=deadline)
            await bench.refused(Lock(terms), bench.sender, RejectionReason.DEADLINE_PASSED)
        await bench.moved(before)


async def test_an_asset_that_is_not_there_is_refused(harness: Harness) -> None:
    async with bench_on(harness) as bench:
        terms = await bench.terms(new_preimage(), asset=harness.absent_asset)
        before = await bench.holdings(bench.asset)
        with pytest.raises((InvalidValue, Rejected)) as caught:
            await bench.submit(Lock(terms), bench.sender)
        if isinstance(caught.value, Rejected):
            assert caught.value.reason is RejectionReason.BAD_TERMS
        await bench.moved(before)


async def test_terms_that_the_model_refuses_are_refused_by_the_chain_too(harness: Harness) -> None:
    """A hashlock that anybody can open, and amounts of nothing, below it and above 2^256 - 1."""
    async with bench_on(harness) as bench:
        good = await bench.terms(new_preimage())
        with pytest.raises(InvalidValue):
            replace(good, hashlock=Hashlock(bytes(32)))
        before = await bench.holdings(bench.asset)
        for forged in (
            _forged(good, hashlock=Hashlock(bytes(32))),
            _forged(good, hashlock=Preimage(bytes(32)).hashlock()),
            _forged(good, amount=0),
            _forged(good, amount=-1),
            _forged(good, amount=MAX_AMOUNT + 1),
        ):
            with pytest.raises((InvalidValue, Rejected)) as caught:
                await bench.submit(Lock(forged), bench.sender)
            if isinstance(caught.value, Rejected):
                assert caught.value.reason is RejectionReason.BAD_TERMS
        await bench.moved(before)
