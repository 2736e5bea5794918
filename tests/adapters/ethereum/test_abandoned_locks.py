"""A lock whose swap was given up goes out no more: its nonce is filled with nothing."""

from __future__ import annotations

import pytest

from adapters.ethereum.adapter import EthereumAdapter
from adapters.model import Claim, Lock, LockState, LockTerms
from adapters.spi import Rejected, RejectionReason, Unavailable
from tests.adapters.ethereum.anvil import Network
from tests.adapters.ethereum.bench import credential, opened, terms_for
from tests.adapters.ethereum.edge import Answer, Request, edge_before, error, result
from tests.adapters.ethereum.test_lines_of_transactions import SEND, carries, pool


async def _state(adapter: EthereumAdapter, terms: LockTerms) -> LockState:
    return (await adapter.lookup(adapter.lock_id(terms))).state


def _is_empty(transaction: dict[str, str]) -> bool:
    to_itself = transaction["to"].lower() == transaction["from"].lower()
    return to_itself and int(transaction["value"], 16) == 0 and transaction["input"] == "0x"


@pytest.mark.parametrize("legacy", [False, True], ids=["EIP-1559", "legacy"])
async def test_what_waits_is_replaced_at_a_price_that_nodes_take(
    legacy: bool, network: Network
) -> None:
    settings = network.settings(legacy=legacy, inclusion=600)
    sender, recipient = (credential(settings, one) for one in network.signers[:2])
    async with opened(settings) as adapter:
        given_up, _ = await terms_for(adapter, sender, recipient)
        wanted, _ = await terms_for(adapter, sender, recipient, amount=6)
        await adapter.submit(Lock(given_up), sender)
        await adapter.submit(Lock(wanted), sender)
        old = pool(network)[0]
        assert await adapter.abandon(given_up, sender) is False
        new = pool(network)[0]
        assert _is_empty(new)
        for field in ("gasPrice",) if legacy else ("maxFeePerGas", "maxPriorityFeePerGas"):
            assert int(new[field], 16) * 10 >= int(old[field], 16) * 11
        # Once more changes nothing.
        assert await adapter.abandon(given_up, sender) is False
        assert pool(network)[0] == new
        network.rpc("evm_mine")
        assert await adapter.abandon(given_up, sender) is True
        assert await _state(adapter, given_up) is LockState.ABSENT
        assert await _state(adapter, wanted) is LockState.OPEN


async def test_what_was_lost_is_not_handed_in_again_and_holds_up_nobody(network: Network) -> None:
    """Node and account both lose it; a claim of another swap stands behind it."""
    async with edge_before(network.url) as edge:
        settings = network.settings(urls=[edge.url], inclusion=600)
        sender, recipient = (credential(settings, one) for one in network.signers[:2])
        async with opened(settings) as adapter:
            open_lock, preimage = await terms_for(adapter, recipient, sender, amount=9)
            await adapter.submit(Lock(open_lock), recipient)
            network.rpc("evm_mine")
            given_up, _ = await terms_for(adapter, sender, recipient)
            first = await adapter.submit(Lock(given_up), sender)
            network.rpc("anvil_dropTransaction", first.transaction)
            edge.seen.clear()
            assert await adapter.abandon(given_up, sender) is False
            await adapter.submit(Claim(adapter.lock_id(open_lock), preimage), sender)
            network.rpc("anvil_mine", "0x2")
            assert await adapter.abandon(given_up, sender) is True
            assert await _state(adapter, given_up) is LockState.ABSENT
            assert await _state(adapter, open_lock) is LockState.CLAIMED
            assert not any(carries(one, given_up) for one in edge.seen)


