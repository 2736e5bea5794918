"""A lock whose swap was given up comes in no more: its sequence number is used up by nothing."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from adapters.model import Lock, LockState, LockTerms
from adapters.native.plugin import plugin
from adapters.spi import Adapter, Rejected, Unavailable, Unknown
from tests.adapters.native.bench import at, final, fresh, opened, terms_on
from tests.adapters.native.chain_fixture import ALICE
from tests.adapters.native.faulty_node import DROP, FaultyNode, honest
from tests.adapters.native.network import Network


def _handed_in(faulty: FaultyNode) -> list[bytes]:
    """The requests that hand a transaction in."""
    pairs = zip(faulty.calls, faulty.bodies, strict=True)
    return [body for method, body in pairs if method == "broadcast_tx_sync"]


async def _lost(adapter: Adapter, faulty: FaultyNode, network: Network, terms: LockTerms) -> bytes:
    """Submits a lock to a node that says it has it, and keeps it to itself. What was sent."""
    faulty.keeps = True
    await adapter.submit(Lock(terms), network.credential(ALICE))
    faulty.keeps = False
    return _handed_in(faulty)[-1]


async def _done(adapter: Adapter, network: Network, terms: LockTerms) -> LockState:
    """Abandons until nothing is left to do, block after block."""
    async with (
        asyncio.timeout(20),
        aclosing(adapter.events(at(await adapter.head()))) as stream,
    ):
        while not await adapter.abandon(terms, network.credential(ALICE)):
            await anext(stream)
    return (await adapter.lookup(adapter.lock_id(terms))).state


async def test_what_a_node_kept_to_itself_comes_in_no_more(
    adapter: Adapter, faulty: FaultyNode, network: Network
) -> None:
    """It turns up after all, when the swap is long over; the ledger refuses its number."""
    terms = await terms_on(adapter, network, fresh())
    kept = await _lost(adapter, faulty, network, terms)
    before = await adapter.balance(network.credential(ALICE).account, terms.asset)
    assert await adapter.abandon(terms, network.credential(ALICE)) is False
    assert await _done(adapter, network, terms) is LockState.ABSENT
    assert await adapter.balance(network.credential(ALICE).account, terms.asset) == before
    answer = await faulty.pass_on(kept)
    assert (answer["result"]["code"], answer["result"]["codespace"]) == (4, "isthmus")
    # The account goes on, with the key that it has.
    await opened(adapter, network, fresh())


async def test_without_it_the_late_transaction_would_lock(
    adapter: Adapter, faulty: FaultyNode, network: Network
) -> None:
    """That the test above shows something: nothing but the number stands in its way."""
    terms = await terms_on(adapter, network, fresh())
    kept = await _lost(adapter, faulty, network, terms)
    await faulty.pass_on(kept)
    await final(adapter, adapter.lock_id(terms), LockState.OPEN)


async def test_its_number_is_used_up_once(
    adapter: Adapter, faulty: FaultyNode, network: Network
) -> None:
    terms = await terms_on(adapter, network, fresh())
    await _lost(adapter, faulty, network, terms)
    already = len(_handed_in(faulty))
    # At once again: what uses it up waits for a block.
    for _ in range(3):
        await adapter.abandon(terms, network.credential(ALICE))
    assert await _done(adapter, network, terms) is LockState.ABSENT
    assert await adapter.abandon(terms, network.credential(ALICE)) is True
    assert len(_handed_in(faulty)) == already + 1


async def test_an_unclear_submission_is_called_off_where_it_did_not_come_in(
    adapter: Adapter, faulty: FaultyNode, network: Network
) -> None:
    terms = await terms_on(adapter, network, fresh())
    faulty.keeps = True
    faulty.twist = lambda method, answer: DROP if method == "broadcast_tx_sync" else answer
    with pytest.raises(Unknown):
        await adapter.submit(Lock(terms), network.credential(ALICE))
    faulty.keeps, faulty.twist = False, honest
    kept = _handed_in(faulty)[-1]
    assert await _done(adapter, network, terms) is LockState.ABSENT
    assert (await faulty.pass_on(kept))["result"]["code"] == 4


async def test_a_refused_lock_leaves_nothing_to_call_off(
    adapter: Adapter, faulty: FaultyNode, network: Network
) -> None:
    terms = replace(await terms_on(adapter, network, fresh()), amount=10**30)
    with pytest.raises(Rejected):
        await adapter.submit(Lock(terms), network.credential(ALICE))
    already = len(_handed_in(faulty))
    assert await adapter.abandon(terms, network.credential(ALICE)) is True
    assert len(_handed_in(faulty)) == already


async def test_what_waits_in_the_pool_is_waited_for_also_after_a_restart(
    network: Network, faulty: FaultyNode
) -> None:
    """It is in the next block: nothing takes it out. The pool is all that a new process has."""
    settings = network.settings(urls=[faulty.url], request_timeout=5, poll_interval=0.05)
    async with plugin.open("native", settings) as adapter:
        terms = await terms_on(adapter, network, fresh())
        raw = json.loads(await _lost(adapter, faulty, network, terms))["params"]["tx"]

    def waits(method: str, answer: Any) -> Any:
        if method == "unconfirmed_txs":
            answer["result"]["txs"] = [raw]
        return answer

    async with plugin.open("native", settings) as adapter:
        faulty.twist = waits
        # The application does not know of it, so its number is free, and is used up.
        assert await adapter.abandon(terms, network.credential(ALICE)) is False
        faulty.twist = honest
        assert await _done(adapter, network, terms) is LockState.ABSENT


async def test_a_node_that_does_not_tell_is_unavailable(
    adapter: Adapter, faulty: FaultyNode, network: Network
) -> None:
    terms = await terms_on(adapter, network, fresh())
    await adapter.submit(Lock(terms), network.credential(ALICE))
    faulty.twist = lambda method, answer: b"noise"
    with pytest.raises(Unavailable):
        await adapter.abandon(terms, network.credential(ALICE))
    faulty.twist = honest
    assert await _done(adapter, network, terms) is LockState.OPEN
