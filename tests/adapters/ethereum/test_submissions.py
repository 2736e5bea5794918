"""Nonces, replacement, fees, many at once, restarts with something in between."""

from __future__ import annotations

import asyncio

import pytest

from adapters.ethereum.submitter import Submitter
from adapters.model import Claim, Lock, LockState, Refund, Withdraw
from adapters.spi import NotSent, Rejected, RejectionReason, Unavailable
from tests.adapters.ethereum.anvil import Network, bare_anvil
from tests.adapters.ethereum.bench import credential, opened, terms_for


def _waiting(network: Network) -> dict[int, dict[str, str]]:
    """Transactions of the pool, by nonce, of whoever has any."""
    content = network.rpc("txpool_content")
    found: dict[int, dict[str, str]] = {}
    for group in ("pending", "queued"):
        for by_nonce in content[group].values():
            found |= {int(nonce): one for nonce, one in by_nonce.items()}
    return found


async def test_two_hundred_at_once_from_one_account(network: Network) -> None:
    settings = network.settings()
    sender, recipient = (credential(settings, one) for one in network.signers[:2])
    async with opened(settings) as adapter:
        pairs = [await terms_for(adapter, sender, recipient, amount=n + 1) for n in range(200)]
        start = int(network.rpc("eth_getTransactionCount", sender.account.address, "latest"), 16)
        sent = await asyncio.gather(*(adapter.submit(Lock(terms), sender) for terms, _ in pairs))
        assert len({one.transaction for one in sent}) == 200
        network.rpc("anvil_mine", "0xa")
        end = int(network.rpc("eth_getTransactionCount", sender.account.address, "latest"), 16)
        assert end - start == 200
        for terms, _ in pairs:
            assert (await adapter.lookup(adapter.lock_id(terms))).state is LockState.OPEN


async def test_submitting_again_pursues_the_one_that_waits(network: Network) -> None:
    """One nonce, one transaction; after the inclusion bound at a price at least a tenth higher."""
    settings = network.settings(inclusion=1)
    sender, recipient = (credential(settings, one) for one in network.signers[:2])
    async with opened(settings) as adapter:
        terms, _ = await terms_for(adapter, sender, recipient)
        first = await adapter.submit(Lock(terms), sender)
        assert await adapter.submit(Lock(terms), sender) == first
        (old,) = _waiting(network).values()
        # Time passes for the account, not for the test.
        (account,) = adapter.accounts()
        account._patience = 0.0
        second = await adapter.submit(Lock(terms), sender)
        assert second != first
        (new,) = _waiting(network).values()
        assert new["nonce"] == old["nonce"]
        for field in ("maxFeePerGas", "maxPriorityFeePerGas"):
            assert int(new[field], 16) * 10 >= int(old[field], 16) * 11
        network.rpc("evm_mine")
        assert (await adapter.lookup(adapter.lock_id(terms))).state is LockState.OPEN


async def test_a_price_that_no_block_takes_is_raised_by_the_next_submission(
    network: Network,
) -> None:
    settings = network.settings()
    sender, recipient = (credential(settings, one) for one in network.signers[:2])
    async with opened(settings) as adapter:
        terms, _ = await terms_for(adapter, sender, recipient)
        await adapter.submit(Lock(terms), sender)
        (stuck,) = _waiting(network).values()
        network.rpc("anvil_setNextBlockBaseFeePerGas", hex(int(stuck["maxFeePerGas"], 16) * 2))
        network.rpc("evm_mine")
        assert _waiting(network) == {}, "Anvil drops what it cannot take; others keep it"
        other, _ = await terms_for(adapter, sender, recipient, amount=9)
        await adapter.submit(Lock(other), sender)
        network.rpc("anvil_mine", "0x2")
        for one in (terms, other):
            assert (await adapter.lookup(adapter.lock_id(one))).state is LockState.OPEN


async def test_after_a_restart_what_waits_is_read_back_and_not_sent_twice(
    network: Network,
) -> None:
    settings = network.settings()
    sender, recipient = (credential(settings, one) for one in network.signers[:2])
    async with opened(settings) as adapter:
        terms, _ = await terms_for(adapter, sender, recipient)
        sent = await adapter.submit(Lock(terms), sender)
    async with opened(settings) as adapter:
        assert await adapter.submit(Lock(terms), sender) == sent
        assert len(_waiting(network)) == 1


