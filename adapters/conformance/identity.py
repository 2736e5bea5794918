"""Promises about who and what: profiles, heads, lock ids, identifiers of other chains."""

from __future__ import annotations

import re
from contextlib import suppress
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


def _other_spellings(text: str) -> list[str]:
    """Other ways in which people or programs might write it: in other letters, percent-encoded, or
    with what is encoded there in other letters."""
    found = [text.lower(), text.upper(), text.swapcase(), text.capitalize()]
    if text.startswith("0x"):
        digits = text[2:]
        found += [
            f"0x{digits.lower()}",
            f"0x{digits.upper()}",
            f"0X{digits}",
            digits,
            f"0x0{digits}",
        ]
    found += [f"%{ord(text[0]):02X}{text[1:]}", f"{text[:-1]}%{ord(text[-1]):02x}"]
    found += [re.sub("%..", lambda code: code[0].lower(), text), f" {text}", f"{text}.", f"0{text}"]
    return [spelling for spelling in dict.fromkeys(found) if spelling != text]


async def test_two_spellings_have_no_lock_in_common(harness: Harness) -> None:
    """Locks are told apart by their ids. Were one account, asset or contract taken in two
    spellings, terms that differ would be one lock; whoever kept the one and reads the other from
    the chain would not know his own lock again."""
    async with bench_on(harness) as bench:
        terms = await bench.terms(new_preimage())
        chain, asset = bench.profile.chain, bench.asset
        others = [
            *(replace(terms, contract=text) for text in _other_spellings(terms.contract)),
            *(
                replace(terms, sender=AccountId(chain, text))
                for text in _other_spellings(terms.sender.address)
            ),
            *(
                replace(terms, recipient=AccountId(chain, text))
                for text in _other_spellings(terms.recipient.address)
            ),
            *(
                replace(terms, asset=AssetId(chain, each.namespace, text))
                for each in harness.assets
                for text in _other_spellings(each.reference)
            ),
            *(
                replace(terms, asset=AssetId(chain, text, asset.reference))
                for text in _other_spellings(asset.namespace)
            ),
        ]
        ids = {bench.adapter.lock_id(replace(terms, asset=each)) for each in harness.assets}
        before = await bench.holdings(asset)
        for other in others:
            try:
                lock_id = bench.adapter.lock_id(other)
            except InvalidValue:
                # What has no id is objected to, and is not to be had.
                with suppress(InvalidValue):
                    assert await bench.adapter.objections(other), f"nothing against {other}"
                with pytest.raises((InvalidValue, Rejected)):
                    await bench.submit(Lock(other), bench.sender)
            else:
                assert lock_id not in ids, f"the id of other terms: {other}"
                ids.add(lock_id)
        await bench.moved(before)


async def test_an_asset_is_told_of_in_one_spelling(harness: Harness) -> None:
    """In whatever way it was asked for: what a user wrote is brought to it by asking."""
    async with bench_on(harness) as bench:
        terms = await bench.terms(new_preimage())
        for asset in harness.assets:
            assert (await bench.adapter.asset(asset)).id == asset
            for text in _other_spellings(asset.reference):
                try:
                    told = await bench.adapter.asset(AssetId(asset.chain, asset.namespace, text))
                except InvalidValue:
                    continue
                assert (await bench.adapter.asset(told.id)).id == told.id
                bench.adapter.lock_id(replace(terms, asset=told.id))


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
