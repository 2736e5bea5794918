"""A lock and its claim on a real Fabric channel while parts of it fail.

What is killed is killed with kill -9, at a moment that the test chooses: between two steps of the
driver. Nothing is killed twice, and all is up again at the end of each test.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from enum import StrEnum
from typing import Any

import pytest

from adapters.fabric.driver import FabricAdapter
from adapters.fabric.gateway import Gateway
from adapters.model import LockState
from adapters.spi import AdapterError, NotSent, Unavailable
from tests.adapters.fabric.real_harness import until_ready
from tests.networks.fabric import CHAINCODE, FabricNetwork
from tests.networks.fabric_swap import (
    AMOUNT,
    Swap,
    driver,
    looked_up,
    make_blocks,
    pursued,
    split_holding,
    told_of,
)
from tests.networks.tcp_relay import Relay
from tests.ports import free_port

NETWORK = "Fabric 3.1, one Raft orderer, three organisations"


@pytest.fixture(scope="session")
def split(fabric: FabricNetwork) -> FabricNetwork:
    asyncio.run(split_holding(fabric))
    return fabric


@pytest.fixture
async def network(split: FabricNetwork) -> FabricNetwork:
    for number in (1, 2, 3):
        await until_ready(split, number)
    return split


class Moment(StrEnum):
    """Of a submission."""

    ENDORSED = "between Endorse and Submit"
    ORDERED = "between Submit and CommitStatus"


class Killer:
    """Kills a process once, at a moment of the next submission of any driver here."""

    def __init__(self, network: FabricNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
        self._network = network
        self._armed: tuple[str, Moment] | None = None
        self._dead: str | None = None
        submit = Gateway.submit

        async def submitting(gateway: Gateway, *arguments: Any) -> None:
            self._strike(Moment.ENDORSED)
            await submit(gateway, *arguments)
            self._strike(Moment.ORDERED)

        monkeypatch.setattr(Gateway, "submit", submitting)

    def arm(self, name: str, moment: Moment) -> None:
        self._armed = (name, moment)

    def _strike(self, moment: Moment) -> None:
        if self._armed is not None and self._armed[1] is moment:
            self._dead, self._armed = self._armed[0], None
            self._network.kill(self._dead)

    def resurrect(self) -> None:
        if self._dead is not None:
            self._network.resume(self._dead)
            self._dead = None

    def done(self) -> None:
        """It has struck, and what it killed runs again."""
        assert self._armed is None
        self.resurrect()


@pytest.fixture
def killer(network: FabricNetwork, monkeypatch: pytest.MonkeyPatch) -> Iterator[Killer]:
    killer = Killer(network, monkeypatch)
    yield killer
    killer.resurrect()


PATIENCE = 5
"""I, in seconds: so long a driver waits for what an orderer has taken and lost."""

PARTS = {
    "the own peer": 1,
    "the counterparty's peer": 2,
    "the third peer": 3,
    "the orderer": 0,
}


@pytest.mark.shows("fabric", NETWORK, "each node killed and restarted in the middle of a swap")
@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize("part", PARTS)
async def test_a_part_killed_in_the_middle_of_a_lock_and_of_a_claim(
    network: FabricNetwork, killer: Killer, part: str, moment: Moment
) -> None:
    """The lock is organisation 1's, the claim organisation 2's; "own" and "counterparty" are so by
    the lock."""
    number = PARTS[part]
    name = network.peer(number) if number else network.orderer()
    async with (
        driver(network, 1, inclusion=PATIENCE) as one,
        driver(network, 2, inclusion=PATIENCE) as two,
    ):
        swap = Swap(network, one)
        sent, received = await swap.balances(one)
        killer.arm(name, moment)
        await pursued(one, swap.lock, swap.sender, swap, LockState.OPEN, killer.resurrect)
        killer.done()
        for again in (1, 2):
            await until_ready(network, again)
        killer.arm(name, moment)
        await pursued(two, swap.claim, swap.recipient, swap, LockState.CLAIMED, killer.resurrect)
        killer.done()
        await until_ready(network, 1)
        for adapter in (one, two):
            # The stream ends with the claim on each peer; from then on it has both.
            assert await told_of(adapter, swap) == swap.told
            record = await looked_up(adapter, swap.id)
            assert (record.state, record.preimage) == (LockState.CLAIMED, swap.preimage)
            assert await swap.balances(adapter) == (sent - AMOUNT, received + AMOUNT)


@pytest.mark.shows("fabric", NETWORK, "the chaincode service of an organisation is stopped")
async def test_a_stopped_chaincode_service_is_a_clear_reason_to_try_again(
    network: FabricNetwork,
) -> None:
    async with driver(network, 1) as one, driver(network, 2) as two:
        swap = Swap(network, one)
        await one.submit(swap.lock, swap.sender)
        own = network.service(2)
        network.kill(own)
        try:
            error = await _refused(two, swap)
            assert isinstance(error, NotSent)
            assert f"could not launch chaincode {CHAINCODE}" in str(error)
            assert network.msp_id(2) in str(error)
            assert (await one.lookup(swap.id)).state is LockState.OPEN
        finally:
            network.resume(own)
        await pursued(two, swap.claim, swap.recipient, swap, LockState.CLAIMED)
        assert (await looked_up(one, swap.id)).state is LockState.CLAIMED


@pytest.mark.shows("fabric", NETWORK, "the chaincode services of two organisations are stopped")
async def test_two_stopped_chaincode_services_hold_up_and_lose_nothing(
    network: FabricNetwork,
) -> None:
    async with driver(network, 1) as one, driver(network, 2) as two:
        swap = Swap(network, one)
        before = await swap.balances(one)
        others = [network.service(number) for number in (2, 3)]
        network.kill(*others)
        try:
            with pytest.raises(NotSent, match="endorse"):
                await one.submit(swap.lock, swap.sender)
            assert (await one.lookup(swap.id)).state is LockState.ABSENT
            assert await swap.balances(one) == before
        finally:
            network.resume(*others)
        await pursued(one, swap.lock, swap.sender, swap, LockState.OPEN)
        await pursued(two, swap.claim, swap.recipient, swap, LockState.CLAIMED)
        assert await told_of(one, swap) == swap.told


async def _refused(adapter: FabricAdapter, swap: Swap) -> AdapterError:
    """A claim's failure by a chaincode that is known to be gone: the first call that meets with
    it may learn of its end by the stream alone."""
    while True:
        try:
            await adapter.submit(swap.claim, swap.recipient)
        except AdapterError as error:
            if "stream terminated" not in str(error):
                return error
        else:
            raise AssertionError("the claim was endorsed")


# --- a peer that is behind -----------------------------------------------------------------------

BEHIND = 50


@pytest.mark.shows("fabric", NETWORK, "a node is behind by 50 blocks")
async def test_a_peer_behind_by_fifty_blocks_gives_no_wrong_answer(network: FabricNetwork) -> None:
    """While it is behind (its orderer is down when it starts again, so it stays so) its driver
    reveals nothing; as soon as it has caught up, its answers are those of the others."""
    peer, orderer = network.peer(1), network.orderer()
    async with driver(network, 2) as two:
        swap, other = Swap(network, two), Swap(network, two)
        async with driver(network, 1) as one:
            for lock in (swap, other):
                await one.submit(lock.lock, lock.sender)
        network.kill(peer)
        try:
            await two.submit(swap.claim, swap.recipient)
            await make_blocks(network, 2, BEHIND)
            newest = await two.head()
            network.kill(orderer)
        finally:
            network.resume(peer)
        try:
            async with driver(network, 1) as one:
                await _obstacles_once_compared(one, other)
                head = await one.head()
                assert head.height <= newest.height - BEHIND
                # What it answers is an old truth, and the head that comes with it says how old.
                assert (await one.lookup(swap.id)).state is LockState.OPEN
                assert head.time < newest.time
        finally:
            network.resume(orderer)
        async with driver(network, 1) as one:
            await _reached(one, newest.height)
            assert (await one.lookup(swap.id)).state is LockState.CLAIMED
            assert await told_of(one, swap) == swap.told
            await pursued(two, other.claim, other.recipient, other, LockState.CLAIMED)


async def _reached(adapter: FabricAdapter, height: int) -> None:
    async for notice in adapter.events(None):
        if notice.head.height >= height:
            return


async def _obstacles_once_compared(adapter: FabricAdapter, swap: Swap) -> Sequence[str]:
    """Those that are told once it knows what the others have: gossip has to find them first. At no
    moment before are there none."""
    while True:
        found = await adapter.claim_obstacles(swap.id, swap.recipient)
        assert found, "it would reveal by a ledger of fifty blocks ago"
        if any("ahead of the own" in sentence for sentence in found):
            return found
        await asyncio.sleep(0.1)


# --- endpoints -----------------------------------------------------------------------------------


@pytest.mark.shows("fabric", NETWORK, "one of two node addresses dies")
async def test_one_of_two_endpoints_dies_in_the_middle(network: FabricNetwork) -> None:
    """Both lead to the organisation's one peer, the first over a relay that is cut."""
    ca = network.tls_ca(1)
    port, own = free_port(), int(network.peer_address(1).rpartition(":")[2])
    endpoints = [
        {"address": f"127.0.0.1:{port}", "tls_ca": ca},
        {"address": network.peer_address(1), "tls_ca": ca},
    ]
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(Relay(port, own))
        one = await stack.enter_async_context(driver(network, 1, endpoints=endpoints))
        two = await stack.enter_async_context(driver(network, 2))
        swap = Swap(network, one)
        watching = asyncio.create_task(told_of(one, swap))
        try:
            await one.submit(swap.lock, swap.sender)
            await relay.cut()
            await pursued(two, swap.claim, swap.recipient, swap, LockState.CLAIMED)
            assert await watching == swap.told
            assert (await one.lookup(swap.id)).state is LockState.CLAIMED
            following = Swap(network, one)
            await pursued(one, following.lock, following.sender, following, LockState.OPEN)
        finally:
            watching.cancel()
    with pytest.raises(Unavailable):
        async with driver(network, 1, endpoints=endpoints[:1]):
            pass
