"""Nodes of Ethereum that die, lag, have a wrong clock or ask for silence, amid locks and claims.

Geth is the node; what it cannot be made to show stands at the network's edge before it.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from adapters.ethereum.adapter import EthereumAdapter
from adapters.model import (
    Action,
    Claim,
    Lock,
    LockClaimed,
    LockOpened,
    LockState,
    Refund,
    Stage,
)
from adapters.spi import Credential, NotSent, Rejected, Unavailable, Unknown
from tests.adapters.ethereum.bench import Stream, credential, opened, terms_for
from tests.adapters.ethereum.edge import Answer, Edge, Request, edge_before, result
from tests.adapters.ethereum.signer import LocalSigner
from tests.networks.geth import NETWORK, Blocks, GethNetwork, geth_or_skip, running
from tests.networks.organisations import after, organisations
from tests.ports import free_port

geth_or_skip()

PATIENCE = 60.0
DEPTH = 2


def shows(scenario: str) -> pytest.MarkDecorator:
    return pytest.mark.shows("ethereum", NETWORK, scenario)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> GethNetwork:
    """Deployed and funded, and stopped."""
    signers = [LocalSigner(f"faults {number}") for number in range(2)]
    network = GethNetwork(
        tmp_path_factory.mktemp("prepared"), signers, Blocks.WITH_EACH_TRANSACTION
    )
    with running(network):
        asyncio.run(network.devnet.ready())
    return network


@pytest.fixture(scope="module")
def network(
    prepared: GethNetwork, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GethNetwork]:
    """Makes blocks when it is told to. One for all: what one test does to it another bears."""
    folder = tmp_path_factory.mktemp("faults") / "network"
    with running(prepared.copy_to(folder, Blocks.ON_DEMAND)) as network:
        yield network


async def submitted(adapter: EthereumAdapter, action: Action, own: Credential) -> None:
    """As the executor does it: again, where that is safe or the chain shows that it is needed."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await adapter.submit(action, own)
                return
            except (NotSent, Unknown, Unavailable):
                await asyncio.sleep(0.1)


# --- killed ---------------------------------------------------------------------------------------


@shows("the node is killed and started in the middle of a swap")
@pytest.mark.timeout(300)
async def test_geth_is_killed_under_a_lock_and_under_a_claim(tmp_path: Path) -> None:
    """Whole swaps between gateways; kill -9 when the responder locks there, and when the initiator
    claims."""
    async with organisations(tmp_path, ("native", "ethereum")) as both:
        for kind, by in (("locking", "beta"), ("revealing", "alpha")):
            before = await both.both()
            swap = await both.offered()
            await both.told(swap, kind, by)
            both.processes.signal("geth", signal.SIGKILL)
            both.start_again("geth")
            await both.completed(swap)
            assert await both.both() == after(before)


@shows("the node is killed and started with transactions in its pool")
@pytest.mark.parametrize("moment", ["waits", "is in a block"])
async def test_geth_is_killed_while_a_transaction_waits(moment: str, network: GethNetwork) -> None:
    """It may have lost the transaction, or kept it: submitted again, it is there once."""
    settings = network.settings(final_by=DEPTH, poll_interval=0.05)
    sender, recipient = (credential(settings, one) for one in network.signers)

    def sent(own: Credential) -> int:
        return int(network.rpc("eth_getTransactionCount", own.account.address, "latest"), 16)

    def dies() -> None:
        if moment == "is in a block":
            network.mine()
        network.process.kill()
        network.process.start()

    async with opened(settings) as adapter:
        terms, preimage = await terms_for(adapter, sender, recipient)
        lock_id = adapter.lock_id(terms)
        coin = terms.asset
        held = await adapter.balance(recipient.account, coin)
        before = sent(sender)
        await adapter.submit(Lock(terms), sender)
        await asyncio.to_thread(dies)
        record = await adapter.lookup(lock_id)
        if moment == "is in a block":
            assert record.state is LockState.OPEN
        elif record.state is LockState.ABSENT:
            await submitted(adapter, Lock(terms), sender)
            network.mine()
        await submitted(adapter, Claim(lock_id, preimage), recipient)
        await asyncio.to_thread(dies)
        if (await adapter.lookup(lock_id)).state is LockState.OPEN:
            await submitted(adapter, Claim(lock_id, preimage), recipient)
        network.mine(DEPTH + 1)
        stream = Stream(adapter)
        await stream.until(lambda notice: notice.head.height == network.height())
        assert stream.stages(lock_id) == [Stage.FINAL, Stage.FINAL]
        assert (await adapter.lookup(lock_id)).state is LockState.CLAIMED
        assert sent(sender) == before + 1
        assert await adapter.balance(recipient.account, coin) <= held + terms.amount
        await stream.close()


