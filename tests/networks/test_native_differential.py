"""The embedded node against CometBFT: the same transactions to both, and the same chain in the end.

Both run the same application on the same genesis, so what a transaction does on one it must do on
the other, whatever the blocks are that it falls in. What cannot be the same stands in DIFFERENT.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from adapters.model import LockClaimed, LockEvent, LockOpened, LockRefunded
from adapters.native.app.codes import Code
from adapters.native.app.proof import verify
from adapters.native.app.records import HEAD_KEY, Account, account_key
from adapters.native.app.timestamp import Timestamp
from adapters.native.app.transaction import Transfer, Unsigned, transaction_id
from adapters.native.cometbft.block import base64_bytes, base64_text
from adapters.native.devnet_folder import ASSETS
from adapters.native.plugin import plugin
from adapters.native.settings import NativeSettings
from adapters.spi import Adapter
from tests.adapters.native.chain_fixture import ALICE, BOB, CAROL, Key
from tests.adapters.native.random_transactions import Drawn, RandomTransactions
from tests.networks.cometbft import PATIENCE, ask, cometbft_or_skip, height_of
from tests.networks.twins import Twins, running_twins

pytestmark = pytest.mark.shows(
    "native", "CometBFT, one validator", "the embedded ledger ends in the state of the real one"
)
cometbft_or_skip()

TRANSACTIONS = 1000
SEED = 38
SYMBOLS = [symbol for symbol, _ in ASSETS]

_BLOCK_TIME = re.compile(r"block time \d+")
"""In the words of a refusal. It is each chain's own."""

DIFFERENT = {
    "a transaction's proof": "the embedded node gives none of its inclusion in a block; the driver "
    "asks for none, as it reads the block",
    "the validator's own events": "CometBFT tells of votes, rounds and evidence; a chain of one "
    "embedded node has none",
}
"""What is not the same, and why. The RPC's list is in test_native_rpc_differential.py."""


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    with running_twins(tmp_path_factory.mktemp("twins")) as running:
        yield running


class Both:
    """Sends to both, and compares what they say at once."""

    def __init__(self, twins: Twins, client: httpx.AsyncClient) -> None:
        self.twins = twins
        self._client = client

    async def call(self, method: str, **params: Any) -> list[Any]:
        """Each one's answer: a result, or the words of an error."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answers = await asyncio.gather(
            *(self._client.post(url, json=request) for url in self.twins.urls)
        )
        found = [json.loads(_BLOCK_TIME.sub("block time T", answer.text)) for answer in answers]
        return [each["result"] if "result" in each else each["error"]["data"] for each in found]

    async def send(self, drawn: Drawn) -> int | str:
        """The code of both, or the words with which both refuse."""
        embedded, real = await self.call("broadcast_tx_sync", tx=base64_text(drawn.raw))
        assert embedded == real, f"{drawn.kind}: {embedded} and {real}"
        return embedded if isinstance(embedded, str) else int(embedded["code"])

    async def transaction(self, raw: bytes) -> list[Any]:
        """What ``tx`` shows of it. CometBFT's index is a moment behind its blocks."""
        name = base64_text(bytes.fromhex(transaction_id(raw)))
        async with asyncio.timeout(PATIENCE):
            while True:
                shown = await self.call("tx", hash=name)
                if not any(isinstance(each, str) for each in shown):
                    return shown
                await asyncio.sleep(0.05)

    async def records(self, *keys: bytes) -> list[bytes]:
        """What is under these keys, on both alike."""
        found = []
        for key in keys:
            embedded, real = await self.call("abci_query", path="/key", data=key.hex())
            assert embedded["response"]["value"] == real["response"]["value"]
            found.append(base64_bytes(embedded["response"]["value"]))
        return found

    async def reach(self, seconds: int) -> None:
        """Returns when both chains have this time."""
        async with asyncio.timeout(PATIENCE):
            while True:
                heads = await self.call("header")
                times = [Timestamp.parse(head["header"]["time"]).seconds for head in heads]
                if min(times) >= seconds:
                    return
                await asyncio.sleep(0.1)

    async def settled(self) -> None:
        """Returns when nothing waits in either pool."""
        async with asyncio.timeout(PATIENCE):
            while True:
                counts = await self.call("num_unconfirmed_txs")
                if all(count["total"] == "0" for count in counts):
                    return
                await asyncio.sleep(0.1)