async def test_the_mark_stays_where_the_node_takes_no_replacement(network: Network) -> None:
    """Others' submissions look after the line: they too fill its nonce, and never send it."""
    async with edge_before(network.url) as edge:
        settings = network.settings(urls=[edge.url], inclusion=600)
        sender, recipient = (credential(settings, one) for one in network.signers[:2])
        async with opened(settings) as adapter:
            given_up, _ = await terms_for(adapter, sender, recipient)
            other, _ = await terms_for(adapter, sender, recipient, amount=6)
            first = await adapter.submit(Lock(given_up), sender)
            network.rpc("anvil_dropTransaction", first.transaction)
            edge.seen.clear()
            edge.rule = lambda _request: Answer(status=503)
            with pytest.raises(Unavailable):
                await adapter.abandon(given_up, sender)
            low = error(-32000, "transaction underpriced")
            edge.rule = lambda request: low if request["method"] == SEND else None
            assert await adapter.abandon(given_up, sender) is False
            edge.rule = lambda _request: None
            await adapter.submit(Lock(other), sender)
            network.rpc("anvil_mine", "0x2")
            assert await adapter.abandon(given_up, sender) is True
            assert await _state(adapter, given_up) is LockState.ABSENT
            assert await _state(adapter, other) is LockState.OPEN
            assert not any(carries(one, given_up) for one in edge.seen)


async def test_after_a_restart_it_is_found_at_the_node(network: Network) -> None:
    settings = network.settings(inclusion=600)
    sender, recipient = (credential(settings, one) for one in network.signers[:2])
    async with opened(settings) as adapter:
        given_up, _ = await terms_for(adapter, sender, recipient)
        await adapter.submit(Lock(given_up), sender)
    async with opened(settings) as adapter:
        assert await adapter.abandon(given_up, sender) is False
        network.rpc("evm_mine")
        assert await adapter.abandon(given_up, sender) is True
        assert await _state(adapter, given_up) is LockState.ABSENT


async def test_after_a_restart_it_is_found_behind_a_gap(network: Network) -> None:
    """Anvil has no txpool_contentFrom, so the edge makes its answer of what Anvil tells."""
    async with edge_before(network.url) as edge:
        settings = network.settings(urls=[edge.url], inclusion=600)
        sender, recipient = (credential(settings, one) for one in network.signers[:2])

        def with_pool(request: Request) -> Answer | None:
            if request["method"] != "txpool_contentFrom":
                return None
            queued = network.rpc("txpool_content")["queued"]
            (by_nonce,) = queued.values() if queued else ({},)
            return result({"pending": {}, "queued": by_nonce})

        async with opened(settings) as adapter:
            skipped, _ = await terms_for(adapter, sender, recipient, amount=6)
            given_up, _ = await terms_for(adapter, sender, recipient)
            first = await adapter.submit(Lock(skipped), sender)
            # Dropped before the next one comes, which Anvil would drop with it otherwise.
            network.rpc("anvil_dropTransaction", first.transaction)
            low = error(-32000, "transaction underpriced")
            edge.rule = lambda request: low if carries(request, skipped) else None
            await adapter.submit(Lock(given_up), sender)
            assert pool(network) == {}
        edge.rule = with_pool
        async with opened(settings) as adapter:
            assert await adapter.abandon(given_up, sender) is False
            other, _ = await terms_for(adapter, sender, recipient, amount=7)
            await adapter.submit(Lock(other), sender)
            network.rpc("anvil_mine", "0x2")
            assert await adapter.abandon(given_up, sender) is True
            assert await _state(adapter, given_up) is LockState.ABSENT
            assert await _state(adapter, other) is LockState.OPEN


async def test_a_lock_in_a_block_stays_what_it_is(network: Network) -> None:
    settings = network.settings(inclusion=600)
    sender, recipient = (credential(settings, one) for one in network.signers[:2])
    async with opened(settings) as adapter:
        never, _ = await terms_for(adapter, sender, recipient, amount=6)
        assert await adapter.abandon(never, sender) is True
        terms, _ = await terms_for(adapter, sender, recipient)
        await adapter.submit(Lock(terms), sender)
        network.rpc("evm_mine")
        assert await adapter.abandon(terms, sender) is True
        assert pool(network) == {}
        network.rpc("evm_mine")
        assert await _state(adapter, terms) is LockState.OPEN


