"""Promises about event streams: order, stages, finality, and resumption from any cursor."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from adapters.conformance.bench import (
    Bench,
    Stream,
    bench_on,
    claim,
    events_of,
    new_preimage,
)
from adapters.conformance.harness import Harness
from adapters.model import (
    Cursor,
    Lock,
    LockClaimed,
    LockId,
    LockOpened,
    LockState,
    Notice,
    Observation,
    Position,
    Stage,
)


@dataclass(frozen=True, slots=True)
class _Told:
    """A stream up to some point: what it said, and the cursor before each notice."""

    notices: list[Notice]
    cursors: list[Cursor]
    earlier: list[Observation]
    """The final events before the first of the notices."""


async def _history(bench: Bench) -> _Told:
    """Five locks, three of them submitted at once, and three claims, all final; and no more of what
    was on the chain before than one lock, by which the stream is known to have got so far."""
    await bench.locked(await bench.terms(new_preimage()))
    start = len(bench.stream.notices) - 1
    preimages = [new_preimage() for _ in range(5)]
    ids: list[LockId] = []
    for index, preimage in enumerate(preimages):
        terms = await bench.terms(preimage, amount=index + 1)
        await bench.submit(Lock(terms), bench.sender)
        ids.append(bench.adapter.lock_id(terms))
        if index >= 2:
            continue
        await bench.stream.observed(ids[-1], LockOpened)
    for lock_id in ids:
        await bench.stream.observed(lock_id, LockOpened)
    for lock_id, preimage in list(zip(ids, preimages, strict=True))[:3]:
        await bench.submit(claim(lock_id, preimage), bench.recipient)
    for lock_id in ids[:3]:
        await bench.stream.observed(lock_id, LockClaimed)
    notices = bench.stream.notices[start:]
    earlier = events_of(bench.stream.notices[: start + 1], Stage.FINAL)
    return _Told(notices[1:], [notice.cursor for notice in notices], earlier)


def _in_chain_order(observations: list[Observation]) -> bool:
    places = [(seen.position.height, seen.position.index) for seen in observations]
    return places == sorted(places) and len(set(places)) == len(places)


async def test_events_come_in_the_chains_order(harness: Harness) -> None:
    async with bench_on(harness) as bench:
        told = await _history(bench)
        finals = events_of(told.notices, Stage.FINAL)
        assert len(finals) >= 8
        assert _in_chain_order(finals)
        assert all(seen.chain == bench.profile.chain for seen in finals)


async def test_stages_follow_each_other_and_final_comes_once(harness: Harness) -> None:
    """Within one stream: nothing after FINAL, nothing but a retraction between two PENDINGs."""
    async with bench_on(harness) as bench:
        told = await _history(bench)
        stages: dict[Position, list[Stage]] = {}
        for notice in told.notices:
            for seen in notice.observations:
                stages.setdefault(seen.position, []).append(seen.stage)
        for position, seen_stages in stages.items():
            assert seen_stages.count(Stage.FINAL) <= 1, position
            if Stage.FINAL in seen_stages:
                assert seen_stages[-1] is Stage.FINAL, position
            for earlier, later in pairwise(seen_stages):
                assert (earlier, later) in {
                    (Stage.PENDING, Stage.FINAL),
                    (Stage.PENDING, Stage.RETRACTED),
                    (Stage.RETRACTED, Stage.PENDING),
                    (Stage.RETRACTED, Stage.FINAL),
                }, position


async def test_a_notice_says_final_only_of_what_its_head_holds_final(harness: Harness) -> None:
    async with bench_on(harness) as bench:
        told = await _history(bench)
        final = [(seen.event, seen.position) for seen in events_of(told.notices, Stage.FINAL)]
        for notice in told.notices:
            assert notice.violation is None
            for seen in notice.observations:
                assert seen.position.height <= notice.head.height
                if seen.stage is Stage.FINAL:
                    assert seen.position.height <= notice.head.final_height
                # An end in a final block is pending while the asset is still owed; it is told as
                # final from the block in which the asset was collected.
                owed = not isinstance(seen.event, LockOpened) and (
                    (seen.event, seen.position) not in final
                )
                if seen.stage is Stage.PENDING and not owed:
                    assert seen.position.height > notice.head.final_height


async def test_resuming_from_any_cursor_loses_nothing(harness: Harness) -> None:
    """From each cursor come all the final events that the stream told after it, in order. Beyond
    those only what stood in the very block of the last one told may come once more."""
    async with bench_on(harness) as bench:
        told = await _history(bench)
        everything = events_of(told.notices, Stage.FINAL)
        last = everything[-1].position
        for index, cursor in enumerate(told.cursors[:-1]):
            before = told.earlier + events_of(told.notices[:index], Stage.FINAL)
            remaining = events_of(told.notices[index:], Stage.FINAL)
            if not remaining:
                continue
            stream = Stream(bench.adapter, cursor, bench.patience)
            try:
                await stream.until(
                    lambda notice: any(
                        seen.stage is Stage.FINAL and seen.position == last
                        for seen in notice.observations
                    ),
                    "the last final event again",
                )
            finally:
                await stream.close()
            resumed = events_of(stream.notices, Stage.FINAL)
            assert _in_chain_order(resumed)
            repeated = [seen for seen in resumed if seen not in remaining]
            assert [seen for seen in resumed if seen in remaining] == remaining
            newest = before[-1].position.height
            for seen in repeated:
                assert seen in before, f"resuming has made up {seen}"
                assert seen.position.height == newest, f"resuming went further back than {newest}"


async def test_resuming_at_the_end_goes_on_with_what_is_new(harness: Harness) -> None:
    async with bench_on(harness) as bench:
        first = await bench.locked(await bench.terms(new_preimage()))
        cursor = bench.stream.cursor
        terms = await bench.terms(new_preimage())
        second = bench.adapter.lock_id(terms)
        await bench.submit(Lock(terms), bench.sender)
        stream = Stream(bench.adapter, cursor, bench.patience)
        try:
            await stream.observed(second, LockOpened)
        finally:
            await stream.close()
        ids = [seen.event.lock_id for seen in events_of(stream.notices, Stage.FINAL)]
        assert ids.count(second) == 1
        assert set(ids) <= {first, second}


async def test_a_cursor_outlives_its_adapter(harness: Harness) -> None:
    async with bench_on(harness) as bench:
        cursor = bench.stream.cursor
        lock_id = await bench.locked(await bench.terms(new_preimage()))
    async with harness.open() as adapter:
        stream = Stream(adapter, cursor, bench.patience)
        try:
            await stream.observed(lock_id, LockOpened)
        finally:
            await stream.close()


async def test_lookup_is_no_surer_than_the_head(harness: Harness) -> None:
    """A record is final only if its event is in a final block, and then it is."""
    async with bench_on(harness) as bench:
        terms = await bench.terms(new_preimage())
        lock_id = bench.adapter.lock_id(terms)
        await bench.submit(Lock(terms), bench.sender)
        seen = await bench.stream.observed(lock_id, LockOpened, Stage.PENDING, Stage.FINAL)
        record = await bench.adapter.lookup(lock_id)
        head = await bench.adapter.head()
        assert record.state is LockState.OPEN
        if record.final:
            assert seen.position.height <= head.final_height
        await bench.stream.observed(lock_id, LockOpened)
        assert (await bench.adapter.lookup(lock_id)).final
