"""What the driver refuses before anything is sent."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from adapters.model import (
    Claim,
    Lock,
    LockState,
    LockTerms,
    Refund,
    Withdraw,
)
from adapters.native.plugin import plugin
from adapters.spi import (
    Adapter,
    Credential,
    Misconfigured,
    NotSent,
    Rejected,
    RejectionReason,
    Scheme,
    SigningFailed,
)
from tests.adapters.native.bench import at, final, fresh, opened, terms_on
from tests.adapters.native.chain_fixture import ALICE, BOB, Key
from tests.adapters.native.faulty_node import FaultyNode
from tests.adapters.native.network import Network


async def test_a_claim_that_would_be_refused_keeps_its_preimage(
    adapter: Adapter, faulty: FaultyNode, network: Network
) -> None:
    good, wrong = fresh(), fresh()
    lock_id = await opened(adapter, network, good)
    bob = network.credential(BOB)
    for claim, reason in (
        (Claim(lock_id, wrong), RejectionReason.WRONG_PREIMAGE),
        (Claim(type(lock_id)(bytes(32)), wrong), RejectionReason.LOCK_ABSENT),
    ):
        with pytest.raises(Rejected) as caught:
            await adapter.submit(claim, bob)
        assert caught.value.reason is reason
        assert wrong.value.hex() not in str(caught.value)
    await adapter.submit(Claim(lock_id, good), bob)
    await final(adapter, lock_id, LockState.CLAIMED)
    broadcasts = faulty.calls.count("broadcast_tx_sync")
    with pytest.raises(Rejected) as caught:
        await adapter.submit(Claim(lock_id, good), bob)
    assert caught.value.reason is RejectionReason.LOCK_SETTLED
    assert faulty.calls.count("broadcast_tx_sync") == broadcasts


async def test_a_claim_after_the_deadline_keeps_its_preimage(
    adapter: Adapter, faulty: FaultyNode, network: Network
) -> None:
    preimage = fresh()
    terms = await terms_on(adapter, network, preimage)
    terms = LockTerms(
        **{f: getattr(terms, f) for f in LockTerms.__slots__ if f != "deadline"},
        deadline=(await adapter.head()).time + 2,
    )
    await adapter.submit(Lock(terms), network.credential(ALICE))
    lock_id = await final(adapter, adapter.lock_id(terms), LockState.OPEN)
    head = await adapter.head()
    async with asyncio.timeout(20), aclosing(adapter.events(at(head))) as stream:
        async for notice in stream:
            if notice.head.time >= terms.deadline:
                break
    broadcasts = faulty.calls.count("broadcast_tx_sync")
    with pytest.raises(Rejected) as caught:
        await adapter.submit(Claim(lock_id, preimage), network.credential(BOB))
    assert caught.value.reason is RejectionReason.DEADLINE_PASSED
    assert faulty.calls.count("broadcast_tx_sync") == broadcasts
    await adapter.submit(Refund(lock_id), network.credential(BOB))
    await final(adapter, lock_id, LockState.REFUNDED)


async def test_other_refusals(adapter: Adapter, network: Network) -> None:
    terms = await terms_on(adapter, network, fresh())
    alice, bob = network.credential(ALICE), network.credential(BOB)
    with pytest.raises(Rejected) as caught:
        await adapter.submit(Lock(terms), bob)
    assert caught.value.reason is RejectionReason.NOT_AUTHORISED
    with pytest.raises(Rejected) as caught:
        await adapter.submit(Lock(terms), Credential(alice.account, BOB))
    assert caught.value.reason is RejectionReason.NOT_AUTHORISED
    with pytest.raises(Rejected):
        await adapter.submit(Withdraw(terms.asset), alice)
    dave = Key("dave")
    stranger = plugin.credential(network.settings(account=None), dave)
    with pytest.raises(Rejected, match="not on the chain"):
        await adapter.submit(Refund(adapter.lock_id(terms)), stranger)
    nobody = LockTerms(
        **{f: getattr(terms, f) for f in LockTerms.__slots__ if f != "recipient"},
        recipient=stranger.account,
    )
    assert any("recipient" in objection for objection in await adapter.objections(nobody))
    assert not await adapter.objections(terms)


async def test_a_key_that_cannot_be_used(adapter: Adapter, network: Network) -> None:
    class Broken(Key):
        async def sign(self, digest: bytes) -> bytes:
            raise SigningFailed("the vault is sealed")

    class Curve(Key):
        @property
        def scheme(self) -> Scheme:
            return Scheme.P256

    terms = await terms_on(adapter, network, fresh())
    account = network.credential(ALICE).account
    with pytest.raises(NotSent, match="sealed"):
        await adapter.submit(Lock(terms), Credential(account, Broken("alice")))
    with pytest.raises(Misconfigured, match="secp256k1"):
        await adapter.submit(Lock(terms), Credential(account, Curve("alice")))
    with pytest.raises(Misconfigured, match="secp256k1"):
        plugin.credential(network.settings(), Curve("alice"))