async def test_a_gap_left_by_a_lost_transaction_is_filled(network: Network) -> None:
    """Lost with the process that knew it: the next submission takes its nonce."""
    settings = network.settings()
    sender, recipient = (credential(settings, one) for one in network.signers[:2])
    async with opened(settings) as adapter:
        lost, _ = await terms_for(adapter, sender, recipient)
        kept, _ = await terms_for(adapter, sender, recipient, amount=6)
        first = await adapter.submit(Lock(lost), sender)
        await adapter.submit(Lock(kept), sender)
        network.rpc("anvil_dropTransaction", first.transaction)
    async with opened(settings) as adapter:
        new, _ = await terms_for(adapter, sender, recipient, amount=7)
        await adapter.submit(Lock(new), sender)
        network.rpc("anvil_mine", "0x2")
        assert (await adapter.lookup(adapter.lock_id(new))).state is LockState.OPEN


async def test_a_lost_transaction_is_handed_in_again_while_it_is_known(network: Network) -> None:
    settings = network.settings()
    sender, recipient = (credential(settings, one) for one in network.signers[:2])
    async with opened(settings) as adapter:
        lost, _ = await terms_for(adapter, sender, recipient)
        first = await adapter.submit(Lock(lost), sender)
        network.rpc("anvil_dropTransaction", first.transaction)
        assert _waiting(network) == {}
        other, _ = await terms_for(adapter, sender, recipient, amount=6)
        await adapter.submit(Lock(other), sender)
        network.rpc("anvil_mine", "0x2")
        for one in (lost, other):
            assert (await adapter.lookup(adapter.lock_id(one))).state is LockState.OPEN


async def test_a_cap_below_the_base_fee_sends_nothing(network: Network) -> None:
    settings = network.settings(max_fee_per_gas=1)
    sender, recipient = (credential(settings, one) for one in network.signers[:2])
    async with opened(settings) as adapter:
        terms, _ = await terms_for(adapter, sender, recipient)
        with pytest.raises(NotSent, match="max_fee_per_gas"):
            await adapter.submit(Lock(terms), sender)
        assert _waiting(network) == {}


async def test_an_approval_that_is_not_mined_sends_no_lock(network: Network) -> None:
    settings = network.settings(inclusion=1)
    sender, recipient = (credential(settings, one) for one in network.signers[:2])
    async with opened(settings) as adapter:
        token = (await adapter.assets())[1].id
        terms, _ = await terms_for(adapter, sender, recipient, asset=token)
        with pytest.raises(NotSent, match="approval"):
            await adapter.submit(Lock(terms), sender)
        assert len(_waiting(network)) == 1
        network.rpc("evm_mine")
        await adapter.submit(Lock(terms), sender)
        network.rpc("evm_mine")
        assert (await adapter.lookup(adapter.lock_id(terms))).state is LockState.OPEN
    async with opened(network.settings(approve="never")) as adapter:
        other = credential(settings, network.signers[2])
        terms, _ = await terms_for(adapter, other, recipient, asset=token)
        with pytest.raises(Rejected, match="has not approved"):
            await adapter.submit(Lock(terms), other)