@pytest.fixture
async def both(twins: Twins) -> AsyncIterator[Both]:
    async with httpx.AsyncClient(timeout=20, trust_env=False) as client:
        yield Both(twins, client)


async def _draws(
    both: Both, soon: int, seed: int = SEED, leave_out: Sequence[str] = ()
) -> RandomTransactions:
    """With deadlines at ``soon``, or so far away that none is reached."""
    keys = (ALICE, BOB, CAROL)
    draws = RandomTransactions(
        seed,
        both.twins.genesis,
        keys,
        SYMBOLS,
        lambda dice: dice.choice((soon, 2**40)),
        leave_out,
    )
    for key in keys:
        (record,) = await both.records(account_key(key.account))
        draws.begin(key.account, Account.decode(record).sequence)
    return draws


def _state(twins: Twins) -> list[dict[bytes, bytes]]:
    """All that the two applications have stored, but for the head: its height and time."""
    states = []
    for path in twins.states:
        with contextlib.closing(sqlite3.connect(path)) as database:
            state = dict(database.execute("SELECT key, value FROM item"))
        assert state.pop(HEAD_KEY)
        states.append(state)
    return states


@asynccontextmanager
async def _adapter(twins: Twins, url: str) -> AsyncIterator[Adapter]:
    settings = NativeSettings.model_validate(
        {
            "adapter": "native",
            "chain": f"isthmus:{twins.genesis.hex()[:32]}",
            "urls": [url],
            "account": ALICE.account.hex(),
            "assets": SYMBOLS,
            "inclusion": 5,
            "finality": 2,
            "clock": 4,
        }
    )
    async with plugin.open("native", settings) as adapter:
        yield adapter


async def _lock_events(twins: Twins, url: str, until: int) -> list[LockEvent]:
    """All up to a height, in the chain's order, as the driver tells them."""
    events: list[LockEvent] = []
    async with _adapter(twins, url) as adapter, asyncio.timeout(PATIENCE):
        async for notice in adapter.events(None):
            events += [observation.event for observation in notice.observations]
            if int(notice.cursor.text.partition(":")[0]) >= until:
                return events
    raise AssertionError("a stream has no end")


async def test_a_transaction_is_found_as_soon_as_the_chain_has_it(twins: Twins) -> None:
    """CometBFT's index of transactions is a moment behind its blocks; the driver is not."""
    for url in twins.urls:
        async with _adapter(twins, url) as adapter:
            for _ in range(12):
                sequence = Account.decode(await _record(url, account_key(BOB.account))).sequence
                tx = _transfer(twins, BOB, sequence, ALICE)
                await ask(url, "broadcast_tx_sync", tx=base64_text(tx))
                async with asyncio.timeout(PATIENCE):
                    while True:
                        record = await _record(url, account_key(BOB.account))
                        if Account.decode(record).sequence > sequence:
                            break
                found = await adapter.transaction(transaction_id(tx))
                assert (found.raw, found.succeeded) == (tx, True)
                block = await adapter.block(found.height)
                assert block.transactions[found.index] == transaction_id(tx)
                assert block.header.hash == found.block_hash
                later = await adapter.transaction(transaction_id(tx))
                assert later == found


async def _record(url: str, key: bytes) -> bytes:
    answer = await ask(url, "abci_query", path="/key", data=key.hex())
    return base64_bytes(answer["response"]["value"])


def _transfer(twins: Twins, key: Key, sequence: int, to: Key) -> bytes:
    unsigned = Unsigned(twins.genesis, key.account, sequence, Transfer(SYMBOLS[0], to.account, 1))
    return unsigned.signed(key.sign_now(unsigned.digest())).encode()


