"""Promises about locks that end well: exact balances, anyone may settle, one end, once."""

from __future__ import annotations

from adapters.conformance.bench import Bench, bench_on, claim, new_preimage
from adapters.conformance.harness import Harness
from adapters.model import (
    Collect,
    Lock,
    LockClaimed,
    LockId,
    LockOpened,
    LockRefunded,
    LockState,
    Preimage,
    Refund,
    Stage,
)
from adapters.spi import RejectionReason


async def test_a_lock_that_never_was_is_absent(harness: Harness) -> None:
    async with bench_on(harness) as bench:
        lock_id = bench.adapter.lock_id(await bench.terms(new_preimage()))
        record = await bench.adapter.lookup(lock_id)
        assert record.state is LockState.ABSENT
        assert record.lock_id == lock_id
        assert record.terms is None
        assert record.preimage is None


async def test_a_claim_pays_the_recipient_in_every_asset(harness: Harness) -> None:
    async with bench_on(harness) as bench:
        for asset in harness.assets:
            preimage = new_preimage()
            terms = await bench.terms(preimage, asset=asset, amount=11)
            before = await bench.holdings(asset)
            lock_id = await bench.locked(terms)
            await bench.moved(before, sender=-11)
            record = await bench.adapter.lookup(lock_id)
            assert (record.state, record.final) == (LockState.OPEN, True)
            assert record.terms == terms
            assert record.preimage is None
            await bench.submit(claim(lock_id, preimage), bench.recipient)
            seen = await bench.settled(lock_id, LockClaimed)
            assert seen.event == LockClaimed(lock_id, terms.hashlock, preimage)
            record = await bench.adapter.lookup(lock_id)
            assert (record.state, record.final) == (LockState.CLAIMED, True)
            assert record.preimage == preimage
            await bench.moved(before, sender=-11, recipient=11)


async def test_a_claim_by_a_stranger_pays_the_recipient(harness: Harness) -> None:
    async with bench_on(harness) as bench:
        preimage = new_preimage()
        before = await bench.holdings(bench.asset)
        lock_id = await bench.locked(await bench.terms(preimage))
        await bench.submit(claim(lock_id, preimage), bench.stranger)
        await bench.stream.observed(lock_id, LockClaimed)
        await bench.moved(before, sender=-7, recipient=7)


async def test_after_the_deadline_a_lock_is_refunded_and_not_claimed(harness: Harness) -> None:
    """In every asset: no claim from the deadline on, a stranger's refund pays the sender, and then
    nothing more happens to this lock."""
    async with bench_on(harness) as bench:
        deadline = await bench.soon()
        locks = {}
        for asset in harness.assets:
            preimage = new_preimage()
            terms = await bench.terms(preimage, asset=asset, deadline=deadline, amount=13)
            await bench.submit(Lock(terms), bench.sender)
            locks[asset] = (bench.adapter.lock_id(terms), terms, preimage)
        for lock_id, _, _ in locks.values():
            await bench.stream.observed(lock_id, LockOpened)
        await bench.pass_time(deadline)
        for asset, (lock_id, terms, preimage) in locks.items():
            before = await bench.holdings(asset)
            await bench.refused(
                claim(lock_id, preimage), bench.recipient, RejectionReason.DEADLINE_PASSED
            )
            await bench.submit(Refund(lock_id), bench.stranger)
            seen = await bench.settled(lock_id, LockRefunded)
            assert seen.event == LockRefunded(lock_id, terms.hashlock)
            await bench.moved(before, sender=13)
            record = await bench.adapter.lookup(lock_id)
            assert (record.state, record.final) == (LockState.REFUNDED, True)
            assert record.preimage is None
            settled = await bench.holdings(asset)
            for credential in (bench.sender, bench.stranger):
                await bench.refused(Refund(lock_id), credential, RejectionReason.LOCK_SETTLED)
                await bench.refused(Collect(lock_id), credential, RejectionReason.LOCK_SETTLED)
            await bench.refused(
                claim(lock_id, preimage), bench.recipient, RejectionReason.LOCK_SETTLED
            )
            await bench.refused(
                Lock(terms),
                bench.sender,
                RejectionReason.LOCK_EXISTS,
                RejectionReason.DEADLINE_PASSED,
            )
            await bench.moved(settled)


async def test_before_the_deadline_there_is_no_refund(harness: Harness) -> None:
    async with bench_on(harness) as bench:
        lock_id = await bench.locked(await bench.terms(new_preimage()))
        before = await bench.holdings(bench.asset)
        for credential in (bench.sender, bench.recipient, bench.stranger):
            await bench.refused(Refund(lock_id), credential, RejectionReason.DEADLINE_NOT_REACHED)
        await bench.moved(before)
        assert (await bench.adapter.lookup(lock_id)).state is LockState.OPEN


async def test_a_claimed_lock_is_a_tombstone(harness: Harness) -> None:
    """Not claimed again, not refunded even after the deadline, and never locked again."""
    async with bench_on(harness) as bench:
        preimage = new_preimage()
        lasting = await bench.terms(preimage)
        bounds = bench.profile.bounds
        await bench.submit(Lock(lasting), bench.sender)
        await _claimed(bench, bench.adapter.lock_id(lasting), preimage)
        # Last, so that nothing else takes of the time that its claim has.
        deadline = await bench.soon(also=bounds.inclusion + bounds.clock)
        short = await bench.terms(preimage, deadline=deadline)
        await bench.submit(Lock(short), bench.sender)
        ids = [bench.adapter.lock_id(terms) for terms in (short, lasting)]
        await _claimed(bench, ids[0], preimage)
        before = await bench.holdings(bench.asset)
        await bench.refused(Lock(lasting), bench.sender, RejectionReason.LOCK_EXISTS)
        await bench.pass_time(short.deadline)
        for lock_id in ids:
            await bench.refused(
                claim(lock_id, preimage), bench.recipient, RejectionReason.LOCK_SETTLED
            )
        await bench.refused(Refund(ids[0]), bench.sender, RejectionReason.LOCK_SETTLED)
        await bench.refused(
            Refund(ids[1]),
            bench.sender,
            RejectionReason.LOCK_SETTLED,
            RejectionReason.DEADLINE_NOT_REACHED,
        )
        await bench.refused(
            Lock(short), bench.sender, RejectionReason.LOCK_EXISTS, RejectionReason.DEADLINE_PASSED
        )
        await bench.moved(before)


async def _claimed(bench: Bench, lock_id: LockId, preimage: Preimage) -> None:
    # Pending is enough: with a short deadline there is no time to wait until the lock is final.
    await bench.stream.observed(lock_id, LockOpened, Stage.PENDING, Stage.FINAL)
    await bench.submit(claim(lock_id, preimage), bench.recipient)
    await bench.stream.observed(lock_id, LockClaimed)


async def test_two_locks_under_one_hashlock_are_two_locks(harness: Harness) -> None:
    async with bench_on(harness) as bench:
        preimage = new_preimage()
        first = await bench.terms(preimage, amount=5)
        second = await bench.terms(preimage, amount=6)
        before = await bench.holdings(bench.asset)
        ids = [await bench.locked(terms) for terms in (first, second)]
        await _claimed(bench, ids[1], preimage)
        assert (await bench.adapter.lookup(ids[0])).state is LockState.OPEN
        await bench.moved(before, sender=-11, recipient=6)