async def test_a_claim_shows_its_preimage_to_nobody_before_it_must(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim that the state alone refuses reaches neither estimation nor the pool."""
    settings = network.settings()
    sender, recipient = (credential(settings, one) for one in network.signers[:2])
    shown: list[object] = []

    async def told(*arguments: object) -> int:
        shown.append(arguments)
        raise AssertionError("the preimage left the process")

    async with opened(settings) as adapter:
        head = await adapter.head()
        terms, preimage = await terms_for(adapter, sender, recipient, deadline=head.time + 5_000)
        lock_id = adapter.lock_id(terms)
        monkeypatch.setattr(Submitter, "_gas", told)
        with pytest.raises(Rejected) as caught:
            await adapter.submit(Claim(lock_id, preimage), recipient)
        assert caught.value.reason is RejectionReason.LOCK_ABSENT
        monkeypatch.undo()
        await adapter.submit(Lock(terms), sender)
        network.rpc("evm_mine")
        network.rpc("evm_setNextBlockTimestamp", hex(terms.deadline))
        network.rpc("evm_mine")
        monkeypatch.setattr(Submitter, "_gas", told)
        with pytest.raises(Rejected) as caught:
            await adapter.submit(Claim(lock_id, preimage), recipient)
        assert caught.value.reason is RejectionReason.DEADLINE_PASSED
        assert shown == []
        monkeypatch.undo()
        await adapter.submit(Refund(lock_id), recipient)
        network.rpc("evm_mine")
        assert (await adapter.lookup(lock_id)).state is LockState.REFUNDED


async def test_credit_is_withdrawn(network: Network) -> None:
    """A recipient whose code refuses coin is credited, and withdraws once it takes coin."""
    settings = network.settings()
    sender, recipient = (credential(settings, one) for one in network.signers[:2])
    async with opened(settings) as adapter:
        with pytest.raises(Rejected) as caught:
            await adapter.submit(Withdraw((await adapter.assets())[0].id), recipient)
        assert caught.value.reason is RejectionReason.INSUFFICIENT_BALANCE
        terms, preimage = await terms_for(adapter, sender, recipient, amount=77)
        lock_id = adapter.lock_id(terms)
        await adapter.submit(Lock(terms), sender)
        network.rpc("evm_mine")
        # Code that reverts: PUSH0 PUSH0 REVERT.
        network.rpc("anvil_setCode", recipient.account.address, "0x5f5ffd")
        assert list(await adapter.objections(terms)) == []
        await adapter.submit(Claim(lock_id, preimage), sender)
        network.rpc("evm_mine")
        assert (await adapter.lookup(lock_id)).state is LockState.CLAIMED
        network.rpc("anvil_setCode", recipient.account.address, "0x")
        findings = await adapter.diagnose(recipient)
        assert any("credit" in finding.seen for finding in findings)
        before = await adapter.balance(recipient.account, terms.asset)
        sent = await adapter.submit(Withdraw(terms.asset), recipient)
        network.rpc("evm_mine")
        fee = (await adapter.transaction(sent.transaction)).fee
        assert await adapter.balance(recipient.account, terms.asset) == before + 77 - fee


@pytest.mark.parametrize("price", [0, None])
async def test_a_chain_without_base_fee(network: Network, price: int | None) -> None:
    """Berlin rules, gas free or at the node's legacy price: the same contract, legacy
    transactions."""
    from adapters.codec.secp256k1 import address_of
    from adapters.ethereum.artifact import load

    with bare_anvil(
        network.folder / "berlin.log",
        *("--hardfork", "berlin", "--gas-price", "0" if price == 0 else "7", "--no-mining"),
    ) as node:
        from tests.adapters.ethereum.anvil import rpc

        deployer = rpc(node.url, "eth_accounts")[0]
        creation = {"from": deployer, "data": "0x" + load("HashTimeLockParis").bytecode.hex()}
        made = rpc(
            node.url, "eth_sendTransaction", {**creation, "gas": "0x300000", "gasPrice": "0x7"}
        )
        rpc(node.url, "evm_mine")
        contract = rpc(node.url, "eth_getTransactionReceipt", made)["contractAddress"]
        settings = {
            "adapter": "ethereum",
            "chain": "eip155:31337",
            "urls": [node.url],
            "contract": contract,
            "final_by": 0,
            "gas_price": price,
            "inclusion": 2,
            "finality": 2,
            "clock": 2,
            "poll_interval": 0.05,
        }
        sender, recipient = (credential(settings, one) for one in network.signers[:2])
        address = "0x" + address_of(network.signers[0].public_key).hex()
        rpc(node.url, "anvil_setBalance", address, hex(10**18))
        async with opened(settings) as adapter:
            terms, _ = await terms_for(adapter, sender, recipient)
            sent = await adapter.submit(Lock(terms), sender)
            rpc(node.url, "evm_mine")
            assert (await adapter.lookup(adapter.lock_id(terms))).state is LockState.OPEN
            receipt = await adapter.transaction(sent.transaction)
            assert receipt.raw[0] >= 0xC0, "a legacy transaction is a bare list"
            assert (receipt.fee == 0) == (price == 0)


async def test_a_node_that_is_gone_is_unavailable_or_not_sent(network: Network) -> None:
    settings = network.settings()
    sender, recipient = (credential(settings, one) for one in network.signers[:2])
    async with opened(settings) as adapter:
        terms, _ = await terms_for(adapter, sender, recipient)
        network.process.kill()
        with pytest.raises((NotSent, Unavailable)):
            await adapter.submit(Lock(terms), sender)
