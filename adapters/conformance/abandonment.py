"""Promises about locks that are given up: they do not go out late, and hold up nobody."""

from __future__ import annotations

import asyncio

import pytest

from adapters.conformance.bench import Bench, bench_on, claim, new_preimage
from adapters.conformance.harness import Harness
from adapters.model import Lock, LockClaimed, LockOpened, LockState, LockTerms
from adapters.spi import Rejected, RejectionReason


async def _given_up(bench: Bench, terms: LockTerms) -> LockState:
    """Abandons until nothing is left to do; what the chain says of the lock then."""
    async with asyncio.timeout(bench.patience):
        while not await bench.adapter.abandon(terms, bench.sender):
            await bench.stream.until(lambda _notice: True, "another notice")
    return (await bench.adapter.lookup(bench.adapter.lock_id(terms))).state


async def test_an_abandoned_lock_is_in_a_block_or_never_will_be(harness: Harness) -> None:
    """And what its sender submits after it is not held up."""
    async with bench_on(harness) as bench:
        given_up = [await bench.terms(new_preimage(), amount=amount) for amount in (1, 2)]
        for terms in given_up:
            await bench.submit(Lock(terms), bench.sender)
        states = [await _given_up(bench, terms) for terms in given_up]
        assert set(states) <= {LockState.ABSENT, LockState.OPEN}
        await bench.locked(await bench.terms(new_preimage(), amount=1))
        for terms, state in zip(given_up, states, strict=True):
            record = await bench.adapter.lookup(bench.adapter.lock_id(terms))
            assert record.state is state, "an abandoned lock has come in after all"


async def test_abandoning_what_was_never_submitted_changes_nothing(harness: Harness) -> None:
    async with bench_on(harness) as bench:
        terms = await bench.terms(new_preimage())
        for _ in range(2):
            assert await bench.adapter.abandon(terms, bench.sender) is True
        await bench.locked(terms)


async def test_abandoning_a_lock_that_is_there_leaves_it(harness: Harness) -> None:
    """The chain is the authority; and no claim is ever abandoned with a lock."""
    async with bench_on(harness) as bench:
        preimage = new_preimage()
        terms = await bench.terms(preimage)
        lock_id = await bench.locked(terms)
        assert await _given_up(bench, terms) is LockState.OPEN
        await bench.submit(claim(lock_id, preimage), bench.sender)
        await _given_up(bench, terms)
        await bench.stream.observed(lock_id, LockClaimed)


async def test_an_abandoned_lock_that_is_submitted_again_is_wanted_again(harness: Harness) -> None:
    async with bench_on(harness) as bench:
        terms = await bench.terms(new_preimage())
        await bench.submit(Lock(terms), bench.sender)
        await _given_up(bench, terms)
        try:
            await bench.submit(Lock(terms), bench.sender)
        except Rejected as error:
            # It was in a block already.
            if error.reason is not RejectionReason.LOCK_EXISTS:
                raise
        await bench.stream.observed(bench.adapter.lock_id(terms), LockOpened)


async def test_nobody_abandons_another_ones_lock(harness: Harness) -> None:
    async with bench_on(harness) as bench:
        terms = await bench.terms(new_preimage())
        with pytest.raises(Rejected) as caught:
            await bench.adapter.abandon(terms, bench.stranger)
        assert caught.value.reason is RejectionReason.NOT_AUTHORISED
