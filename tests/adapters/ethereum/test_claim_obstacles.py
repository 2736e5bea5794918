"""What is seen against a claim before it is begun, on Anvil; and that silence means a claim."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adapters.ethereum.adapter import EthereumAdapter
from adapters.ethereum.claim_cost import GAS_OF_A_CLAIM
from adapters.model import Claim, Lock, LockId, LockState, LockTerms, Preimage, Refund
from adapters.spi import Credential, Unavailable
from tests.adapters.ethereum.anvil import Network
from tests.adapters.ethereum.bench import credential, opened, terms_for
from tests.adapters.ethereum.edge import edge_before, error

REVERTS = "0x5f5ffd"
"""PUSH0 PUSH0 REVERT: code that refuses everything, coin among it."""
ANSWERS_FALSE = "0x60205ff3"
"""PUSH1 32 PUSH0 RETURN: a word of zero, whatever it is asked."""


async def _locked(
    network: Network, adapter: EthereumAdapter, *parties: Credential, token: bool = False
) -> tuple[LockTerms, Preimage, LockId]:
    sender, recipient = parties
    terms, preimage = await terms_for(adapter, sender, recipient)
    if token:
        terms = replace(terms, asset=(await adapter.assets())[1].id)
        network.rpc("evm_setIntervalMining", 1)
    await adapter.submit(Lock(terms), sender)
    network.rpc("evm_setIntervalMining", 0)
    network.rpc("evm_mine")
    return terms, preimage, adapter.lock_id(terms)


@pytest.mark.parametrize("token", [False, True], ids=["coin", "token"])
async def test_where_nothing_is_seen_the_claim_is_taken(token: bool, network: Network) -> None:
    settings = network.settings()
    sender, recipient = (credential(settings, one) for one in network.signers[:2])
    async with opened(settings) as adapter:
        _, preimage, lock_id = await _locked(network, adapter, sender, recipient, token=token)
        assert list(await adapter.claim_obstacles(lock_id, recipient)) == []
        await adapter.submit(Claim(lock_id, preimage), recipient)
        network.rpc("evm_mine")
        (said,) = await adapter.claim_obstacles(lock_id, recipient)
        assert "was claimed before" in said


async def test_no_coin_for_the_fee_at_the_price_of_now(network: Network) -> None:
    settings = network.settings()
    sender, recipient = (credential(settings, one) for one in network.signers[:2])
    poor = recipient.account.address
    async with opened(settings) as adapter:
        _, preimage, lock_id = await _locked(network, adapter, sender, recipient)
        network.rpc("anvil_setBalance", poor, "0x1")
        (said,) = await adapter.claim_obstacles(lock_id, recipient)
        assert "holds 1 wei" in said
        assert "send it coin" in said
        # Exactly what the sentence asks for is enough, and one wei less is not.
        needed = int(said.partition("may cost ")[2].split()[0])
        assert needed % GAS_OF_A_CLAIM == 0
        network.rpc("anvil_setBalance", poor, hex(needed - 1))
        assert len(await adapter.claim_obstacles(lock_id, recipient)) == 1
        network.rpc("anvil_setBalance", poor, hex(needed))
        assert list(await adapter.claim_obstacles(lock_id, recipient)) == []
        await adapter.submit(Claim(lock_id, preimage), recipient)
        network.rpc("evm_mine")
        assert (await adapter.lookup(lock_id)).state is LockState.CLAIMED


async def test_a_cap_is_what_a_claim_costs_at_most_unless_blocks_demand_more(
    network: Network,
) -> None:
    base = int(network.rpc("eth_getBlockByNumber", "latest", False)["baseFeePerGas"], 16)
    settings = network.settings()
    sender, recipient = (credential(settings, one) for one in network.signers[:2])
    async with opened(settings) as adapter:
        _, _, lock_id = await _locked(network, adapter, sender, recipient)
    cap = 2 * base
    network.rpc("anvil_setBalance", recipient.account.address, hex(GAS_OF_A_CLAIM * cap))
    async with opened(network.settings(max_fee_per_gas=cap)) as adapter:
        assert list(await adapter.claim_obstacles(lock_id, recipient)) == []
        network.rpc("anvil_setNextBlockBaseFeePerGas", hex(3 * base))
        network.rpc("evm_mine")
        (said,) = await adapter.claim_obstacles(lock_id, recipient)
        assert "max_fee_per_gas" in said


async def test_a_lock_that_is_not_there_or_not_open(network: Network) -> None:
    settings = network.settings()
    sender, recipient = (credential(settings, one) for one in network.signers[:2])
    async with opened(settings) as adapter:
        (said,) = await adapter.claim_obstacles(LockId(b"\x07" * 32), recipient)
        assert "there is no lock 0707" in said
        terms, _, lock_id = await _locked(network, adapter, sender, recipient)
        network.rpc("evm_setNextBlockTimestamp", hex(terms.deadline - 1))
        network.rpc("evm_mine")
        assert list(await adapter.claim_obstacles(lock_id, recipient)) == []
        network.rpc("evm_setNextBlockTimestamp", hex(terms.deadline))
        network.rpc("evm_mine")
        (said,) = await adapter.claim_obstacles(lock_id, recipient)
        assert f"the deadline {terms.deadline} has come" in said
        await adapter.submit(Refund(lock_id), sender)
        network.rpc("evm_mine")
        (said,) = await adapter.claim_obstacles(lock_id, recipient)
        assert "was refunded before" in said


async def test_a_recipient_that_refuses_coin_is_no_obstacle(network: Network) -> None:
    """The claim goes through, and the coin becomes credit."""
    settings = network.settings()
    sender, recipient = (credential(settings, one) for one in network.signers[:2])
    async with opened(settings) as adapter:
        _, preimage, lock_id = await _locked(network, adapter, sender, recipient)
        network.rpc("anvil_setCode", recipient.account.address, REVERTS)
        assert list(await adapter.claim_obstacles(lock_id, sender)) == []
        await adapter.submit(Claim(lock_id, preimage), sender)
        network.rpc("evm_mine")
        assert (await adapter.lookup(lock_id)).state is LockState.CLAIMED


@pytest.mark.parametrize("code", [REVERTS, ANSWERS_FALSE], ids=["reverts", "answers false"])
async def test_a_token_that_would_not_move(code: str, network: Network) -> None:
    """Paused, or its recipient shut out, since it was locked. Found without the preimage."""
    settings = network.settings()
    sender, recipient = (credential(settings, one) for one in network.signers[:2])
    async with (
        edge_before(network.url) as edge,
        opened({**settings, "urls": [edge.url]}) as adapter,
    ):
        terms, preimage, lock_id = await _locked(network, adapter, sender, recipient, token=True)
        edge.seen.clear()
        network.rpc("anvil_setCode", settings["tokens"][0], code)
        (said,) = await adapter.claim_obstacles(lock_id, recipient)
        assert str(terms.asset) in said
        assert "would not move to the recipient" in said
        assert preimage.value.hex() not in str(edge.seen)


async def test_a_node_that_is_gone_or_refuses_is_never_silence(network: Network) -> None:
    settings = network.settings()
    sender, recipient = (credential(settings, one) for one in network.signers[:2])
    async with (
        edge_before(network.url) as edge,
        opened({**settings, "urls": [edge.url]}) as adapter,
    ):
        _, _, lock_id = await _locked(network, adapter, sender, recipient)
        for method in ("eth_getBalance", "eth_call", "eth_getBlockByNumber", "eth_getLogs"):
            refused = error(-32000, "not now")
            edge.rule = lambda one, m=method, r=refused: r if one["method"] == m else None  # type: ignore[misc]
            with pytest.raises(Unavailable):
                await adapter.claim_obstacles(lock_id, recipient)
        edge.rule = lambda _request: None
        network.process.kill()
        with pytest.raises(Unavailable):
            await adapter.claim_obstacles(lock_id, recipient)
