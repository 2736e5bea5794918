"""A chain of London's rules without a base fee, where gas costs nothing. The accounts hold no coin
but what they lock.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account as KeyFiles

from adapters.ethereum.adapter import EthereumAdapter
from adapters.ethereum.deploy import main
from adapters.ethereum.fees import FeePolicy, Market, raised
from adapters.ethereum.signed_transaction import Fees
from adapters.model import Claim, Lock, LockState, Refund
from adapters.spi import Credential
from tests.adapters.ethereum.anvil import Process, bare_anvil, rpc
from tests.adapters.ethereum.bench import credential, opened, terms_for
from tests.adapters.ethereum.signer import LocalSigner

pytestmark = pytest.mark.shows(
    "ethereum", "Anvil, London, no base fee, free gas", "deploy, swap, replacement"
)
AMOUNT = 5
ARGUMENTS = ("--hardfork", "london", "--base-fee", "0", "--gas-price", "0")


@dataclass(frozen=True)
class Ground:
    node: Process
    settings: dict[str, Any]

    def ask(self, method: str, *params: Any) -> Any:
        return rpc(self.node.url, method, *params)

    def party(self, name: str, coin: int) -> Credential:
        """A new account that holds so much."""
        own = credential(self.settings, LocalSigner(name))
        self.ask("anvil_setBalance", own.account.address, hex(coin))
        return own

    def next_block(self) -> None:
        """Without a base fee again, which Anvil reckons anew for each block."""
        self.ask("anvil_setNextBlockBaseFeePerGas", "0x0")
        self.ask("evm_mine")

    def pool(self, account: str) -> dict[str, Any]:
        """What waits of the account, by nonce."""
        content = self.ask("txpool_content")
        groups = [*content["pending"].items(), *content["queued"].items()]
        found = [waiting for owner, waiting in groups if owner.lower() == account.lower()]
        return {nonce: one for waiting in found for nonce, one in waiting.items()}


@pytest.fixture(scope="module")
def ground(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Ground]:
    """With the lock contract deployed, by the command, with a key that owns nothing."""
    folder = tmp_path_factory.mktemp("free")
    sealed = KeyFiles.encrypt(b"\x21" * 32, "p", kdf="scrypt", iterations=2)
    (folder / "key").write_text(json.dumps(sealed))
    (folder / "passphrase").write_text("p")
    with bare_anvil(folder / "anvil.log", *ARGUMENTS) as node:
        said = _deployed(folder, node.url)
        rpc(node.url, "evm_setAutomine", False)
        settings = {
            "adapter": "ethereum",
            "chain": "eip155:31337",
            "urls": [node.url],
            "contract": said["contract"],
            "deployed_at": int(said["deployed_at"]),
            "final_by": 0,
            "gas_price": 0,
            "inclusion": 600,
            "finality": 2,
            "clock": 2,
            "poll_interval": 0.05,
        }
        yield Ground(node, settings)


def _deployed(folder: Path, url: str) -> dict[str, str]:
    out = io.StringIO()
    files = ["--key-file", str(folder / "key"), "--passphrase-file", str(folder / "passphrase")]
    with contextlib.redirect_stdout(out):
        status = main(["--chain", "eip155:31337", "--url", url, "--gas-price", "0", *files])
    assert status == 0
    said = dict(line.split(": ", 1) for line in out.getvalue().splitlines())
    assert said["made_from"] == "HashTimeLockParis", "London knows no transient storage"
    return said


@pytest.fixture
async def adapter(ground: Ground) -> AsyncIterator[EthereumAdapter]:
    async with opened(ground.settings) as adapter:
        yield adapter


async def test_a_lock_is_claimed_and_another_refunded(
    ground: Ground, adapter: EthereumAdapter
) -> None:
    """By accounts that hold what they lock, and nothing for fees."""
    sender, recipient = ground.party("one", 2 * AMOUNT), ground.party("two", 0)
    claimed, preimage = await terms_for(adapter, sender, recipient, amount=AMOUNT)
    refunded, _ = await terms_for(adapter, sender, recipient, amount=AMOUNT)
    refunded = replace(refunded, deadline=(await adapter.head()).time + 1_000)
    assert [one for one in await adapter.diagnose(recipient) if not one.ok] == []
    for terms in (claimed, refunded):
        assert await adapter.objections(terms) == []
        await adapter.submit(Lock(terms), sender)
    ground.next_block()
    coin = claimed.asset
    assert await adapter.balance(sender.account, coin) == 0
    assert await adapter.claim_obstacles(adapter.lock_id(claimed), recipient) == []
    sent = await adapter.submit(Claim(adapter.lock_id(claimed), preimage), recipient)
    ground.next_block()
    assert await adapter.balance(recipient.account, coin) == AMOUNT
    assert (await adapter.transaction(sent.transaction)).fee == 0
    ground.ask("evm_setNextBlockTimestamp", hex(refunded.deadline))
    ground.next_block()
    await adapter.submit(Refund(adapter.lock_id(refunded)), recipient)
    ground.next_block()
    assert await adapter.balance(sender.account, coin) == AMOUNT
    states = [(await adapter.lookup(adapter.lock_id(one))).state for one in (claimed, refunded)]
    assert states == [LockState.CLAIMED, LockState.REFUNDED]


async def test_what_is_stuck_is_replaced_for_a_wei(
    ground: Ground, adapter: EthereumAdapter
) -> None:
    """More than nothing, which is all that nodes ask; the account must have it."""
    sender, recipient = ground.party("three", 10**9), ground.party("two", 0)
    terms, _ = await terms_for(adapter, sender, recipient, amount=AMOUNT)
    first = await adapter.submit(Lock(terms), sender)
    (account,) = adapter.accounts()
    account._patience = 0.0
    second = await adapter.submit(Lock(terms), sender)
    assert second != first
    (waiting,) = ground.pool(sender.account.address).values()
    assert waiting["hash"] == second.transaction
    assert 1 <= int(waiting["gasPrice"], 16) <= 2, "once by who looks after the line, once by us"
    ground.next_block()
    assert (await adapter.lookup(adapter.lock_id(terms))).state is LockState.OPEN


async def test_what_is_stuck_and_cannot_pay_a_wei_is_handed_in_again(
    ground: Ground, adapter: EthereumAdapter
) -> None:
    sender, recipient = ground.party("four", AMOUNT), ground.party("two", 0)
    terms, _ = await terms_for(adapter, sender, recipient, amount=AMOUNT)
    first = await adapter.submit(Lock(terms), sender)
    ground.ask("anvil_dropTransaction", first.transaction)
    assert ground.pool(sender.account.address) == {}
    (account,) = adapter.accounts()
    account._patience = 0.0
    assert await adapter.submit(Lock(terms), sender) == first
    assert [one["hash"] for one in ground.pool(sender.account.address).values()] == [
        first.transaction
    ]
    ground.next_block()
    assert (await adapter.lookup(adapter.lock_id(terms))).state is LockState.OPEN


@pytest.mark.parametrize("coin", [AMOUNT, 10**9])
async def test_a_lock_that_was_given_up_is_replaced(
    coin: int, ground: Ground, adapter: EthereumAdapter
) -> None:
    """Where the account can pay a wei, at the node that has it; where not, at one that lost it."""
    name = f"gives up {coin}"
    sender, recipient = ground.party(name, coin), ground.party("two", 0)
    terms, _ = await terms_for(adapter, sender, recipient, amount=AMOUNT)
    first = await adapter.submit(Lock(terms), sender)
    if coin == AMOUNT:
        ground.ask("anvil_dropTransaction", first.transaction)
    assert await adapter.abandon(terms, sender) is False
    (waiting,) = ground.pool(sender.account.address).values()
    assert int(waiting["gasPrice"], 16) == (0 if coin == AMOUNT else 1)
    assert waiting["to"] == sender.account.address.lower(), "nothing, to itself"
    ground.next_block()
    assert await adapter.abandon(terms, sender) is True
    assert (await adapter.lookup(adapter.lock_id(terms))).state is LockState.ABSENT


FREE = Market(0, Fees(0, 0))
NO_CAP = FeePolicy(None, None, None, False)


@pytest.mark.parametrize(
    ("old", "price"),
    [
        (Fees(0, None), Fees(1, None)),
        (Fees(0, 0), Fees(1, 1)),
        (Fees(7, 0), Fees(8, 1)),
        (Fees(1, None), Fees(2, None)),
        (Fees(80, None), Fees(90, None)),
    ],
)
def test_a_replacement_is_dearer_in_every_field(old: Fees, price: Fees) -> None:
    assert raised(old, FREE, NO_CAP) == price


def test_a_cap_of_nothing_leaves_no_room() -> None:
    assert raised(Fees(0, None), FREE, FeePolicy(0, None, None, False)) is None


def test_the_chain_has_no_base_fee(ground: Ground) -> None:
    ground.next_block()
    assert ground.ask("eth_getBlockByNumber", "latest", False)["baseFeePerGas"] == "0x0"
