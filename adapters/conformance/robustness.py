"""Promises about rough use: parallel calls, cancelled calls, restarted nodes, reorgs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from adapters.conformance.bench import (
    Bench,
    Stream,
    bench_on,
    claim,
    events_of,
    new_preimage,
    settled,
)
from adapters.conformance.harness import Harness
from adapters.model import (
    Capability,
    Claim,
    Lock,
    LockClaimed,
    LockOpened,
    LockState,
    Stage,
)
from adapters.spi import Rejected, RejectionReason, Unavailable

# So many turns of the event loop a call is given before it is cancelled: at once, while it makes
# its request, while it waits for the answer.
_TURNS = (0, 1, 3, 10, 30)


async def test_twenty_locks_at_once_from_one_account(harness: Harness) -> None:
    async with bench_on(harness) as bench:
        before = await bench.holdings(bench.asset)
        all_terms = [await bench.terms(new_preimage(), amount=n) for n in range(1, 21)]
        async with asyncio.TaskGroup() as group:
            for terms in all_terms:
                group.create_task(bench.submit(Lock(terms), bench.sender))
        for terms in all_terms:
            await bench.stream.observed(bench.adapter.lock_id(terms), LockOpened)
        finals = events_of(bench.stream.notices, Stage.FINAL)
        for terms in all_terms:
            lock_id = bench.adapter.lock_id(terms)
            assert [seen.event for seen in finals if seen.event.lock_id == lock_id] == [
                LockOpened(lock_id, terms)
            ]
        await bench.moved(before, sender=-sum(range(1, 21)))


async def test_so_many_claims_go_out_at_once_as_the_profile_says(harness: Harness) -> None:
    async with bench_on(harness) as bench:
        number = min(bench.profile.at_once, 20)
        preimages = [new_preimage() for _ in range(number)]
        locks = [await bench.locked(await bench.terms(preimage)) for preimage in preimages]
        await asyncio.gather(
            *(
                bench.submit(Claim(lock_id, preimage), bench.recipient)
                for lock_id, preimage in zip(locks, preimages, strict=True)
            )
        )
        for lock_id in locks:
            await bench.stream.observed(lock_id, LockClaimed, Stage.FINAL)


async def test_two_parties_settle_at_once_and_one_lock_is_settled_once(harness: Harness) -> None:
    async with bench_on(harness) as bench:
        preimage = new_preimage()
        before = await bench.holdings(bench.asset)
        lock_id = await bench.locked(await bench.terms(preimage))

        async def attempt(credential: Any) -> None:
            with suppress(Rejected):
                await bench.submit(claim(lock_id, preimage), credential)

        await asyncio.gather(attempt(bench.recipient), attempt(bench.stranger))
        await bench.stream.observed(lock_id, LockClaimed)
        later = await bench.locked(await bench.terms(new_preimage(), amount=3))
        assert (await bench.adapter.lookup(later)).state is LockState.OPEN
        claims = [
            seen
            for seen in events_of(bench.stream.notices, Stage.FINAL)
            if seen.event.lock_id == lock_id and isinstance(seen.event, LockClaimed)
        ]
        assert len(claims) == 1
        await bench.moved(before, sender=-10, recipient=7)


async def _cancelled(
    bench: Bench, call: Callable[[], Coroutine[Any, Any, Any]], turns: int
) -> None:
    task = asyncio.ensure_future(call())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await settled(task, bench.patience)


async def test_a_cancelled_reading_call_leaves_the_adapter_usable(harness: Harness) -> None:
    async with bench_on(harness) as bench:
        adapter = bench.adapter
        terms = await bench.terms(new_preimage())
        lock_id = await bench.locked(terms)
        calls: list[Callable[[], Coroutine[Any, Any, Any]]] = [
            adapter.head,
            lambda: adapter.lookup(lock_id),
            lambda: adapter.balance(bench.sender.account, bench.asset),
            lambda: adapter.asset(bench.asset),
            adapter.assets,
            lambda: adapter.objections(terms),
            lambda: adapter.diagnose(bench.sender),
        ]
        if Capability.LEDGER_READS in bench.profile.capabilities:
            place = (await bench.stream.observed(lock_id, LockOpened)).position
            calls += [
                lambda: adapter.header(place.height),
                lambda: adapter.block(place.height),
                lambda: adapter.transaction(place.transaction),
            ]
        for call in calls:
            for turns in _TURNS:
                await _cancelled(bench, call, turns)
            await asyncio.wait_for(call(), bench.patience)
        assert (await adapter.lookup(lock_id)).state is LockState.OPEN


async def test_a_cancelled_stream_leaves_the_adapter_usable(harness: Harness) -> None:
    async with bench_on(harness) as bench:
        for cursor in (None, bench.stream.cursor):
            for turns in _TURNS:
                stream = Stream(bench.adapter, cursor, bench.patience)
                await _cancelled(bench, partial(stream.until, lambda notice: False, ""), turns)
                await stream.close()
        stream = Stream(bench.adapter, bench.stream.cursor, bench.patience)
        lock_id = await bench.locked(await bench.terms(new_preimage()))
        await stream.observed(lock_id, LockOpened)
        await stream.close()


async def test_a_cancelled_submission_took_effect_once_or_not_at_all(harness: Harness) -> None:
    """And whatever became of it, the account goes on: no gap is left that holds up what follows."""
    async with bench_on(harness) as bench:
        before = await bench.holdings(bench.asset)
        all_terms = []
        for turns in _TURNS:
            terms = await bench.terms(new_preimage(), amount=2)
            all_terms.append(terms)
            await _cancelled(
                bench,
                partial(bench.adapter.submit, Lock(terms), bench.sender),
                turns,
            )
        # A later lock that is final: by then what the cancelled calls sent is in as well.
        await bench.locked(await bench.terms(new_preimage(), amount=1))
        for terms in all_terms:
            lock_id = bench.adapter.lock_id(terms)
            if (await bench.adapter.lookup(lock_id)).state is LockState.ABSENT:
                try:
                    await bench.submit(Lock(terms), bench.sender)
                except Rejected as error:
                    # It came in between the question and the second try.
                    if error.reason is not RejectionReason.LOCK_EXISTS:
                        raise
            await bench.stream.observed(lock_id, LockOpened)
        finals = events_of(bench.stream.notices, Stage.FINAL)
        for terms in all_terms:
            lock_id = bench.adapter.lock_id(terms)
            assert len([seen for seen in finals if seen.event.lock_id == lock_id]) == 1
        if bench.profile.fee_asset != bench.asset:
            await bench.moved(before, sender=-(2 * len(all_terms) + 1))


async def test_a_restarted_node_is_taken_up_again(harness: Harness) -> None:
    """A stream goes on or raises Unavailable; resumed, it has lost nothing."""
    if harness.restart is None:
        pytest.skip("restart hook: define restart on the harness to try a node's restart")
    async with bench_on(harness) as bench:
        preimage = new_preimage()
        lock_id = await bench.locked(await bench.terms(preimage))
        stream = Stream(bench.adapter, bench.stream.cursor, bench.patience)
        await stream.until(lambda notice: True, "a first notice")
        cursor = stream.cursor
        reading = asyncio.ensure_future(stream.observed(lock_id, LockClaimed))
        try:
            await harness.restart()
            assert (await bench.adapter.lookup(lock_id)).state is LockState.OPEN
            await bench.submit(claim(lock_id, preimage), bench.recipient)
            async with asyncio.timeout(bench.patience):
                while True:
                    try:
                        await reading
                        break
                    except Unavailable:
                        # The caller's part: resume. The pause keeps this from being a busy loop.
                        await asyncio.sleep(0.1)
                        await stream.close()
                        stream = Stream(bench.adapter, cursor, bench.patience)
                        reading = asyncio.ensure_future(stream.observed(lock_id, LockClaimed))
        finally:
            reading.cancel()
            await asyncio.wait([reading])
            await stream.close()


async def test_a_reorg_retracts_what_was_pending(harness: Harness) -> None:
    """On a chain whose blocks are final at once: no lock is ever opened pending, or retracted."""
    async with bench_on(harness) as bench:
        terms = await bench.terms(new_preimage())
        lock_id = bench.adapter.lock_id(terms)
        await bench.submit(Lock(terms), bench.sender)
        seen = await bench.stream.observed(lock_id, LockOpened, Stage.PENDING, Stage.FINAL)
        if harness.reorg is None and seen.stage is Stage.FINAL:
            told = [one for one in bench.stream.observations if isinstance(one.event, LockOpened)]
            assert {one.stage for one in told} == {Stage.FINAL}
            return
        if harness.reorg is None:
            pytest.skip("reorg hook: define reorg on the harness to try a reorg")
        head = await bench.adapter.head()
        await harness.reorg(head.height - seen.position.height + 1)
        retracted = await bench.stream.observed(lock_id, LockOpened, Stage.RETRACTED)
        assert retracted.position == seen.position
        assert retracted.event == seen.event
        if (await bench.adapter.lookup(lock_id)).state is LockState.ABSENT:
            await bench.submit(Lock(terms), bench.sender)
        final = await bench.stream.observed(lock_id, LockOpened, Stage.FINAL)
        assert final.position.block_hash != seen.position.block_hash
        if Capability.LEDGER_READS in bench.profile.capabilities:
            header = await bench.adapter.header(final.position.height)
            assert header.hash == final.position.block_hash
