"""Anvil held to Geth: one sequence of calls to both, and everything that comes of it compared.

Legacy prices make fees the same to the wei, so that every balance must be.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from adapters.ethereum.devnet_contracts import COIN_EACH
from adapters.ethereum.identity import checksummed
from adapters.ethereum.lock_contract import BALANCE_OF, encode
from adapters.model import (
    Action,
    Claim,
    Lock,
    LockState,
    LockTerms,
    Preimage,
    Refund,
    Stage,
    Withdraw,
)
from tests.adapters.ethereum.bench import Stream
from tests.networks.anvil_and_geth import (
    FINAL_BY,
    PARTIES,
    Grounds,
    Pair,
    Side,
    grounds_in,
    pair_on,
)
from tests.networks.geth import geth_or_skip

pytestmark = pytest.mark.shows("ethereum", "Anvil and Geth", "the same calls, the same outcomes")
geth_or_skip()

SEEDS = (20_261, 20_262, 20_263)
STEPS = 120
T = TypeVar("T")


@pytest.fixture(scope="module")
def grounds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grounds]:
    with grounds_in(tmp_path_factory.mktemp("differential")) as grounds:
        yield grounds


class Generated:
    """Actions of the driver, generated: most are valid, the rest wrong in every way there is."""

    def __init__(self, pair: Pair, seed: int) -> None:
        self.pair = pair
        self.random = random.Random(seed)
        self.locks: list[tuple[LockState, LockTerms, Preimage, int]] = []
        """With who made each."""
        self.outcomes: list[str] = []

    def _preimage(self) -> Preimage:
        return Preimage(self.random.randbytes(32))

    def terms(self, owner: int, **changes: Any) -> tuple[LockState, LockTerms, Preimage]:
        side = self.pair.sides[0]
        preimage = self._preimage()
        recipient = (owner + self.random.randrange(1, PARTIES)) % PARTIES
        coin, token = _assets(side)
        terms = LockTerms(
            chain=side.adapter.profile.chain,
            contract=side.adapter.profile.contract,
            sender=side.signer_of(owner).account,
            recipient=side.signer_of(recipient).account,
            asset=self.random.choice((coin, token)),
            amount=self.random.randrange(1, 1_000),
            hashlock=preimage.hashlock(),
            deadline=self.pair.time + self.random.choice((8, 30, 100_000)),
        )
        return replace(terms, **changes), preimage

    async def submit(self, label: str, action: Action, number: int) -> str:
        outcome = await self.pair.both(
            label, lambda side: side.outcome(side.adapter.submit(action, side.signer_of(number)))
        )
        self.outcomes.append(outcome)
        return outcome

    async def step(self) -> None:
        kind = self.random.choices(
            ("lock", "bad lock", "claim", "refund", "withdraw", "mine"),
            (30, 12, 22, 14, 2, 16),
        )[0]
        await getattr(self, "_" + kind.replace(" ", "_"))()

    async def _lock(self) -> None:
        owner = self.random.randrange(PARTIES)
        terms, preimage = self.terms(owner)
        if await self.submit("lock", Lock(terms), owner) == "taken":
            self.locks.append((terms, preimage, owner))

    async def _bad_lock(self) -> None:
        owner = self.random.randrange(PARTIES)
        terms, _ = self.terms(owner)
        coin, _ = _assets(self.pair.sides[0])
        ids = self.pair.sides[0].settings
        kind = self.random.randrange(7)
        match kind:
            case 0:
                terms = replace(terms, amount=10**30)
            case 1:
                terms = replace(terms, deadline=self.pair.time - 1)
            case 2:
                terms = replace(terms, asset=coin, amount=COIN_EACH - 1)
            case 3 if self.locks:
                terms, _, owner = self.random.choice(self.locks)
            case 4:
                terms = replace(terms, sender=self.pair.sides[0].signer_of((owner + 1) % 3).account)
            case 5:
                contract = replace(terms.recipient, address=ids["contract"])
                terms = replace(terms, recipient=contract, asset=coin)
            case _:
                absent = replace(terms.asset, namespace="erc20", reference=_ABSENT)
                terms = replace(terms, asset=absent)
        await self.submit(f"bad lock {kind}", Lock(terms), owner)

    async def _claim(self) -> None:
        number = self.random.randrange(PARTIES)
        if not self.locks or self.random.random() < 0.1:
            terms, preimage = self.terms(number)
            lock_id = self.pair.sides[0].adapter.lock_id(terms)
            await self.submit("claim of nothing", Claim(lock_id, preimage), number)
            return
        terms, preimage, _ = self.random.choice(self.locks)
        if self.random.random() < 0.2:
            preimage = self._preimage()
        lock_id = self.pair.sides[0].adapter.lock_id(terms)
        await self.submit("claim", Claim(lock_id, preimage), number)

    async def _refund(self) -> None:
        if self.locks:
            terms, _, _ = self.random.choice(self.locks)
            lock_id = self.pair.sides[0].adapter.lock_id(terms)
            await self.submit("refund", Refund(lock_id), self.random.randrange(PARTIES))

    async def _withdraw(self) -> None:
        coin, _ = _assets(self.pair.sides[0])
        await self.submit("withdraw", Withdraw(coin), self.random.randrange(PARTIES))

    async def _mine(self) -> None:
        self.pair.mine(self.random.choice((1, 1, 2, 9)))


_ABSENT = checksummed(b"\xab" * 20)


def _assets(side: Side) -> tuple[Any, Any]:
    coin = side.settings["contract"]
    ids = side.adapter._ids
    assert checksummed(ids.contract) == coin
    return ids.coin, ids.asset(bytes.fromhex(side.settings["tokens"][0][2:]))


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_generated_sequence_of_actions(seed: int, grounds: Grounds) -> None:
    async with pair_on(grounds) as pair:
        generated = Generated(pair, seed)
        for _ in range(STEPS):
            await generated.step()
        for _ in range(FINAL_BY + 1):
            pair.mine()
        assert pair.found == {}
        # It went through most of what can be.
        assert len(set(generated.outcomes)) >= 9, set(generated.outcomes)
        assert len(await same(pair, _events)) > 40
        await same(pair, _accounts)
        await same(pair, _receipts)
        for terms, _, _ in generated.locks:
            lock_id = pair.sides[0].adapter.lock_id(terms)
            await same(pair, lambda side, one=lock_id: side.adapter.lookup(one))


async def test_many_locks_at_once_from_one_account(grounds: Grounds) -> None:
    """Which of them has which nonce is left to chance; what comes of them is not."""
    async with pair_on(grounds) as pair:
        generated = Generated(pair, 7)
        many = [generated.terms(0, deadline=pair.time + 100_000)[0] for _ in range(12)]

        async def lock_all(side: Side) -> str:
            own = side.signer_of(0)
            told = await asyncio.gather(
                *(side.outcome(side.adapter.submit(Lock(terms), own)) for terms in many)
            )
            return ", ".join(told)

        assert await pair.both("locks at once", lock_all) == ", ".join(["taken"] * len(many))
        pair.mine()
        await same(pair, _accounts)
        for terms in many:
            lock_id = pair.sides[0].adapter.lock_id(terms)
            record = await same(pair, lambda side, one=lock_id: side.adapter.lookup(one))
            assert record.state is LockState.OPEN


async def same(pair: Pair, read: Callable[[Side], Awaitable[T]]) -> T:
    """What both show."""
    anvil, geth = [await read(side) for side in pair.sides]
    assert anvil == geth
    return geth


async def _events(side: Side) -> list[Any]:
    """What a stream from the beginning tells as final, without hashes, which cannot be equal."""
    stream = Stream(side.adapter)
    newest = int(side.ask("eth_blockNumber"), 16)
    await stream.until(lambda notice: notice.head.height >= newest)
    told = [
        (one.event, one.position.height, one.position.index)
        for one in stream.observations()
        if one.stage is Stage.FINAL
    ]
    await stream.close()
    return told


async def _accounts(side: Side) -> list[Any]:
    """Of each party: coin, tokens, transactions."""
    found = []
    for number in range(PARTIES):
        address = side.signer_of(number).account.address
        data = "0x" + encode(BALANCE_OF, bytes.fromhex(address[2:])).hex()
        call = {"to": side.settings["tokens"][0], "data": data}
        found.append(
            (
                side.ask("eth_getBalance", address, "latest"),
                side.ask("eth_call", call, "latest"),
                side.ask("eth_getTransactionCount", address, "latest"),
            )
        )
    return found


async def _receipts(side: Side) -> list[Any]:
    """Of each transaction since the deployment, in the chain's order: who, status, gas, logs."""
    found = []
    parties = {side.signer_of(number).account.address.lower() for number in range(PARTIES)}
    for height in range(int(side.ask("eth_blockNumber"), 16) + 1):
        block = side.ask("eth_getBlockByNumber", hex(height), False)
        for transaction in block["transactions"]:
            receipt = side.ask("eth_getTransactionReceipt", transaction)
            if receipt["from"] in parties:
                logs = [(log["topics"], log["data"]) for log in receipt["logs"]]
                gas = (receipt["gasUsed"], receipt["effectiveGasPrice"])
                found.append((height, receipt["from"], receipt["status"], gas, logs))
    return found