async def test_who_submits_it_again_wants_it_again(network: Network) -> None:
    """One whose nonce is filled, and one that is marked only."""
    async with edge_before(network.url) as edge:
        settings = network.settings(urls=[edge.url], inclusion=600)
        sender, recipient = (credential(settings, one) for one in network.signers[:2])
        async with opened(settings) as adapter:
            marked, _ = await terms_for(adapter, sender, recipient, amount=6)
            filled, _ = await terms_for(adapter, sender, recipient)
            await adapter.submit(Lock(marked), sender)
            low = error(-32000, "replacement transaction underpriced")
            edge.rule = lambda request: low if request["method"] == SEND else None
            await adapter.abandon(marked, sender)
            edge.rule = lambda _request: None
            await adapter.submit(Lock(marked), sender)
            await adapter.submit(Lock(filled), sender)
            await adapter.abandon(filled, sender)
            assert _is_empty(pool(network)[1])
            await adapter.submit(Lock(filled), sender)
            network.rpc("anvil_mine", "0x2")
            assert await _state(adapter, filled) is LockState.OPEN
            assert await _state(adapter, marked) is LockState.OPEN


async def test_one_that_is_not_the_first_in_line_is_replaced_at_once(network: Network) -> None:
    settings = network.settings(inclusion=600)
    sender, recipient = (credential(settings, one) for one in network.signers[:2])
    async with opened(settings) as adapter:
        wanted, _ = await terms_for(adapter, sender, recipient, amount=6)
        given_up, _ = await terms_for(adapter, sender, recipient)
        last, _ = await terms_for(adapter, sender, recipient, amount=7)
        for terms in (wanted, given_up, last):
            await adapter.submit(Lock(terms), sender)
        assert await adapter.abandon(given_up, sender) is False
        network.rpc("anvil_mine", "0x2")
        states = [await _state(adapter, terms) for terms in (wanted, given_up, last)]
        assert states == [LockState.OPEN, LockState.ABSENT, LockState.OPEN]


async def test_a_cap_that_leaves_no_room_fills_what_was_lost_only(network: Network) -> None:
    """No price above the cap is ever paid, not even to call something off."""
    base = int(network.rpc("eth_getBlockByNumber", "latest", False)["baseFeePerGas"], 16)
    settings = network.settings(max_fee_per_gas=base + base // 8, inclusion=600)
    sender, recipient = (credential(settings, one) for one in network.signers[:2])
    async with opened(settings) as adapter:
        given_up, _ = await terms_for(adapter, sender, recipient)
        first = await adapter.submit(Lock(given_up), sender)
        (old,) = pool(network).values()
        assert await adapter.abandon(given_up, sender) is False
        assert pool(network)[0] == old
        network.rpc("anvil_dropTransaction", first.transaction)
        assert await adapter.abandon(given_up, sender) is False
        (new,) = pool(network).values()
        assert _is_empty(new)
        assert new["maxFeePerGas"] == old["maxFeePerGas"]
        network.rpc("evm_mine")
        assert await adapter.abandon(given_up, sender) is True
        assert await _state(adapter, given_up) is LockState.ABSENT


async def test_nobody_abandons_for_another(network: Network) -> None:
    settings = network.settings(inclusion=600)
    sender, recipient = (credential(settings, one) for one in network.signers[:2])
    async with opened(settings) as adapter:
        terms, _ = await terms_for(adapter, sender, recipient)
        await adapter.submit(Lock(terms), sender)
        (waiting,) = pool(network).values()
        with pytest.raises(Rejected) as caught:
            await adapter.abandon(terms, recipient)
        assert caught.value.reason is RejectionReason.NOT_AUTHORISED
        assert list(pool(network).values()) == [waiting]
