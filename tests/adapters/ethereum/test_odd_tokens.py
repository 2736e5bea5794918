"""Tokens that keep to the standard by their own lights, and what the driver makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.ethereum.artifact import Build, compile_contract
from adapters.ethereum.identity import checksummed
from adapters.ethereum.lock_contract import ALLOWANCE, APPROVE, encode
from adapters.ethereum.node_errors import selector
from adapters.ethereum.tooling import ToolSet, install
from adapters.model import Claim, Lock, LockState
from adapters.spi import Rejected, RejectionReason
from tests.adapters.ethereum.anvil import Network
from tests.adapters.ethereum.bench import credential, opened, terms_for
from tests.adapters.ethereum.test_gas import receipt_of

TOKENS = Path(__file__).parent / "foundry" / "tokens"
HELD = 1_000


class Token:
    """A token of the tests on the network, of which the first party has some. Blocks are made as
    soon as there is a transaction."""

    def __init__(self, network: Network, contract: str) -> None:
        self._network = network
        network.rpc("evm_setAutomine", True)
        (deployer,) = network.rpc("eth_accounts")
        build = Build("TestTokens.sol", contract, "paris")
        code = compile_contract(build, install(ToolSet.CONTRACTS), TOKENS)["bytecode"]
        created = self._send({"from": deployer, "data": f"0x{code}"})
        self.address = bytes.fromhex(created["contractAddress"][2:])
        self.holder = credential(network.settings(), network.signers[0]).account.address
        to = bytes.fromhex(self.holder[2:])
        self.call(deployer, encode(selector("transfer(address,uint256)"), to, HELD))
        self.settings = network.settings(tokens=[checksummed(self.address)])
        self.spender = bytes.fromhex(self.settings["contract"][2:])

    def _send(self, transaction: dict[str, str]) -> dict[str, str]:
        sent = self._network.rpc("eth_sendTransaction", {"gas": hex(3_000_000), **transaction})
        receipt = receipt_of(self._network.url, sent)
        assert receipt["status"] == "0x1"
        return receipt

    def call(self, sender: str, data: bytes) -> None:
        self._send({"from": sender, "to": f"0x{self.address.hex()}", "data": f"0x{data.hex()}"})

    def approve(self, amount: int) -> None:
        """By the holder, apart from the driver."""
        self._network.rpc("anvil_impersonateAccount", self.holder)
        self.call(self.holder, encode(APPROVE, self.spender, amount))
        self._network.rpc("anvil_stopImpersonatingAccount", self.holder)

    def allowance(self) -> int:
        data = encode(ALLOWANCE, bytes.fromhex(self.holder[2:]), self.spender)
        call = {"to": f"0x{self.address.hex()}", "data": f"0x{data.hex()}"}
        return int(self._network.rpc("eth_call", call, "latest"), 16)


@pytest.mark.parametrize(("left", "transactions"), [(0, 2), (3, 3), (50, 1)])
async def test_a_left_over_allowance_is_taken_back_first(
    left: int, transactions: int, network: Network
) -> None:
    """USDT's way: from an allowance that is not zero there is no way to another. The transactions:
    what is too little is taken back, an allowance given, the lock opened."""
    token = Token(network, "WaryToken")
    if left:
        token.approve(left)
    sender, recipient = (credential(token.settings, one) for one in network.signers[:2])

    def sent() -> int:
        return int(network.rpc("eth_getTransactionCount", token.holder, "latest"), 16)

    before = sent()
    async with opened(token.settings) as adapter:
        asset = (await adapter.assets())[1].id
        terms, preimage = await terms_for(adapter, sender, recipient, asset=asset, amount=50)
        await adapter.submit(Lock(terms), sender)
        network.rpc("evm_mine")
        assert sent() - before == transactions
        await adapter.submit(Claim(adapter.lock_id(terms), preimage), recipient)
        network.rpc("evm_mine")
        assert (await adapter.lookup(adapter.lock_id(terms))).state is LockState.CLAIMED
        assert await adapter.balance(recipient.account, asset) == 50


async def test_a_token_that_takes_a_fee_is_refused(network: Network) -> None:
    token = Token(network, "FeeToken")
    sender, recipient = (credential(token.settings, one) for one in network.signers[:2])
    async with opened(token.settings) as adapter:
        asset = (await adapter.assets())[1].id
        terms, _ = await terms_for(adapter, sender, recipient, asset=asset, amount=50)
        with pytest.raises(Rejected, match="it takes a fee") as refused:
            await adapter.submit(Lock(terms), sender)
        assert refused.value.reason is RejectionReason.BAD_TERMS
        assert (await adapter.lookup(adapter.lock_id(terms))).state is LockState.ABSENT
        assert await adapter.balance(sender.account, asset) == HELD