async def test_transactions_in_their_own_blocks_have_the_same_results(both: Both) -> None:
    """What broadcast_tx_commit, tx and block_results show of them, word for word."""
    draws = await _draws(both, 2**40, seed=3, leave_out=["rotation"])
    for _ in range(40):
        drawn = draws.draw()
        answers = await both.call("broadcast_tx_commit", tx=base64_text(drawn.raw))
        # CometBFT says of the same refusal by which call it came.
        answers = [
            each.removeprefix("error on broadcastTxCommit: ") if isinstance(each, str) else each
            for each in answers
        ]
        heights = [each.pop("height") for each in answers if not isinstance(each, str)]
        assert answers[0] == answers[1], drawn.kind
        if isinstance(answers[0], str):
            continue
        draws.answered(drawn, answers[0]["check_tx"]["code"])
        if answers[0]["check_tx"]["code"] != Code.OK:
            assert heights == ["0", "0"]
            continue
        shown = await both.transaction(drawn.raw)
        assert [each.pop("height") for each in shown] == heights
        assert shown[0] == shown[1]
        results = [
            await ask(url, "block_results", height=height)
            for url, height in zip(both.twins.urls, heights, strict=True)
        ]
        assert results[0]["txs_results"] == results[1]["txs_results"]
        assert set(results[0]) == set(results[1])


async def test_many_at_once_are_all_taken(both: Both) -> None:
    """From three accounts at once: each number is used once, and all are in the chain."""
    keys = (ALICE, BOB, CAROL)
    before = await both.records(*(account_key(key.account) for key in keys))
    txs = [
        _transfer(both.twins, key, Account.decode(record).sequence + number, BOB)
        for key, record in zip(keys, before, strict=True)
        for number in range(30)
    ]
    answers = await asyncio.gather(
        *(both.call("broadcast_tx_sync", tx=base64_text(tx)) for tx in txs)
    )
    assert all(each["code"] == Code.OK for pair in answers for each in pair)
    await both.settled()
    after = await both.records(*(account_key(key.account) for key in keys))
    assert [Account.decode(each).sequence for each in after] == [
        Account.decode(each).sequence + 30 for each in before
    ]


async def test_records_are_proved_at_every_height_on_both(both: Both) -> None:
    """By the app hash of the block that follows."""
    key, absent = account_key(ALICE.account), b"nothing"
    for url in both.twins.urls:
        newest = await height_of(url)
        for height in (newest - 1, newest - 3, 1):
            header = (await ask(url, "header", height=str(height + 1)))["header"]
            for name in (key, absent):
                response = (
                    await ask(
                        url,
                        "abci_query",
                        path="/key",
                        data=name.hex(),
                        height=str(height),
                        prove=True,
                    )
                )["response"]
                value = base64_bytes(response["value"]) if response["value"] else None
                (operation,) = response["proofOps"]["ops"]
                assert (value is None) == (name is absent)
                root = bytes.fromhex(header["app_hash"])
                assert verify(root, name, value, base64_bytes(operation["data"]))
                assert not verify(bytes(32), name, value, base64_bytes(operation["data"]))


async def test_a_subscriber_is_told_the_same_by_both(both: Both) -> None:
    told = []
    sequence = Account.decode((await both.records(account_key(CAROL.account)))[0]).sequence
    tx = _transfer(both.twins, CAROL, sequence, ALICE)
    for url in both.twins.urls:
        async with connect(f"ws{url.removeprefix('http')}/websocket", proxy=None) as socket:
            told.append(await _conversation(socket, tx))
    embedded, real = told
    assert embedded == real


QUERIES = ("tm.event='NewBlockHeader'", "tm.event = 'NewBlock'", "tm.event='Tx'")


