"""Proposals on four validators of which one breaks the rules, or has a clock that is off.

It proposes blocks that no honest one would make. The others reject them, another round makes the
block, and nothing of what was proposed is ever on the chain.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from adapters.model import Claim, LockState, Refund
from adapters.native.app.transaction import ClaimLock, Operation, RefundLock, Transfer, Unsigned
from adapters.native.cometbft.block import base64_bytes, base64_text
from tests.adapters.native.bench import fresh
from tests.adapters.native.chain_fixture import ALICE, BOB, CAROL, Key
from tests.networks.cometbft import (
    NETWORK,
    PATIENCE,
    CometNetwork,
    address_of,
    ask,
    cometbft_or_skip,
    running,
)
from tests.networks.dishonest_application import PROPOSE, PROPOSED
from tests.networks.native_locks import (
    AMOUNT,
    balance_of_bob,
    carried_out,
    chain_time,
    opened,
)

cometbft_or_skip()

ODD = 3
"""The validator that is not like the others."""


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CometNetwork]:
    made = CometNetwork(
        tmp_path_factory.mktemp("dishonest"),
        applications={ODD: ("tests.networks.dishonest_application",)},
        commit="200ms",
    )
    with running(made) as network:
        yield network


class Proposer:
    """Tells the dishonest validator what to propose."""

    def __init__(self, network: CometNetwork) -> None:
        self._folder: Path = network.validators[ODD].home / "application"
        self._network = network

    async def proposes(self, *txs: bytes) -> Sequence[int]:
        """The heights at which it has proposed these, once they are decided."""
        before = len(self._heights())
        part = self._folder / "propose.part"
        part.write_text(json.dumps([tx.hex() for tx in txs]))
        part.rename(self._folder / PROPOSE)
        async with asyncio.timeout(PATIENCE):
            while True:
                if len(self._heights()) > before:
                    break
                await asyncio.sleep(0.05)
        heights = self._heights()[before:]
        # It is told so until the block is decided: by then others had to propose.
        await self._network.reached(heights[-1] + 1, 0, 1, 2)
        (self._folder / PROPOSE).unlink()
        return heights

    def _heights(self) -> list[int]:
        try:
            return [int(line) for line in (self._folder / PROPOSED).read_text().split()]
        except FileNotFoundError:
            return []


def signed(genesis: bytes, key: Key, sequence: int, operation: Operation) -> bytes:
    unsigned = Unsigned(genesis, key.account, sequence, operation)
    return unsigned.signed(key.sign_now(unsigned.digest())).encode()


@pytest.mark.shows("native", NETWORK, "a validator proposes blocks that break the rules")
async def test_blocks_that_break_the_rules_are_rejected_and_the_chain_goes_on(
    network: CometNetwork,
) -> None:
    genesis_file = json.loads((network.validators[0].home / "config" / "genesis.json").read_text())
    assert len(genesis_file["validators"]) == 4
    url = network.validators[0].url
    async with network.adapter(0, 1, 2) as adapter:
        preimage, refundable = fresh(), fresh()
        late = await opened(adapter, network, preimage, seconds=4)
        early = await opened(adapter, network, refundable, seconds=3600)
        await chain_time(adapter, (await adapter.lookup(late)).terms.deadline)  # type: ignore[union-attr]
        genesis = adapter._genesis  # type: ignore[attr-defined]
        coin = "COIN"

        def transfer(amount: int = 1, sequence: int = 0, key: Key = CAROL) -> bytes:
            return signed(genesis, key, sequence, Transfer(coin, BOB.account, amount))

        # One that is on the chain already.
        committed = transfer()
        answer = await ask(url, "broadcast_tx_commit", tx=base64_text(committed))
        assert answer["tx_result"]["code"] == 0
        before = await balance_of_bob(adapter, network)
        by_another = Unsigned(genesis, CAROL.account, 1, Transfer(coin, BOB.account, 1))
        good = transfer(sequence=1)
        mischief = {
            "noise": (b"noise",),
            "more than there is": (transfer(10**30, 1),),
            "what is on the chain already": (committed,),
            "one transaction twice": (good, good),
            "signed by another": (by_another.signed(ALICE.sign_now(by_another.digest())).encode(),),
            "a claim after its deadline": (
                signed(genesis, BOB, 0, ClaimLock(late, preimage.value)),
            ),
            "a refund before its deadline": (signed(genesis, BOB, 0, RefundLock(early)),),
            "one good one, and one that fails": (good, transfer(1, 10_000)),
        }
        for kind, txs in mischief.items():
            heights = await Proposer(network).proposes(*txs)
            for height in heights:
                block = (await ask(url, "block", height=str(height)))["block"]
                on_chain = {base64_bytes(tx) for tx in block["data"]["txs"]}
                assert not on_chain & set(txs), f"{kind}: is on the chain at height {height}"
                following = (await ask(url, "block", height=str(height + 1)))["block"]
                assert following["last_commit"]["round"] > 0, f"{kind}: was not even rejected"
        assert await balance_of_bob(adapter, network) == before
        # Nor is an honest transaction held up, and the dishonest validator follows.
        await carried_out(
            adapter, Claim(early, refundable), network.credential(BOB), LockState.CLAIMED
        )
        assert await balance_of_bob(adapter, network) == before + AMOUNT
    height = await network.blocks(2)
    await network.reached(height + 1)
    headers = [
        (await ask(validator.url, "header", height=str(height)))["header"]
        for validator in network.validators
    ]
    assert len({header["app_hash"] for header in headers}) == 1


@pytest.mark.shows("native", NETWORK, "a node whose clock is off by two minutes")
@pytest.mark.parametrize("off", [120, -120])
async def test_a_validator_whose_clock_is_off_holds_up_neither_claims_nor_refunds(
    network: CometNetwork, off: int
) -> None:
    """By its clock every header is old, or from the future: its own blocks have no claim, or no
    refund, and it votes against those that have; three of four are enough."""
    network.kill(ODD)
    network.set_application(ODD, "tests.networks.shifted_application", str(off))
    network.start(ODD)
    await network.reached(await network.height() + 1, ODD)
    since = await network.height()
    odd = address_of(network.validators[ODD].home)
    # The odd one's own node takes the transactions: it passes them on.
    async with network.adapter(ODD) as adapter, network.adapter(0, 1) as others:
        for _ in range(2):
            preimage = fresh()
            claimed = await opened(adapter, network, preimage)
            refunded = await opened(adapter, network, fresh(), seconds=4)
            await carried_out(
                adapter, Claim(claimed, preimage), network.credential(BOB), LockState.CLAIMED
            )
            terms = (await others.lookup(refunded)).terms
            assert terms is not None
            # Each node judges by the newest block that it has itself.
            for each in (others, adapter):
                await chain_time(each, terms.deadline)
            await carried_out(
                adapter, Refund(refunded), network.credential(BOB), LockState.REFUNDED
            )
    kinds = await proposers(network, since + 1)
    assert b"\x07" in kinds
    assert b"\x08" in kinds
    forbidden = b"\x07" if off > 0 else b"\x08"
    assert odd not in kinds[forbidden], "the odd validator's proposal has what it must leave out"
    # It proposes all the same.
    assert any(odd in proposers_of for proposers_of in kinds.values())


async def proposers(network: CometNetwork, first: int) -> dict[bytes, set[str]]:
    """Who has proposed transactions of each kind (the byte that says so), from block ``first`` on;
    b"" for blocks without."""
    url = network.validators[0].url
    found: dict[bytes, set[str]] = {}
    for number in range(first, await network.height() + 1):
        block = (await ask(url, "block", height=str(number)))["block"]
        for kind in {base64_bytes(tx)[73:74] for tx in block["data"]["txs"]} or {b""}:
            found.setdefault(kind, set()).add(block["header"]["proposer_address"])
    return found
