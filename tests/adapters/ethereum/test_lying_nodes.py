"""A node that lies: nothing that it describes is signed, and what it made up holds up nobody."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from adapters.ethereum.adapter import EthereumAdapter
from adapters.ethereum.fees import FeePolicy, Market, raised
from adapters.ethereum.lock_contract import Call
from adapters.ethereum.signed_transaction import Fees, sign
from adapters.model import Claim, Lock, LockState, LockTerms
from adapters.spi import Credential, Unavailable
from tests.adapters.ethereum.anvil import Network, rpc
from tests.adapters.ethereum.bench import credential, opened, terms_for
from tests.adapters.ethereum.edge import Answer, Edge, Request, edge_before, error, result
from tests.adapters.ethereum.signer import LocalSigner
from tests.adapters.ethereum.test_lines_of_transactions import SEND, pool

BY_NONCE = "eth_getTransactionBySenderAndNonce"
COUNT = "eth_getTransactionCount"
THIEF = bytes.fromhex("e1" * 20)


def _number(network: Network, method: str, *params: Any) -> int:
    return int(network.rpc(method, *params), 16)


def _pending(request: Request) -> bool:
    return bool(request["method"] == COUNT and request["params"][1] == "pending")


def _sent(edge: Edge) -> list[str]:
    return [one["params"][0] for one in edge.seen if one["method"] == SEND]


async def _are_open(adapter: EthereumAdapter, *wanted: LockTerms) -> bool:
    states = [(await adapter.lookup(adapter.lock_id(terms))).state for terms in wanted]
    return all(state is LockState.OPEN for state in states)


async def _theft(network: Network, sender: Credential, kind: str) -> dict[str, Any]:
    """A transaction that gives the sender's coin to a thief, as a node describes it: at a price
    that no block takes, so that it would be replaced at once."""
    balance = _number(network, "eth_getBalance", sender.account.address, "latest")
    theft = {
        "type": "0x2",
        "chainId": hex(31337),
        "nonce": "0x0",
        "to": "0x" + THIEF.hex(),
        "value": hex(balance * 9 // 10),
        "input": "0x",
        "gas": hex(21_000),
        "maxFeePerGas": "0x1",
        "maxPriorityFeePerGas": "0x0",
        "accessList": [],
        "hash": "0x" + "11" * 32,
        "from": sender.account.address,
    }
    match kind:
        case "no signature":
            return theft
        case "another's signature":
            call = Call(THIEF, balance * 9 // 10, b"")
            signed = await sign(LocalSigner("thief"), 31337, 0, 21_000, Fees(1, 0), call)
            return {**theft, **_signature(signed.raw), "v": hex(signed.raw[-67] & 1)}
        case "the signature of its lock":
            # As a node that was handed the lock has it.
            (waiting,) = pool(network).values()
            return {**theft, **{field: waiting[field] for field in ("r", "s", "v", "yParity")}}
        case _:
            # A legacy transaction of another chain that the sender did sign.
            signed = await sign(
                sender.signer, 1, 0, 21_000, Fees(1, None), Call(THIEF, balance * 9 // 10, b"")
            )
            legacy = {"type": "0x0", "gasPrice": "0x1", "v": hex(signed.raw[-67])}
            dynamic = {"maxFeePerGas": None, "maxPriorityFeePerGas": None}
            return {**theft, **_signature(signed.raw), **legacy, **dynamic}


def _signature(raw: bytes) -> dict[str, str]:
    """The end of a signed transaction: v, 0xa0, r, 0xa0, s, where neither begins with a zero."""
    assert raw[-66] == raw[-33] == 0xA0
    return {"r": "0x" + raw[-65:-33].hex(), "s": "0x" + raw[-32:].hex()}


@pytest.mark.parametrize(
    "kind",
    ["no signature", "another's signature", "the signature of its lock", "another chain's"],
)
async def test_what_a_node_makes_up_is_never_signed(kind: str, network: Network) -> None:
    async with edge_before(network.url) as edge:
        settings = network.settings(urls=[edge.url])
        sender, recipient = (credential(settings, one) for one in network.signers[:2])
        async with opened(settings) as adapter:
            first, _ = await terms_for(adapter, sender, recipient)
            await adapter.submit(Lock(first), sender)
        described = await _theft(network, sender, kind)

        def lie(request: Request) -> Answer | None:
            if _pending(request):
                return result("0x1")
            return result(described) if request["method"] == BY_NONCE else None

        edge.rule = lie
        async with opened(settings) as adapter:
            other, _ = await terms_for(adapter, sender, recipient, amount=6)
            await adapter.submit(Lock(other), sender)
            (account,) = adapter.accounts()
            account._patience = 0.0
            for _ in range(3):
                await adapter.submit(Lock(other), sender)
            await adapter.abandon(first, sender)
            assert not any(THIEF.hex() in raw for raw in _sent(edge))
            network.rpc("anvil_mine", "0x3")
            assert _number(network, "eth_getBalance", "0x" + THIEF.hex(), "latest") == 0


async def test_what_is_read_back_is_handed_in_again_where_it_is_lost(network: Network) -> None:
    """It is known whole, so that it need not stay with the node that showed it."""
    settings = network.settings()
    sender, recipient = (credential(settings, one) for one in network.signers[:2])
    async with opened(settings) as adapter:
        terms, _ = await terms_for(adapter, sender, recipient)
        sent = await adapter.submit(Lock(terms), sender)
    for legacy in (False, True):
        async with opened(network.settings(legacy=legacy)) as adapter:
            assert await adapter.submit(Lock(terms), sender) == sent
            network.rpc("anvil_dropTransaction", sent.transaction)
            assert pool(network) == {}
            assert await adapter.submit(Lock(terms), sender) == sent
            (back,) = pool(network).values()
            assert back["hash"] == sent.transaction


async def test_a_legacy_transaction_is_read_back_too(network: Network) -> None:
    settings = network.settings(legacy=True)
    sender, recipient = (credential(settings, one) for one in network.signers[:2])
    async with opened(settings) as adapter:
        terms, _ = await terms_for(adapter, sender, recipient)
        sent = await adapter.submit(Lock(terms), sender)
    async with opened(settings) as adapter:
        assert await adapter.submit(Lock(terms), sender) == sent
        assert list(pool(network)) == [0]


@pytest.mark.parametrize("beyond", [3, 10**12], ids=["a few", "more than can be counted"])
async def test_a_nonce_that_a_node_made_up_holds_up_nothing(beyond: int, network: Network) -> None:
    """Once another node is asked, the call goes to the nonce that comes next in truth."""
    async with edge_before(network.url) as edge:
        settings = network.settings(urls=[edge.url])
        sender, recipient = (credential(settings, one) for one in network.signers[:2])
        async with opened(settings) as adapter:
            open_lock, preimage = await terms_for(adapter, recipient, sender, amount=9)
            await adapter.submit(Lock(open_lock), recipient)
            network.rpc("evm_mine")
            edge.rule = lambda request: result(hex(beyond)) if _pending(request) else None
            claim = Claim(adapter.lock_id(open_lock), preimage)
            await adapter.submit(claim, sender)
            network.rpc("evm_mine")
            assert await _are_open(adapter, open_lock)
            edge.rule = lambda _request: None
            await adapter.submit(claim, sender)
            network.rpc("evm_mine")
            record = await adapter.lookup(claim.lock_id)
            assert record.state is LockState.CLAIMED


async def test_what_no_node_shows_is_waited_for_and_then_filled(
    network: Network, caplog: pytest.LogCaptureFixture
) -> None:
    """After a restart, with nodes that show no pools: a lock of before has a price that no block
    takes. Who wants it submits it again; it is opened once."""
    async with edge_before(network.url) as edge:
        settings = network.settings(urls=[edge.url])
        sender, recipient = (credential(settings, one) for one in network.signers[:2])
        async with opened(settings) as adapter:
            before, _ = await terms_for(adapter, sender, recipient, amount=11)
            await adapter.submit(Lock(before), sender)
        unknown = error(-32601, "the method does not exist")
        edge.rule = lambda request: unknown if request["method"] == BY_NONCE else None
        contract = settings["contract"]
        held = _number(network, "eth_getBalance", contract, "latest")
        async with opened(settings) as adapter:
            other, _ = await terms_for(adapter, sender, recipient, amount=6)
            waits = pool(network)[0]
            await adapter.submit(Lock(other), sender)
            assert pool(network)[0] == waits, "it has not waited"
            (account,) = adapter.accounts()
            account._patience = 0.0
            with caplog.at_level(logging.WARNING, "adapters.ethereum.account"):
                # The market's price is what it pays already: a node asks for more than that.
                for _ in range(3):
                    await adapter.submit(Lock(other), sender)
            assert "nonce 0 of" in caplog.text
            filling = pool(network)[0]
            assert filling["to"].lower() == sender.account.address.lower()
            assert (filling["value"], filling["input"]) == ("0x0", "0x")
            await adapter.submit(Lock(before), sender)
            await adapter.submit(Lock(before), sender)
            network.rpc("anvil_mine", "0x3")
            assert await _are_open(adapter, before, other)
            assert _number(network, "eth_getBalance", contract, "latest") == held + 17


async def test_a_lock_that_no_node_shows_is_abandoned_after_a_restart(network: Network) -> None:
    async with edge_before(network.url) as edge:
        settings = network.settings(urls=[edge.url])
        sender, recipient = (credential(settings, one) for one in network.signers[:2])
        async with opened(settings) as adapter:
            given_up, _ = await terms_for(adapter, sender, recipient)
            await adapter.submit(Lock(given_up), sender)
        unknown = error(-32601, "the method does not exist")
        edge.rule = lambda request: unknown if request["method"] == BY_NONCE else None
        async with opened(settings) as adapter:
            assert await adapter.abandon(given_up, sender) is False
            (account,) = adapter.accounts()
            account._patience = 0.0
            for _ in range(3):
                assert await adapter.abandon(given_up, sender) is False
            network.rpc("evm_mine")
            assert await adapter.abandon(given_up, sender) is True
            record = await adapter.lookup(adapter.lock_id(given_up))
            assert record.state is LockState.ABSENT


@pytest.mark.parametrize("capped", [False, True], ids=["room for a higher price", "none"])
async def test_what_a_node_keeps_to_itself_goes_to_the_others(
    capped: bool, network: Network
) -> None:
    """It answers all, and no transaction that it takes ever comes into a block."""
    async with edge_before(network.url) as edge:
        base = _number(network, "eth_gasPrice")
        settings = network.settings(
            urls=[edge.url, network.url], max_fee_per_gas=base if capped else None
        )
        sender, recipient = (credential(settings, one) for one in network.signers[:2])
        async with opened(settings) as adapter:
            kept = result("0x" + "00" * 32)
            edge.rule = lambda request: kept if request["method"] == SEND else None
            terms, _ = await terms_for(adapter, sender, recipient)
            await adapter.submit(Lock(terms), sender)
            await adapter.submit(Lock(terms), sender)
            assert pool(network) == {}
            (account,) = adapter.accounts()
            account._patience = 0.0
            await adapter.submit(Lock(terms), sender)
            network.rpc("evm_mine")
            assert await _are_open(adapter, terms)


async def test_another_locks_terms_are_not_claimed(network: Network) -> None:
    """Somebody's dust lock under the same hashlock must not get the preimage."""
    async with edge_before(network.url) as edge:
        settings = network.settings(urls=[edge.url])
        sender, recipient = (credential(settings, one) for one in network.signers[:2])
        async with opened(settings) as adapter:
            real, preimage = await terms_for(adapter, sender, recipient)
            dust, _ = await terms_for(adapter, recipient, sender, amount=1, hashlock=real.hashlock)
            for terms, who in ((real, sender), (dust, recipient)):
                await adapter.submit(Lock(terms), who)
            network.rpc("evm_mine")
            wanted, other = adapter.lock_id(real).hex(), adapter.lock_id(dust).hex()

            def swapped(request: Request) -> Answer | None:
                if request["method"] != "eth_getLogs" or wanted not in str(request["params"]):
                    return None
                (where,) = request["params"]
                topics = [where["topics"][0], "0x" + other]
                return result(rpc(network.url, "eth_getLogs", {**where, "topics": topics}))

            edge.rule = swapped
            edge.seen.clear()
            with pytest.raises(Unavailable):
                await adapter.submit(Claim(adapter.lock_id(real), preimage), recipient)
            assert not any(preimage.value.hex() in str(request) for request in edge.seen)


@pytest.mark.parametrize(
    ("old", "seen"),
    [
        (Fees(80, 95), Fees(90, 20)),
        (Fees(100, 100), Fees(90, 80)),
        (Fees(80, 70), Fees(200, 150)),
    ],
)
def test_no_replacement_pays_above_the_cap(old: Fees, seen: Fees) -> None:
    price = raised(old, Market(10, seen), FeePolicy(100, None, None, False))
    assert price is None or (price.cap <= 100 and (price.tip or 0) <= price.cap)