# --- behind ---------------------------------------------------------------------------------------

BEHIND = 50


class Old:
    """A view of a node as it was some blocks ago: Geth keeps every state."""

    def __init__(self, network: GethNetwork, blocks: int) -> None:
        self._network = network
        self.blocks = blocks

    def __call__(self, request: Request) -> Answer | None:
        params = list(request["params"])
        seen = self._network.height() - self.blocks
        match request["method"]:
            case "eth_blockNumber":
                return result(hex(seen))
            case "eth_getLogs":
                (where,) = params
                if int(where.get("fromBlock", "0x0"), 16) > seen:
                    return result([])
                return None
            case "eth_getBlockByNumber":
                if params[0] not in ("latest", "pending") and int(params[0], 16) > seen:
                    return result(None)
            case "eth_sendRawTransaction" | "eth_chainId" | "txpool_contentFrom":
                return None
        if not {"latest", "pending"} & {one for one in params if isinstance(one, str)}:
            return None
        old = [hex(seen) if one in ("latest", "pending") else one for one in params]
        return result(self._network.rpc(request["method"], *old))


@asynccontextmanager
async def old_view(network: GethNetwork) -> AsyncIterator[Edge]:
    async with edge_before(network.url) as edge:
        edge.rule = Old(network, BEHIND)
        yield edge


@shows("a node that is 50 blocks behind")
async def test_a_node_that_is_behind_is_left_for_one_that_is_not(network: GethNetwork) -> None:
    network.mine(BEHIND + 5)
    async with old_view(network) as old:
        settings = network.settings(urls=[old.url, network.url], poll_interval=0.05)
        sender, recipient = (credential(settings, one) for one in network.signers)
        async with opened(settings) as adapter:
            stream = Stream(adapter)
            first = (await stream.until(lambda notice: True)).head
            # Nobody knows of anything newer: an old view is as good as any.
            assert first.height == network.height() - BEHIND
            old.rule = lambda _request: Answer(503)
            await stream.until(lambda notice: notice.head.height == network.height())
            old.rule = Old(network, BEHIND)
            assert (await adapter.head()).height == network.height()
            terms, preimage = await terms_for(adapter, sender, recipient)
            lock_id = adapter.lock_id(terms)
            await submitted(adapter, Lock(terms), sender)
            network.mine()
            await stream.stage(lock_id, Stage.PENDING)
            await submitted(adapter, Claim(lock_id, preimage), recipient)
            network.mine(DEPTH + 1)
            await stream.until(lambda notice: notice.head.height == network.height())
            assert stream.stages(lock_id)[-1] is Stage.FINAL
            assert Stage.RETRACTED not in stream.stages(lock_id)
            assert all(notice.violation is None for notice in stream.notices)
            heights = [notice.head.height for notice in stream.notices]
            assert heights == sorted(heights)
            await stream.close()


@shows("a node that is 50 blocks behind")
async def test_a_node_that_falls_behind_takes_nothing_back(network: GethNetwork) -> None:
    """Alone, it is Unavailable until it has caught up; nothing is retracted, nothing is lost."""
    network.mine(BEHIND + 5)
    async with edge_before(network.url) as edge:
        settings = network.settings(urls=[edge.url], poll_interval=0.05)
        sender, recipient = (credential(settings, one) for one in network.signers)
        async with opened(settings) as adapter:
            terms, _ = await terms_for(adapter, sender, recipient)
            lock_id = adapter.lock_id(terms)
            await adapter.submit(Lock(terms), sender)
            network.mine()
            stream = Stream(adapter)
            await stream.stage(lock_id, Stage.PENDING)
            edge.rule = Old(network, BEHIND)
            with pytest.raises(Unavailable, match="gone back from block"):
                await adapter.head()
            with pytest.raises(Unavailable, match="gone back from block"):
                await stream.until(lambda notice: False)
            edge.rule = lambda _request: None
            resumed = Stream(adapter, stream.notices[-1].cursor)
            network.mine(DEPTH)
            await resumed.stage(lock_id, Stage.FINAL)
            assert resumed.stages(lock_id) == [Stage.FINAL]
            await resumed.close()


# --- a clock that is off --------------------------------------------------------------------------


@shows("a node whose clock is two minutes off")
async def test_blocks_of_a_clock_that_is_off_are_told_by_doctor(network: GethNetwork) -> None:
    settings = network.settings()
    async with opened(settings) as adapter:

        async def clock() -> Any:
            findings = await adapter.diagnose(None)
            return next(one for one in findings if one.check.startswith("clock of"))

        ahead = int(network.head()["timestamp"], 16) + 120
        network.mine(at=ahead)
        finding = await clock()
        assert not finding.ok
        assert "seconds ahead of this clock" in finding.seen
        assert "NTP" in finding.mend


