"""One account's transactions stand in line: none that is stuck, lost or refused may hold up the
claim of another swap behind it."""

from __future__ import annotations

import logging

import pytest

from adapters.model import Lock, LockState, LockTerms
from adapters.spi import NotSent
from tests.adapters.ethereum.anvil import Network
from tests.adapters.ethereum.bench import credential, opened, terms_for
from tests.adapters.ethereum.edge import Answer, Request, edge_before, error

SEND = "eth_sendRawTransaction"


def pool(network: Network) -> dict[int, dict[str, str]]:
    """The node's transactions that wait for nothing but a block, by nonce."""
    content = network.rpc("txpool_content")["pending"]
    return {int(nonce): one for by_nonce in content.values() for nonce, one in by_nonce.items()}


def carries(request: Request, terms: LockTerms) -> bool:
    """Whether a request hands in the transaction that locks on these terms."""
    return request["method"] == SEND and terms.hashlock.hex() in request["params"][0]


@pytest.mark.parametrize("legacy", [False, True], ids=["EIP-1559", "legacy"])
async def test_the_first_in_line_is_repriced_whoever_wanted_it(
    legacy: bool, network: Network
) -> None:
    """Its own intent may be closed: nobody but the next in line asks for it any more."""
    settings = network.settings(legacy=legacy, inclusion=600)
    sender, recipient = (credential(settings, one) for one in network.signers[:2])
    async with opened(settings) as adapter:
        old, _ = await terms_for(adapter, sender, recipient)
        new, _ = await terms_for(adapter, sender, recipient, amount=6)
        await adapter.submit(Lock(old), sender)
        (stuck,) = pool(network).values()
        # Patience for the others as it was: it has not waited, so it is let be.
        await adapter.submit(Lock(new), sender)
        assert pool(network)[0] == stuck
        (account,) = adapter.accounts()
        account._patience = 0.0
        third, _ = await terms_for(adapter, sender, recipient, amount=7)
        await adapter.submit(Lock(third), sender)
        waiting = pool(network)
        assert sorted(waiting) == [0, 1, 2]
        assert waiting[0]["input"] == stuck["input"]
        fields = ("gasPrice",) if legacy else ("maxFeePerGas", "maxPriorityFeePerGas")
        for field in fields:
            assert int(waiting[0][field], 16) * 10 >= int(stuck[field], 16) * 11
        network.rpc("anvil_mine", "0x2")
        for terms in (old, new, third):
            assert (await adapter.lookup(adapter.lock_id(terms))).state is LockState.OPEN


REFUSALS = {
    "underpriced": error(-32000, "transaction underpriced"),
    "pool full": error(-32000, "txpool is full"),
    "internal error": error(-32603, "internal error"),
    "no answer": Answer(hang=True),
}


@pytest.mark.parametrize("kind", REFUSALS)
async def test_a_lost_one_that_no_node_takes_back_does_not_fail_the_next(
    kind: str, network: Network, caplog: pytest.LogCaptureFixture
) -> None:
    async with edge_before(network.url) as edge:
        settings = network.settings(urls=[edge.url], inclusion=600, request_timeout=3)
        sender, recipient = (credential(settings, one) for one in network.signers[:2])
        async with opened(settings) as adapter:
            lost, _ = await terms_for(adapter, sender, recipient)
            new, _ = await terms_for(adapter, sender, recipient, amount=6)
            last, _ = await terms_for(adapter, sender, recipient, amount=7)
            first = await adapter.submit(Lock(lost), sender)
            network.rpc("anvil_dropTransaction", first.transaction)
            edge.rule = lambda request: REFUSALS[kind] if carries(request, lost) else None
            with caplog.at_level(logging.WARNING, "adapters.ethereum.account"):
                await adapter.submit(Lock(new), sender)
            assert "nonce 0" in caplog.text
            assert lost.hashlock.hex() not in caplog.text
            # Once the nodes take it again, the next submission brings the line forward.
            edge.rule = lambda _request: None
            await adapter.submit(Lock(last), sender)
            network.rpc("anvil_mine", "0x2")
            for terms in (lost, new, last):
                assert (await adapter.lookup(adapter.lock_id(terms))).state is LockState.OPEN


@pytest.mark.parametrize("own", [True, False], ids=["its own submission", "another's"])
async def test_a_lost_one_is_taken_back_at_a_higher_price(own: bool, network: Network) -> None:
    async with edge_before(network.url) as edge:
        settings = network.settings(urls=[edge.url], inclusion=600)
        sender, recipient = (credential(settings, one) for one in network.signers[:2])
        async with opened(settings) as adapter:
            lost, _ = await terms_for(adapter, sender, recipient)
            other, _ = await terms_for(adapter, sender, recipient, amount=6)
            first = await adapter.submit(Lock(lost), sender)
            (cheap,) = [one["params"][0] for one in edge.seen if one["method"] == SEND]
            network.rpc("anvil_dropTransaction", first.transaction)
            low = error(-32000, "transaction underpriced")
            edge.rule = lambda request: low if cheap in request["params"] else None
            again = await adapter.submit(Lock(lost if own else other), sender)
            assert again != first
            network.rpc("evm_mine")
            assert (await adapter.lookup(adapter.lock_id(lost))).state is LockState.OPEN


async def test_its_own_submission_says_that_it_was_not_taken_back(network: Network) -> None:
    """What is let pass for another's transaction is not hidden from the one who asks for it."""
    async with edge_before(network.url) as edge:
        settings = network.settings(urls=[edge.url], inclusion=600)
        sender, recipient = (credential(settings, one) for one in network.signers[:2])
        async with opened(settings) as adapter:
            lost, _ = await terms_for(adapter, sender, recipient)
            first = await adapter.submit(Lock(lost), sender)
            network.rpc("anvil_dropTransaction", first.transaction)
            low = error(-32000, "transaction underpriced")
            edge.rule = lambda request: low if request["method"] == SEND else None
            with pytest.raises(NotSent, match="underpriced"):
                await adapter.submit(Lock(lost), sender)


async def test_the_nonce_of_one_that_is_refused_for_good_is_used_next(network: Network) -> None:
    async with edge_before(network.url) as edge:
        settings = network.settings(urls=[edge.url], inclusion=600)
        sender, recipient = (credential(settings, one) for one in network.signers[:2])
        async with opened(settings) as adapter:
            lost, _ = await terms_for(adapter, sender, recipient)
            kept, _ = await terms_for(adapter, sender, recipient, amount=6)
            new, _ = await terms_for(adapter, sender, recipient, amount=7)
            last, _ = await terms_for(adapter, sender, recipient, amount=8)
            first = await adapter.submit(Lock(lost), sender)
            await adapter.submit(Lock(kept), sender)
            network.rpc("anvil_dropTransaction", first.transaction)
            broke = error(-32000, "insufficient funds for gas * price + value")
            edge.rule = lambda request: broke if carries(request, lost) else None
            await adapter.submit(Lock(new), sender)
            assert new.hashlock.hex() in pool(network)[0]["input"]
            # Anvil forgets what came after the gap; the next submission hands it in again.
            await adapter.submit(Lock(last), sender)
            network.rpc("anvil_mine", "0x2")
            for terms in (kept, new, last):
                assert (await adapter.lookup(adapter.lock_id(terms))).state is LockState.OPEN
