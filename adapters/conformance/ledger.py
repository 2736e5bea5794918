"""Promises about reading the ledger, about objections, and about what doctor is told."""

from __future__ import annotations

import pytest

from adapters.conformance.bench import bench_on, needs, new_preimage
from adapters.conformance.harness import Harness
from adapters.model import Capability, InvalidValue, LockOpened


async def test_diagnose_finds_all_well(harness: Harness) -> None:
    async with bench_on(harness) as bench:
        for credential in (None, bench.sender):
            findings = await bench.adapter.diagnose(credential)
            assert findings
            assert [finding for finding in findings if not finding.ok] == []
            assert all(finding.check and finding.seen for finding in findings)


async def test_assets_are_described(harness: Harness) -> None:
    async with bench_on(harness) as bench:
        for asset_id in harness.assets:
            asset = await bench.adapter.asset(asset_id)
            assert asset.id == asset_id
            assert asset.symbol
            assert 0 <= asset.decimals <= 255
        known = await bench.adapter.assets()
        assert len({asset.id for asset in known}) == len(known)
        for asset in known:
            assert await bench.adapter.asset(asset.id) == asset


async def test_balances_of_the_parties(harness: Harness) -> None:
    async with bench_on(harness) as bench:
        for asset in harness.assets:
            for credential in harness.credentials[:3]:
                assert await bench.adapter.balance(credential.account, asset) >= 1000


async def test_good_terms_meet_no_objection(harness: Harness) -> None:
    async with bench_on(harness) as bench:
        for asset in harness.assets:
            terms = await bench.terms(new_preimage(), asset=asset)
            assert list(await bench.adapter.objections(terms)) == []


async def test_an_absent_asset_meets_an_objection(harness: Harness) -> None:
    async with bench_on(harness) as bench:
        terms = await bench.terms(new_preimage(), asset=harness.absent_asset)
        objections = await bench.adapter.objections(terms)
        assert objections
        assert all(objections)


async def test_ledger_reads_agree_with_events(harness: Harness) -> None:
    """The block at an event's position has its hash and holds its transaction."""
    async with bench_on(harness) as bench:
        needs(bench, Capability.LEDGER_READS)
        lock_id = await bench.locked(await bench.terms(new_preimage()))
        place = (await bench.stream.observed(lock_id, LockOpened)).position
        block = await bench.adapter.block(place.height)
        assert block.header.chain == bench.profile.chain
        assert block.header.height == place.height
        assert block.header.hash == place.block_hash
        assert place.transaction in block.transactions
        assert await bench.adapter.header(place.height) == block.header
        transaction = await bench.adapter.transaction(place.transaction)
        assert transaction.id == place.transaction
        assert transaction.height == place.height
        assert transaction.block_hash == place.block_hash
        assert block.transactions[transaction.index] == transaction.id
        assert transaction.succeeded
        assert transaction.status
        assert transaction.fee >= 0
        assert transaction.raw


async def test_headers_are_linked_by_their_hashes(harness: Harness) -> None:
    async with bench_on(harness) as bench:
        needs(bench, Capability.LEDGER_READS)
        head = await bench.adapter.head()
        while head.final_height < 4:
            # A chain may make no empty blocks, so this does not just wait.
            await bench.locked(await bench.terms(new_preimage(), amount=1))
            head = await bench.adapter.head()
        assert (await bench.adapter.header()).height >= head.height
        above = await bench.adapter.header(head.final_height)
        for _ in range(3):
            below = await bench.adapter.header(above.height - 1)
            assert below.height == above.height - 1
            assert above.parent_hash == below.hash
            assert above.time >= below.time
            above = below


async def test_what_is_not_on_the_ledger_is_an_invalid_value(harness: Harness) -> None:
    async with bench_on(harness) as bench:
        needs(bench, Capability.LEDGER_READS)
        known = await bench.locked(await bench.terms(new_preimage()))
        place = (await bench.stream.observed(known, LockOpened)).position
        for height in (-1, 10**12):
            with pytest.raises(InvalidValue):
                await bench.adapter.header(height)
            with pytest.raises(InvalidValue):
                await bench.adapter.block(height)
        # The same form as a true id, so that it is the absence that is noticed.
        absent = "".join("0" if digit != "x" else "x" for digit in place.transaction)
        for transaction in (absent, "", "no such transaction"):
            with pytest.raises(InvalidValue):
                await bench.adapter.transaction(transaction)