@shows("a node whose clock is two minutes off")
async def test_the_chains_time_decides_and_not_the_clock(network: GethNetwork) -> None:
    """Two minutes ahead, a deadline comes two minutes early, for claims and refunds alike."""
    settings = network.settings(poll_interval=0.05)
    sender, recipient = (credential(settings, one) for one in network.signers)
    async with opened(settings) as adapter:
        head = await adapter.head()
        terms, preimage = await terms_for(adapter, sender, recipient, deadline=head.time + 100)
        lock_id = adapter.lock_id(terms)
        await adapter.submit(Lock(terms), sender)
        network.mine()
        network.mine(at=head.time + 120)
        with pytest.raises(Rejected) as caught:
            await adapter.submit(Claim(lock_id, preimage), recipient)
        assert caught.value.reason == "deadline_passed"
        await adapter.submit(Refund(lock_id), sender)
        network.mine()
        assert (await adapter.lookup(lock_id)).state is LockState.REFUNDED


# --- silence, and two of which one is dead --------------------------------------------------------


@shows("a node that answers 429 for a while")
async def test_a_node_that_asks_for_silence_is_left_alone_and_nothing_is_lost(
    network: GethNetwork,
) -> None:
    """Two seconds stand for the minute: what is asked for is kept to, however long."""
    async with edge_before(network.url) as edge:
        settings = network.settings(urls=[edge.url], poll_interval=0.05)
        sender, recipient = (credential(settings, one) for one in network.signers)
        async with opened(settings) as adapter, opened(network.settings()) as elsewhere:
            stream = Stream(adapter)
            await stream.until(lambda notice: notice.head.height == network.height())
            edge.rule = lambda _request: Answer(429, b"", (("Retry-After", "2"),))
            with pytest.raises(Unavailable, match="wait 2 seconds"):
                await adapter.head()
            asked = len(edge.seen)
            edge.rule = lambda _request: None
            terms, _ = await terms_for(elsewhere, sender, recipient)
            lock_id = adapter.lock_id(terms)
            with pytest.raises((NotSent, Unavailable), match="more seconds"):
                await adapter.submit(Lock(terms), sender)
            assert len(edge.seen) == asked, "not asked before its time"
            await elsewhere.submit(Lock(terms), sender)
            network.mine(DEPTH + 1)
            await answers(adapter)
            resumed = Stream(adapter, stream.notices[-1].cursor)
            await resumed.stage(lock_id, Stage.FINAL)
            assert resumed.stages(lock_id) == [Stage.FINAL]
            await resumed.close()
            await stream.close()


async def answers(adapter: EthereumAdapter) -> None:
    """Returns when a node answers again."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await adapter.head()
                return
            except Unavailable:
                await asyncio.sleep(0.1)


@shows("one of two node URLs is dead")
@pytest.mark.parametrize("dead_first", [True, False])
async def test_one_of_two_urls_is_dead(dead_first: bool, network: GethNetwork) -> None:
    dead = f"http://127.0.0.1:{free_port()}"
    urls = [dead, network.url] if dead_first else [network.url, dead]
    settings = network.settings(urls=urls, poll_interval=0.05)
    sender, recipient = (credential(settings, one) for one in network.signers)
    async with opened(settings) as adapter:
        await swapped(adapter, network, sender, recipient, lambda: None)


@shows("one of two node URLs is dead")
async def test_one_of_two_nodes_dies_between_lock_and_claim(network: GethNetwork) -> None:
    async with edge_before(network.url) as edge:
        settings = network.settings(urls=[edge.url, network.url], poll_interval=0.05)
        sender, recipient = (credential(settings, one) for one in network.signers)

        def dies() -> None:
            edge.rule = lambda _request: Answer(502)

        async with opened(settings) as adapter:
            await swapped(adapter, network, sender, recipient, dies)


async def swapped(
    adapter: EthereumAdapter,
    network: GethNetwork,
    sender: Credential,
    recipient: Credential,
    between: Callable[[], None],
) -> None:
    """A lock and its claim, both final, with something in between."""
    stream = Stream(adapter)
    terms, preimage = await terms_for(adapter, sender, recipient)
    lock_id = adapter.lock_id(terms)
    await submitted(adapter, Lock(terms), sender)
    network.mine()
    await stream.stage(lock_id, Stage.PENDING)
    between()
    await submitted(adapter, Claim(lock_id, preimage), recipient)
    network.mine(DEPTH + 1)
    await stream.until(lambda notice: notice.head.height == network.height())
    own = [one for one in stream.observations() if one.event.lock_id == lock_id]
    finals = [type(one.event) for one in own if one.stage is Stage.FINAL]
    assert finals == [LockOpened, LockClaimed]
    assert (await adapter.lookup(lock_id)).state is LockState.CLAIMED
    await stream.close()
