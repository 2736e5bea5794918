"""The driver encodes calls and reads events byte by byte; web3 does it from the contract's ABI.
Both must mean the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from web3 import HTTPProvider, Web3

from adapters.ethereum.adapter import EthereumAdapter
from adapters.ethereum.artifact import load
from adapters.ethereum.identity import parse_address
from adapters.ethereum.lock_contract import Call, LockContract
from adapters.ethereum.plugin import plugin
from adapters.model import Claim, Lock, LockTerms, Stage
from adapters.spi import Credential
from tests.adapters.ethereum.anvil import Network
from tests.adapters.ethereum.bench import Stream, credential, opened, terms_for


@pytest.fixture
def contract(network: Network) -> Any:
    """The network's lock contract, as web3 has it."""
    address = Web3.to_checksum_address(network.settings()["contract"])
    web3 = Web3(HTTPProvider(network.url))
    return web3.eth.contract(address=address, abi=load("HashTimeLockCancun").abi)


def parties(network: Network) -> tuple[Credential, Credential]:
    sender, recipient = (credential(network.settings(), one) for one in network.signers[:2])
    return sender, recipient


def driver_s(network: Network) -> LockContract:
    return LockContract(plugin.settings.model_validate(network.settings()).identities())


def read(contract: Any, call: Call) -> tuple[str, dict[str, Any]]:
    function, arguments = contract.decode_function_input(call.data)
    return function.fn_name, arguments


def shown(contract: LockContract, terms: LockTerms) -> list[Any]:
    """Terms, in the order and form in which web3 has them, with the hashlock left out."""
    parts = (terms.sender, terms.recipient)
    accounts = [Web3.to_checksum_address(contract.ids.address_of(one, "account")) for one in parts]
    token = Web3.to_checksum_address(contract.ids.token_of(terms.asset))
    return [*accounts, token, terms.amount, terms.deadline]


async def assets(adapter: EthereumAdapter, terms: LockTerms) -> tuple[LockTerms, LockTerms]:
    """The terms in coin, and in a token."""
    coin, token, *_ = [asset.id for asset in await adapter.assets()]
    return replace(terms, asset=coin), replace(terms, asset=token)


async def test_calls(network: Network, contract: Any) -> None:
    own = driver_s(network)
    sender, recipient = parties(network)
    async with opened(network.settings()) as adapter:
        terms, preimage = await terms_for(adapter, sender, recipient, amount=2**255 + 7)
        coin, token = await assets(adapter, terms)
    payee = shown(own, coin)[1]
    locking = own.lock(coin)
    assert locking.value == coin.amount
    opening = {"recipient": payee, "hashlock": bytes(coin.hashlock), "deadline": coin.deadline}
    assert read(contract, locking) == ("lockCoin", opening)
    locking = own.lock(token)
    assert locking.value == 0
    paid = {"token": shown(own, token)[2], "amount": token.amount}
    assert read(contract, locking) == ("lockToken", {**opening, **paid})
    for terms in (coin, token):
        *before, deadline = shown(own, terms)
        name, given = read(contract, own.claim(terms, preimage))
        assert (name, list(given["opening"].values())) == (
            "claim",
            [*before, preimage.value, deadline],
        )
        name, given = read(contract, own.refund(terms))
        assert (name, list(given["terms"].values())) == (
            "refund",
            [*before, bytes(terms.hashlock), deadline],
        )
    to = parse_address(payee, "payee")
    assert read(contract, own.withdraw_credit(to)) == ("withdrawCredit", {"to": payee})
    assert contract.functions.creditOf(payee).call() == 0


async def test_events_and_answers(network: Network, contract: Any) -> None:
    sender, recipient = parties(network)
    own = driver_s(network)
    async with opened(network.settings()) as adapter:
        stream = Stream(adapter)
        terms, preimage = await terms_for(adapter, sender, recipient)
        lock_id = adapter.lock_id(terms)
        given = (bytes(terms.hashlock), terms.deadline)
        accounts = shown(own, terms)
        assert contract.functions.idOf((*accounts[:4], *given)).call() == bytes(lock_id)
        assert contract.functions.lookup(bytes(lock_id)).call() == [0, 0, 0]
        await adapter.submit(Lock(terms), sender)
        network.rpc("evm_mine")
        seen = await stream.stage(lock_id, Stage.PENDING)
        (log,) = contract.events.LockOpened().get_logs(from_block=0)
        assert log["args"]["lockId"] == bytes(lock_id)
        assert [
            log["args"][name] for name in ("sender", "recipient", "asset", "amount", "deadline")
        ] == accounts
        assert log["blockNumber"] == seen.position.height
        assert contract.functions.lookup(bytes(lock_id)).call() == [1, seen.position.height, 0]

        await adapter.submit(Claim(lock_id, preimage), recipient)
        network.rpc("anvil_mine", "0x3")
        claimed = (await adapter.lookup(lock_id)).state
        (log,) = contract.events.LockClaimed().get_logs(from_block=0)
        assert log["args"]["preimage"] == preimage.value
        state, opened_at, settled_at = contract.functions.lookup(bytes(lock_id)).call()
        assert (state, opened_at, settled_at) == (2, seen.position.height, log["blockNumber"])
        assert claimed.value == "claimed"
        await stream.close()
