"""Submissions whose fate is not clear, and sequence numbers."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.model import (
    Lock,
    LockState,
)
from adapters.native.plugin import plugin
from adapters.spi import (
    Adapter,
    NotSent,
    Rejected,
    RejectionReason,
    Unknown,
)
from tests.adapters.native.bench import final, fresh, opened, terms_on
from tests.adapters.native.chain_fixture import ALICE
from tests.adapters.native.faulty_node import DROP, HANG, FaultyNode, faulty_node, honest
from tests.adapters.native.network import Network


@pytest.mark.parametrize("fault", [HANG, DROP, b"noise", (502, b"bad gateway")])
async def test_an_unclear_submission_is_unknown_and_the_chain_knows(
    adapter: Adapter, faulty: FaultyNode, network: Network, fault: Any
) -> None:
    terms = await terms_on(adapter, network, fresh())
    faulty.twist = lambda method, answer: fault if method == "broadcast_tx_sync" else answer
    with pytest.raises(Unknown):
        await adapter.submit(Lock(terms), network.credential(ALICE))
    faulty.twist = honest
    await final(adapter, adapter.lock_id(terms), LockState.OPEN)
    with pytest.raises(Rejected) as caught:
        await adapter.submit(Lock(terms), network.credential(ALICE))
    assert caught.value.reason is RejectionReason.LOCK_EXISTS
    await opened(adapter, network, fresh())


async def test_an_unclear_submission_goes_to_no_second_node(
    network: Network, faulty: FaultyNode
) -> None:
    async with faulty_node(network.settings().urls[0]) as second:
        settings = network.settings(urls=[faulty.url, second.url], request_timeout=5)
        async with plugin.open("native", settings) as adapter:
            terms = await terms_on(adapter, network, fresh())
            faulty.twist = lambda m, answer: DROP if m == "broadcast_tx_sync" else answer
            with pytest.raises(Unknown):
                await adapter.submit(Lock(terms), network.credential(ALICE))
            assert "broadcast_tx_sync" not in second.calls


async def test_a_full_mempool_is_not_sent(
    adapter: Adapter, faulty: FaultyNode, network: Network
) -> None:
    failure = {"code": -32603, "message": "Internal error", "data": "mempool is full: number of …"}
    faulty.twist = lambda m, answer: {"error": failure} if m == "broadcast_tx_sync" else answer
    terms = await terms_on(adapter, network, fresh())
    with pytest.raises(NotSent, match="mempool is full"):
        await adapter.submit(Lock(terms), network.credential(ALICE))


async def test_a_transaction_that_the_mempool_knows_was_sent(
    adapter: Adapter, faulty: FaultyNode, network: Network
) -> None:
    failure = {
        "code": -32603,
        "message": "Internal error",
        "data": "tx already exists in cache",
    }
    faulty.twist = lambda m, answer: {"error": failure} if m == "broadcast_tx_sync" else answer
    terms = await terms_on(adapter, network, fresh())
    submission = await adapter.submit(Lock(terms), network.credential(ALICE))
    faulty.twist = honest
    await final(adapter, adapter.lock_id(terms), LockState.OPEN)
    found = await adapter.transaction(submission.transaction)
    assert (found.succeeded, found.fee) == (True, 0)


async def test_two_adapters_of_one_account_find_their_numbers(
    adapter: Adapter, network: Network
) -> None:
    """Each remembers numbers that the other uses up: a mismatch is resolved from the chain."""
    async with plugin.open("native", network.settings()) as other:
        for _ in range(3):
            for each in (adapter, other):
                await opened(each, network, fresh())


async def test_a_stale_number_is_tried_again_once_and_then_not_sent(
    adapter: Adapter, faulty: FaultyNode, network: Network
) -> None:
    def stale(method: str, answer: Any) -> Any:
        if method == "broadcast_tx_sync":
            answer["result"] |= {"code": 4, "codespace": "isthmus", "log": "sequence"}
        return answer

    faulty.twist = stale
    terms = await terms_on(adapter, network, fresh())
    faulty.calls.clear()
    with pytest.raises(NotSent, match="sequence"):
        await adapter.submit(Lock(terms), network.credential(ALICE))
    assert faulty.calls.count("broadcast_tx_sync") == 2