async def _conversation(socket: ClientConnection, tx: bytes) -> list[Any]:
    """What a subscriber hears: each answer, then one event of each kind, without its times."""
    heard: list[Any] = []

    async def ask_over(method: str, params: Any, identity: Any) -> None:
        await socket.send(
            json.dumps({"jsonrpc": "2.0", "id": identity, "method": method, "params": params})
        )
        while True:
            answer = json.loads(await socket.recv())
            if "query" not in answer.get("result", {}):
                error = answer.get("error", {})
                data = error.get("data", "")
                if data.startswith(("error converting", "failed to parse query")):
                    error["data"] = "(Go's words)"
                heard.append(answer)
                return

    async with asyncio.timeout(PATIENCE):
        await ask_over("unsubscribe_all", {}, 0)
        await ask_over("subscribe", {"query": QUERIES[0]}, 1)
        await ask_over("subscribe", {"query": QUERIES[0]}, 2)
        await ask_over("subscribe", {"query": "tm.event="}, 3)
        await ask_over("subscribe", {"query": 7}, 4)
        await ask_over("subscribe", [QUERIES[1]], "five")
        await ask_over("subscribe", {"query": QUERIES[2]}, 6)
        await ask_over("unsubscribe", {"query": "tm.event='Vote'"}, 7)
        await ask_over("block", {"height": "x"}, 8)
        await ask_over("nosuch", {}, 9)
        await ask_over("health", {}, 10)
        await socket.send("noise")
        assert json.loads(await socket.recv())["error"]["code"] == -32700
        await ask_over("broadcast_tx_sync", {"tx": base64_text(tx)}, 11)
        events: dict[str, Any] = {}
        while len(events) < len(QUERIES):
            answer = json.loads(await socket.recv())
            result = answer["result"]
            kind = result["data"]["type"]
            if (
                kind == "tendermint/event/NewBlock"
                and not result["data"]["value"]["block"]["data"]["txs"]
            ):
                continue
            events[kind] = _without_times(answer)
        await ask_over("unsubscribe", {"query": QUERIES[2]}, 12)
        await ask_over("unsubscribe_all", {}, 13)
    return [*heard, events]


def _without_times(value: Any) -> Any:
    own = (
        *("height", "tx.height", "time", "hash", "app_hash", "block_id", "last_block_id"),
        *("last_commit", "last_commit_hash", "last_results_hash", "data_hash"),
    )
    match value:
        case dict():
            return {
                name: type(inner).__name__ if name in own else _without_times(inner)
                for name, inner in value.items()
            }
        case list():
            return [_without_times(inner) for inner in value]
        case _:
            return value


async def test_a_thousand_random_transactions_end_in_the_same_state(both: Both) -> None:
    """Half of the deadlines are reached on the way; while they are, nothing is sent."""
    twins = both.twins
    start = int(time.time())
    soon = start + 10
    draws = await _draws(both, soon)
    codes: set[int | str] = set()
    sent = 0
    while sent < TRANSACTIONS:
        if start + 6 < time.time() <= soon + 2:
            await both.settled()
            await both.reach(soon + 1)
        drawn = draws.draw()
        code = await both.send(drawn)
        draws.answered(drawn, code if isinstance(code, int) else -1)
        codes.add(code)
        sent += 1
    await both.settled()
    assert set(Code) <= codes, f"the dice have not shown {set(Code) - codes}"
    events = [await _lock_events(twins, url, await height_of(url)) for url in twins.urls]
    assert {type(event) for event in events[0]} == {LockOpened, LockClaimed, LockRefunded}
    assert _by_lock(events[0]) == _by_lock(events[1])
    twins.processes.stop()
    try:
        embedded, real = _state(twins)
        assert embedded == real
        assert len(embedded) > 100
    finally:
        await twins.start()


def _by_lock(events: Sequence[LockEvent]) -> dict[bytes, list[LockEvent]]:
    """The events of each lock in their order. Between locks the blocks decide, and these are each
    chain's own."""
    found: dict[bytes, list[LockEvent]] = {}
    for event in events:
        found.setdefault(event.lock_id, []).append(event)
    return found
