"""What is seen against a claim before it is begun, on the embedded node."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from adapters.model import Claim, Lock, LockId, LockState, Refund
from adapters.native.plugin import plugin
from adapters.spi import Adapter, Credential, Scheme, Unavailable
from tests.adapters.native.bench import at, final, fresh, opened, terms_on
from tests.adapters.native.chain_fixture import ALICE, BOB, Key
from tests.adapters.native.faulty_node import DROP, FaultyNode, honest
from tests.adapters.native.network import Network


async def test_where_nothing_is_seen_the_claim_is_taken(adapter: Adapter, network: Network) -> None:
    preimage, bob = fresh(), network.credential(BOB)
    lock_id = await opened(adapter, network, preimage)
    assert list(await adapter.claim_obstacles(lock_id, bob)) == []
    await adapter.submit(Claim(lock_id, preimage), bob)
    await final(adapter, lock_id, LockState.CLAIMED)
    (said,) = await adapter.claim_obstacles(lock_id, bob)
    assert "was claimed before" in said


async def test_a_lock_that_is_not_there_or_past_its_deadline(
    adapter: Adapter, network: Network
) -> None:
    bob = network.credential(BOB)
    (said,) = await adapter.claim_obstacles(LockId(b"\x07" * 32), bob)
    assert "there is no lock 0707" in said
    terms = await terms_on(adapter, network, fresh())
    terms = replace(terms, deadline=(await adapter.head()).time + 3)
    await adapter.submit(Lock(terms), network.credential(ALICE))
    lock_id = await final(adapter, adapter.lock_id(terms), LockState.OPEN)
    async with asyncio.timeout(60), aclosing(adapter.events(at(await adapter.head()))) as stream:
        async for notice in stream:
            if notice.head.time >= terms.deadline:
                break
    (said,) = await adapter.claim_obstacles(lock_id, bob)
    assert f"the deadline {terms.deadline}" in said
    await adapter.submit(Refund(lock_id), bob)
    await final(adapter, lock_id, LockState.REFUNDED)
    (said,) = await adapter.claim_obstacles(lock_id, bob)
    assert "was refunded before" in said


async def test_an_account_or_a_key_that_could_not_claim(adapter: Adapter, network: Network) -> None:
    class Curve(Key):
        @property
        def scheme(self) -> Scheme:
            return Scheme.P256

    lock_id = await opened(adapter, network, fresh())
    bob = network.credential(BOB)
    for who, sentence in (
        (plugin.credential(network.settings(account=None), Key("dave")), "is not an account"),
        (Credential(bob.account, ALICE), "another key"),
        (Credential(bob.account, Curve("bob")), "must be secp256k1"),
    ):
        (said,) = await adapter.claim_obstacles(lock_id, who)
        assert sentence in said


@pytest.mark.parametrize("fault", [DROP, b"noise", (429, b"slow down")])
async def test_a_node_that_is_gone_or_refuses_is_never_silence(
    adapter: Adapter, faulty: FaultyNode, network: Network, fault: Any
) -> None:
    lock_id = await opened(adapter, network, fresh())
    faulty.twist = lambda method, answer: fault if method == "abci_query" else answer
    with pytest.raises(Unavailable):
        await adapter.claim_obstacles(lock_id, network.credential(BOB))
    faulty.twist = honest
    assert list(await adapter.claim_obstacles(lock_id, network.credential(BOB))) == []
