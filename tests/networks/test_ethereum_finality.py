"""When a block of Geth's is final: by its tags, by depth, and what a fork does below and above."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from adapters.model import Claim, Lock, LockClaimed, LockState, Stage
from adapters.spi import Misconfigured
from tests.adapters.ethereum.bench import Stream, credential, opened, terms_for
from tests.adapters.ethereum.edge import Answer, Request, edge_before, error
from tests.adapters.ethereum.signer import LocalSigner
from tests.networks.geth import NETWORK, Blocks, GethNetwork, geth_or_skip, running

geth_or_skip()

EPOCH = 32
"""Developer mode finalises each block whose height it divides."""
SHORT = pytest.mark.shows("ethereum", NETWORK, "a reorg of blocks that are not final")
DEEP = pytest.mark.shows("ethereum", NETWORK, "a reorg of final blocks")


def shows(scenario: str) -> pytest.MarkDecorator:
    return pytest.mark.shows("ethereum", NETWORK, scenario)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> GethNetwork:
    """Deployed and funded, and stopped."""
    signers = [LocalSigner(f"finality {number}") for number in range(2)]
    folder = tmp_path_factory.mktemp("prepared")
    network = GethNetwork(folder, signers, Blocks.WITH_EACH_TRANSACTION)
    with running(network):
        asyncio.run(network.devnet.ready())
    return network


@pytest.fixture(scope="module")
def tagging(
    prepared: GethNetwork, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GethNetwork]:
    """Makes a block for each transaction, and names blocks safe and finalized."""
    folder = tmp_path_factory.mktemp("tagging") / "network"
    with running(prepared.copy_to(folder, Blocks.WITH_EACH_TRANSACTION)) as network:
        # In its first block after a start, developer mode calls all that there was final, for as
        # long as the block takes.
        network.make_empty_block()
        yield network


@pytest.fixture
def forking(
    prepared: GethNetwork, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GethNetwork]:
    """Makes blocks when it is told to."""
    folder = tmp_path_factory.mktemp("forking") / "network"
    with running(prepared.copy_to(folder, Blocks.ON_DEMAND)) as network:
        yield network


@shows("final by the tag safe")
async def test_a_safe_block_is_final_at_once_here(tagging: GethNetwork) -> None:
    settings = tagging.settings(final_by="safe", poll_interval=0.05)
    sender, recipient = (credential(settings, one) for one in tagging.signers)
    async with opened(settings) as adapter:
        stream = Stream(adapter)
        terms, preimage = await terms_for(adapter, sender, recipient)
        lock_id = adapter.lock_id(terms)
        await adapter.submit(Lock(terms), sender)
        await stream.stage(lock_id, Stage.FINAL)
        await adapter.submit(Claim(lock_id, preimage), recipient)
        await stream.until(
            lambda notice: any(isinstance(one.event, LockClaimed) for one in notice.observations)
        )
        assert stream.stages(lock_id) == [Stage.FINAL, Stage.FINAL]
        assert all(notice.head.final_height == notice.head.height for notice in stream.notices)
        assert (await adapter.lookup(lock_id)).final
        await stream.close()


@shows("final by the tag finalized")
async def test_a_block_is_final_once_the_node_calls_it_finalized(tagging: GethNetwork) -> None:
    settings = tagging.settings(final_by="finalized", poll_interval=0.05)
    sender, recipient = (credential(settings, one) for one in tagging.signers)
    async with opened(settings) as adapter:
        stream = Stream(adapter)
        if tagging.height() % EPOCH > EPOCH - 3:
            for _ in range(4):
                tagging.make_empty_block()
        terms, _ = await terms_for(adapter, sender, recipient)
        lock_id = adapter.lock_id(terms)
        await adapter.submit(Lock(terms), sender)
        place = (await stream.stage(lock_id, Stage.PENDING)).position
        boundary = -(-place.height // EPOCH) * EPOCH
        while tagging.height() < boundary - 1:
            tagging.make_empty_block()
        newest = await stream.until(lambda notice: notice.head.height == boundary - 1)
        assert newest.head.final_height == boundary - EPOCH
        assert stream.stages(lock_id) == [Stage.PENDING]
        record = await adapter.lookup(lock_id)
        assert (record.state, record.final) == (LockState.OPEN, False)
        tagging.make_empty_block()
        await stream.stage(lock_id, Stage.FINAL)
        told = int(tagging.rpc("eth_getBlockByNumber", "finalized", False)["number"], 16)
        assert stream.notices[-1].head.final_height == told == boundary
        assert (await adapter.lookup(lock_id)).final
        await stream.close()


@shows("final by depth, at a node that knows no tags")
async def test_a_node_without_tags_is_served_by_depth(tagging: GethNetwork) -> None:
    def without_tags(request: Request) -> Answer | None:
        if request["method"] == "eth_getBlockByNumber":
            tag = request["params"][0]
            if tag in ("safe", "finalized"):
                return error(-32602, f"invalid argument 0: hex string without 0x prefix: {tag}")
        return None

    async with edge_before(tagging.url) as edge:
        edge.rule = without_tags
        for tag in ("safe", "finalized"):
            async with opened(tagging.settings(urls=[edge.url], final_by=tag)) as adapter:
                with pytest.raises(Misconfigured, match=f"'{tag}'.*set final_by to a depth"):
                    await adapter.head()
        settings = tagging.settings(urls=[edge.url], final_by=3, poll_interval=0.05)
        sender, recipient = (credential(settings, one) for one in tagging.signers)
        async with opened(settings) as adapter:
            stream = Stream(adapter)
            terms, _ = await terms_for(adapter, sender, recipient)
            lock_id = adapter.lock_id(terms)
            await adapter.submit(Lock(terms), sender)
            place = (await stream.stage(lock_id, Stage.PENDING)).position
            while tagging.height() < place.height + 3:
                assert stream.stages(lock_id) == [Stage.PENDING]
                tagging.make_empty_block()
                height = tagging.height()
                await stream.until(lambda notice, at=height: notice.head.height == at)
            assert stream.stages(lock_id) == [Stage.PENDING, Stage.FINAL]
            await stream.close()


@SHORT
async def test_a_fork_above_finality_retracts_and_tells_anew(forking: GethNetwork) -> None:
    settings = forking.settings(final_by=4, poll_interval=0.05)
    sender, recipient = (credential(settings, one) for one in forking.signers)
    async with opened(settings) as adapter:
        stream = Stream(adapter)
        terms, _ = await terms_for(adapter, sender, recipient)
        lock_id = adapter.lock_id(terms)
        await adapter.submit(Lock(terms), sender)
        forking.mine(2)
        first = await stream.stage(lock_id, Stage.PENDING)
        forking.set_back(2)
        forking.mine(3)
        retracted = await stream.stage(lock_id, Stage.RETRACTED)
        assert (retracted.position, retracted.event) == (first.position, first.event)
        assert (await adapter.lookup(lock_id)).state is LockState.ABSENT
        await adapter.submit(Lock(terms), sender)
        forking.mine(5)
        final = await stream.stage(lock_id, Stage.FINAL)
        assert final.position.block_hash != first.position.block_hash
        assert all(notice.violation is None for notice in stream.notices)
        await stream.close()


@DEEP
async def test_a_fork_below_finality_is_a_violation_and_the_stream_goes_on(
    forking: GethNetwork,
) -> None:
    settings = forking.settings(final_by=2, poll_interval=0.05)
    sender, recipient = (credential(settings, one) for one in forking.signers)
    async with opened(settings) as adapter:
        stream = Stream(adapter)
        terms, _ = await terms_for(adapter, sender, recipient)
        lock_id = adapter.lock_id(terms)
        await adapter.submit(Lock(terms), sender)
        forking.mine(5)
        await stream.stage(lock_id, Stage.FINAL)
        before = stream.notices[-1].head
        forking.set_back(5)
        forking.mine(7)
        broken = (await stream.until(lambda notice: notice.violation is not None)).violation
        assert broken is not None
        assert broken.height <= before.final_height
        assert (await adapter.header(broken.height)).hash == broken.seen != broken.expected
        await adapter.submit(Lock(terms), sender)
        forking.mine(4)
        await stream.until(lambda notice: notice.head.height == forking.height())
        assert (await adapter.lookup(lock_id)).state is LockState.OPEN
        await stream.close()
