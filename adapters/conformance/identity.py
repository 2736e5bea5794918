"""Promises about who and what: profiles, heads, lock ids, identifiers of other chains."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from adapters.conformance.bench import bench_on, new_preimage
from adapters.conformance.harness import Harness
from adapters.model import (
    AccountId,
    AssetId,
    Capability,
    ChainId,
    InvalidValue,
    Lock,
    LockOpened,
    LockTerms,
)
from adapters.spi import Credential, Rejected, RejectionReason

ELSEWHERE = ChainId("other", "elsewhere")


async def test_profile_is_sound(harness: Harness) -> None:
    async with bench_on(harness) as bench:
        profile = bench.profile
        assert Capability.HASH_LOCK in profile.capabilities
        assert profile.name
        assert profile.contract
        assert profile.stale_after >= 1
        assert profile.fee_asset is None or profile.fee_asset.chain == profile.chain
        accounts = [credential.account for credential in harness.credentials]
        assert len(set(accounts)) == len(accounts) >= 3
        assert all(account.chain == profile.chain for account in accounts)
        assert harness.assets
        assert all(asset.chain == profile.chain for asset in harness.assets)


async def test_heads_only_move_forward(harness: Harness) -> None:
    async with bench_on(harness) as bench:
        await bench.locked(await bench.terms(new_preimage()))
        heads = [notice.head for notice in bench.stream.notices]
        for head in heads:
            assert head.chain == bench.profile.chain
            assert 0 <= head.final_height <= head.height
            assert head.hash
        for earlier, later in pairwise(heads):
            assert later.height >= earlier.height
            assert later.time >= earlier.time
            assert later.final_height >= earlier.final_height
        newest = await bench.adapter.head()
        assert newest.height >= heads[-1].height
        assert newest.final_height >= heads[-1].final_height


async def test_two_adapters_on_one_ledger_agree(harness: Harness) -> None:
    async with bench_on(harness) as one, bench_on(harness) as other:
        assert one.profile == other.profile
        terms = await one.terms(new_preimage())
        assert one.adapter.lock_id(terms) == other.adapter.lock_id(terms)
        lock_id = await one.locked(terms)
        seen = await one.stream.observed(lock_id, LockOpened)
        assert await other.stream.observed(lock_id, LockOpened) == seen
        assert (await other.adapter.lookup(lock_id)).terms == terms


async def test_lock_id_is_pure_and_depends_on_every_term(harness: Harness) -> None:
    async with bench_on(harness) as bench:
        terms = await bench.terms(new_preimage())
        lock_id = bench.adapter.lock_id(terms)
        assert len(lock_id) == 32
        assert bench.adapter.lock_id(replace(terms)) == lock_id
        others = [
            replace(terms, sender=bench.stranger.account),
            replace(terms, recipient=bench.stranger.account),
            replace(terms, sender=terms.recipient, recipient=terms.sender),
            replace(terms, amount=terms.amount + 1),
            replace(terms, hashlock=new_preimage().hashlock()),
            replace(terms, deadline=terms.deadline + 1),
            *(replace(terms, asset=asset) for asset in harness.assets[1:]),
        ]
        ids = {bench.adapter.lock_id(other) for other in others}
        assert len(ids) == len(others)
        assert lock_id not in ids


async def test_the_chain_gives_the_lock_id_that_was_computed(harness: Harness) -> None:
    async with bench_on(harness) as bench:
        for asset in harness.assets:
            terms = await bench.terms(new_preimage(), asset=asset)
            lock_id = await bench.locked(terms)
            opened = await bench.stream.observed(lock_id, LockOpened)
            assert opened.chain == bench.profile.chain
            assert opened.event == LockOpened(lock_id, terms)


async def test_identifiers_of_other_chains_are_refused(harness: Harness) -> None:
    async with bench_on(harness) as bench:
        account = AccountId(ELSEWHERE, bench.sender.account.address)
        asset = AssetId(ELSEWHERE, bench.asset.namespace, bench.asset.reference)
        with pytest.raises(InvalidValue):
            await bench.adapter.balance(account, bench.asset)
        with pytest.raises(InvalidValue):
            await bench.adapter.balance(bench.sender.account, asset)
        with pytest.raises(InvalidValue):
            await bench.adapter.asset(asset)
        with pytest.raises(InvalidValue):
            await bench.adapter.asset(harness.absent_asset)
        here = await bench.terms(new_preimage())
        terms = LockTerms(
            ELSEWHERE,
            here.contract,
            account,
            AccountId(ELSEWHERE, here.recipient.address),
            asset,
            here.amount,
            here.hashlock,
            here.deadline,
        )
        with pytest.raises(InvalidValue):
            bench.adapter.lock_id(terms)
        before = await bench.holdings(bench.asset)
        with pytest.raises((InvalidValue, Rejected)):
            await bench.adapter.submit(Lock(terms), bench.sender)
        with pytest.raises((InvalidValue, Rejected)):
            await bench.adapter.submit(
                Lock(here), Credential(account, bench.sender.signer, bench.sender.certificate)
            )
        await bench.moved(before)


async def test_only_the_sender_locks_what_the_sender_holds(harness: Harness) -> None:
    async with bench_on(harness) as bench:
        terms = await bench.terms(new_preimage())
        before = await bench.holdings(bench.asset)
        await bench.refused(Lock(terms), bench.stranger, RejectionReason.NOT_AUTHORISED)
        await bench.moved(before)
