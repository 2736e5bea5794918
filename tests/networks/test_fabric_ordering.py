"""A lock and its claim on channels with several orderers, one of which dies."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from adapters.fabric.release.ordering import BFT_OF_FOUR, RAFT_OF_THREE
from adapters.model import LockState
from tests.networks.fabric import FabricNetwork, running
from tests.networks.fabric_swap import AMOUNT, Swap, driver, pursued, split_holding, told_of

RAFT = "Fabric 3.1, three Raft orderers"
BFT = "Fabric 3.1, four BFT orderers"
PATIENCE = 8
"""I, in seconds: so long a driver waits for what a dead leader has taken with it."""
_RAFT_LEADER = re.compile(r"^.*Raft leader changed: \d+ -> (\d+)", re.MULTILINE)
_BFT_LEADER = re.compile(r"current view: (\d+), current leader: (\d+)")


@pytest.fixture(scope="module")
def raft(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FabricNetwork]:
    with running(FabricNetwork(tmp_path_factory.mktemp("raft"), RAFT_OF_THREE)) as network:
        yield network


@pytest.fixture(scope="module")
def bft(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FabricNetwork]:
    with running(FabricNetwork(tmp_path_factory.mktemp("bft"), BFT_OF_FOUR)) as network:
        yield network


def told(network: FabricNetwork, words: re.Pattern[str]) -> list[re.Match[str]]:
    """What the orderers' logs have of this."""
    logs = [network.processes.log(node.process) for node in network.real.layout.orderers]
    found = [match for log in logs for match in words.finditer(log.read_text(errors="replace"))]
    assert found, f"no orderer has told of {words.pattern}"
    return found


def raft_leader(network: FabricNetwork) -> int:
    """The orderer that leads, by the last word of all. They number themselves from 1."""
    # Lines begin with their time.
    return int(max(told(network, _RAFT_LEADER), key=lambda match: match[0])[1]) - 1


def bft_leader(network: FabricNetwork) -> int:
    """The orderer that leads, by the highest view: one that starts tells of an older view first."""
    return max((int(match[1]), int(match[2])) for match in told(network, _BFT_LEADER))[1] - 1


async def swapped_without(network: FabricNetwork, dead: Callable[[], int]) -> None:
    """A lock with an orderer dead from just before it, and the claim; the orderer catches up."""
    await split_holding(network)
    async with (
        driver(network, 1, inclusion=PATIENCE) as one,
        driver(network, 2, inclusion=PATIENCE) as two,
    ):
        swap = Swap(network, one)
        sent, received = await swap.balances(one)
        number = dead()
        network.kill(network.orderer(number))
        try:
            await pursued(one, swap.lock, swap.sender, swap, LockState.OPEN)
            await pursued(two, swap.claim, swap.recipient, swap, LockState.CLAIMED)
        finally:
            network.resume(network.orderer(number))
        for adapter in (one, two):
            assert await told_of(adapter, swap) == swap.told
            assert await swap.balances(adapter) == (sent - AMOUNT, received + AMOUNT)


@pytest.mark.shows("fabric", RAFT, "the leader of the ordering service is killed")
async def test_a_swap_goes_on_when_the_raft_leader_dies(raft: FabricNetwork) -> None:
    await swapped_without(raft, lambda: raft_leader(raft))


@pytest.mark.timeout(400)
@pytest.mark.shows("fabric", BFT, "the leader of the ordering service is killed")
async def test_a_swap_goes_on_when_the_bft_leader_dies(bft: FabricNetwork) -> None:
    first = bft_leader(bft)
    await swapped_without(bft, lambda: first)
    assert bft_leader(bft) != first


@pytest.mark.shows("fabric", BFT, "one node of the ordering service is killed")
async def test_a_swap_goes_on_when_a_bft_follower_dies(bft: FabricNetwork) -> None:
    # The one that died before, if any: it may still be behind, and four bear no two.
    leading = bft_leader(bft)
    await swapped_without(bft, lambda: min({0, 1} - {leading}))
