"""Four validators that are killed, cut off, behind: the chain goes on or halts, and loses nothing.

What is done goes through the driver, in the middle of a lock or a claim.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator, Sequence

import pytest

from adapters.model import Claim, Lock, LockClaimed, LockState, Refund
from adapters.native.cometbft.block import base64_bytes
from adapters.spi import Adapter, NotSent, Unavailable
from tests.adapters.native.bench import fresh
from tests.adapters.native.chain_fixture import ALICE, BOB
from tests.adapters.native.faulty_node import faulty_node, honest
from tests.networks.cometbft import (
    NETWORK,
    PATIENCE,
    CometNetwork,
    address_of,
    ask,
    cometbft_or_skip,
    configure,
    running,
)
from tests.networks.native_locks import (
    AMOUNT,
    balance_of_bob,
    carried_out,
    chain_time,
    in_state,
    opened,
    terms_on,
)
from tests.ports import free_port

cometbft_or_skip()

STILL = 2.0
"""Seconds without a block, after which a chain that makes three in a second is taken to halt."""


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CometNetwork]:
    made = CometNetwork(tmp_path_factory.mktemp("faults"), commit="200ms")
    with running(made) as network:
        yield network


@pytest.fixture
async def network(started: CometNetwork) -> AsyncIterator[CometNetwork]:
    """All four are up, and afterwards all four agree."""
    yield started
    started.start()
    await started.reached(await agreed(started) + 1)


async def agreed(network: CometNetwork) -> int:
    """A height that all have, once they say the same of it."""
    async with asyncio.timeout(PATIENCE):
        height = 0
        for number in range(4):
            await network.reached(1, number)
            height = max(height, await network.height(number))
    await network.reached(height)
    headers = [
        (await ask(validator.url, "header", height=str(height)))["header"]
        for validator in network.validators
    ]
    assert all(header == headers[0] for header in headers)
    return height


@pytest.mark.shows("native", NETWORK, "a node is killed in the middle of a swap and catches up")
@pytest.mark.parametrize("killed", range(4))
async def test_a_validator_killed_after_a_lock_was_sent_to_it(
    network: CometNetwork, killed: int
) -> None:
    """It is the one that the driver speaks to. Three go on; the lock is there once, and claimed."""
    order = [killed, *(number for number in range(4) if number != killed)]
    async with network.adapter(*order) as adapter:
        before = await balance_of_bob(adapter, network)
        preimage = fresh()
        lock = Lock(terms_on(adapter, network, preimage))
        await adapter.submit(lock, network.credential(ALICE))
        network.kill(killed)
        lock_id = adapter.lock_id(lock.terms)
        await carried_out(adapter, lock, network.credential(ALICE), LockState.OPEN)
        claim = Claim(lock_id, preimage)
        claiming = asyncio.create_task(
            carried_out(adapter, claim, network.credential(BOB), LockState.CLAIMED)
        )
        network.start(killed)
        await claiming
        assert await balance_of_bob(adapter, network) == before + AMOUNT
        reached = await network.height(order[1])
        await network.reached(reached + 1, killed)
        async with network.adapter(killed) as itself:
            assert (await itself.lookup(lock_id)).state is LockState.CLAIMED
            assert await balance_of_bob(itself, network) == before + AMOUNT


@pytest.mark.shows("native", NETWORK, "the application of a node is killed")
async def test_an_application_that_is_killed_comes_back_with_its_node(
    network: CometNetwork,
) -> None:
    victim = network.validators[1]
    async with network.adapter(1, 2) as adapter:
        preimage = fresh()
        lock_id = await opened(adapter, network, preimage)
        network.processes.kill(victim.application_process)
        # Its node ends itself, or waits for it for ever: the others go on.
        await carried_out(
            adapter, Claim(lock_id, preimage), network.credential(BOB), LockState.CLAIMED
        )
        height = await network.blocks(3, 2)
        network.processes.kill(victim.node_process)
        network.start(1)
        await network.reached(height, 1)


@pytest.mark.shows("native", NETWORK, "a node alone is killed, and its application lives on")
async def test_a_node_that_is_killed_takes_up_its_living_application(network: CometNetwork) -> None:
    victim = network.validators[2]
    for _ in range(3):
        network.processes.kill(victim.node_process)
        network.start(2)
        await network.reached(await network.height(0) + 1, 2)


@pytest.mark.shows("native", NETWORK, "two of four are down: the chain halts and loses nothing")
@pytest.mark.shows("native", NETWORK, "claims wait while block time is old after a halt")
async def test_two_down_halt_the_chain_nothing_is_lost_and_claims_wait(
    network: CometNetwork,
) -> None:
    """A claim that was sent in the halt is not in the first block after it, whose time is old:
    that block may in truth be too late for it. Blocks without it move time on."""
    async with network.adapter() as adapter:
        before = await balance_of_bob(adapter, network)
        preimage = fresh()
        lock_id = await opened(adapter, network, preimage)
        refunded = await opened(adapter, network, fresh(), seconds=10)
        # Of the block that the halt holds up the dead are to be the first proposers, and one that
        # lives and has the claim the next: it must leave it out.
        height = await network.blocks(1)
        dead = await proposer(network, height - 3), await proposer(network, height - 1)
        alive = [number for number in range(4) if number not in dead]
        network.kill(*dead)
        stands = await still(network, alive)
        sent = Lock(terms_on(adapter, network, fresh()))
        await adapter.submit(sent, network.credential(ALICE))
        await adapter.submit(Claim(lock_id, preimage), network.credential(BOB))
        bound = adapter.profile.bounds.clock
        await clock_reaches(await block_time(adapter, stands) + bound + 2)
        assert await last_block(network, alive) == stands, "two of four have made a block"
        resumed = time.time()
        network.start(*dead)
        await in_state(adapter, lock_id, LockState.CLAIMED)
        height = stands + 1
        while not await claims_in(network, height):
            height += 1
        assert height > stands + 1
        assert await block_time(adapter, stands + 1) < resumed - bound
        assert await block_time(adapter, height) >= int(resumed) - bound
        # What waited in the pools of the two that lived is there as well.
        await in_state(adapter, adapter.lock_id(sent.terms), LockState.OPEN)
        await chain_time(adapter, (await adapter.lookup(refunded)).terms.deadline)  # type: ignore[union-attr]
        await carried_out(adapter, Refund(refunded), network.credential(BOB), LockState.REFUNDED)
        assert await balance_of_bob(adapter, network) == before + AMOUNT


async def clock_reaches(moment: float) -> None:
    await asyncio.sleep(moment - time.time())


async def proposer(network: CometNetwork, height: int) -> int:
    """Which validator has proposed a block."""
    header = (await ask(network.validators[0].url, "header", height=str(height)))["header"]
    addresses = [address_of(validator.home) for validator in network.validators]
    return addresses.index(header["proposer_address"])


async def last_block(network: CometNetwork, alive: Sequence[int]) -> int:
    """The highest that any of these has."""
    return max([await network.height(number) for number in alive])


async def still(network: CometNetwork, alive: Sequence[int]) -> int:
    """The height at which the chain stands, once what was under way is done."""
    height, seen = await last_block(network, alive), time.monotonic()
    while time.monotonic() - seen < STILL:
        await asyncio.sleep(0.1)
        now = await last_block(network, alive)
        if now != height:
            height, seen = now, time.monotonic()
    return height


async def block_time(adapter: Adapter, height: int) -> int:
    return (await adapter.header(height)).time


async def claims_in(network: CometNetwork, height: int) -> int:
    await network.reached(height, 0)
    block = (await ask(network.validators[0].url, "block", height=str(height)))["block"]
    return sum(base64_bytes(tx)[73:74] == b"\x07" for tx in block["data"]["txs"])


@pytest.mark.shows("native", NETWORK, "a node is behind by 50 blocks")
async def test_a_node_that_is_behind_by_fifty_blocks_is_passed_over(network: CometNetwork) -> None:
    """It answers, and knows nothing of it: it has no peers, as it calls none and has another name
    than those that call it expect."""
    home = network.validators[3].home
    name, kept = home / "config" / "node_key.json", home / "config" / "node_key.kept"
    network.kill(3)
    peers = configure(home, persistent_peers="")["persistent_peers"]
    name.rename(kept)
    try:
        network.start(3)
        await network.reached(1, 3)
        stuck = await network.height(3)
        await network.reached(stuck + 50, 0)
        async with network.adapter(3) as behind:
            head = await behind.head()
            assert head.height == stuck
            assert time.time() - head.time > behind.profile.stale_after
        async with network.adapter(3, 0) as adapter:
            head = await adapter.head()
            assert head.height >= stuck + 50
            preimage = fresh()
            lock_id = await opened(adapter, network, preimage)
            await carried_out(
                adapter, Claim(lock_id, preimage), network.credential(BOB), LockState.CLAIMED
            )
            async with asyncio.timeout(PATIENCE):
                async for notice in adapter.events(None):
                    seen = [entry.event for entry in notice.observations]
                    if any(isinstance(one, LockClaimed) and one.lock_id == lock_id for one in seen):
                        break
        # One that has seen more does not go back to it.
        async with network.adapter(0, 3) as adapter:
            height = (await adapter.head()).height
            network.processes.send(network.validators[0].node_process, signal.SIGSTOP)
            try:
                with pytest.raises(Unavailable, match="behind height"):
                    await adapter.lookup(lock_id)
            finally:
                network.processes.send(network.validators[0].node_process, signal.SIGCONT)
            await network.reached(height + 1, 0)
            assert (await adapter.lookup(lock_id)).state is LockState.CLAIMED
    finally:
        network.kill(3)
        configure(home, persistent_peers=peers)
        kept.replace(name)
        network.start(3)


@pytest.mark.shows("native", NETWORK, "one of two node URLs is dead")
async def test_one_of_two_urls_is_dead(network: CometNetwork) -> None:
    dead = f"http://127.0.0.1:{free_port()}"
    for urls in ([dead, network.validators[0].url], [network.validators[0].url, dead]):
        async with network.adapter(urls=urls) as adapter:
            preimage = fresh()
            lock_id = await opened(adapter, network, preimage)
            await carried_out(
                adapter, Claim(lock_id, preimage), network.credential(BOB), LockState.CLAIMED
            )
    async with network.adapter(0) as adapter:
        head = await adapter.head()
    assert head.height > 1


@pytest.mark.shows("native", NETWORK, "a node answers 429 for a while")
async def test_a_node_that_asks_for_fewer_requests_is_left_alone_for_another(
    network: CometNetwork,
) -> None:
    """Alone, it makes reads Unavailable and submissions NotSent; nothing of them is lost."""
    async with faulty_node(network.validators[0].url) as busy:
        busy.keeps = True
        async with network.adapter(urls=[busy.url]) as adapter:
            preimage = fresh()
            lock = Lock(terms_on(adapter, network, preimage))
            busy.twist = lambda method, answer: (429, b"")
            with pytest.raises(Unavailable, match="429"):
                await adapter.head()
            with pytest.raises(NotSent, match="429"):
                await adapter.submit(lock, network.credential(ALICE))
            async with network.adapter(urls=[busy.url, network.validators[1].url]) as both:
                await carried_out(both, lock, network.credential(ALICE), LockState.OPEN)
                asked = len(busy.calls)
                lock_id = adapter.lock_id(lock.terms)
                await carried_out(
                    both, Claim(lock_id, preimage), network.credential(BOB), LockState.CLAIMED
                )
                assert len(busy.calls) == asked, "the one that asks for less was asked more"
            busy.twist = honest
            await in_state(adapter, lock_id, LockState.CLAIMED)


@pytest.mark.shows("native", NETWORK, "all nodes are killed at once")
async def test_everything_killed_at_once_loses_nothing_that_was_final(
    network: CometNetwork,
) -> None:
    async with network.adapter() as adapter:
        preimages = [fresh() for _ in range(8)]
        locks = await asyncio.gather(*(opened(adapter, network, one) for one in preimages))
        height = (await adapter.head()).height
        network.kill()
        network.start()
        await network.reached(height + 1)
        for lock_id in locks:
            assert (await adapter.lookup(lock_id)).state is LockState.OPEN
        await asyncio.gather(
            *(
                carried_out(adapter, Claim(*each), network.credential(BOB), LockState.CLAIMED)
                for each in zip(locks, preimages, strict=True)
            )
        )
