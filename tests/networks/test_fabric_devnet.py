"""``isthmus devnet up --real`` for Fabric: interrupted anywhere, and up again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.fabric.devnet_assets import ASSETS, FUNDS, ChaincodeSetUp
from adapters.fabric.real_network import LOCKS
from adapters.fabric.release.administration import Administration
from adapters.model import LockState
from tests.networks.fabric import FabricNetwork
from tests.networks.fabric_swap import Swap, driver, pursued

NETWORK = "Fabric 3.1, one Raft orderer, three organisations"


class Interrupted(Exception):
    """Stands for the end of whoever was getting the network ready."""


STEPS = (
    (Administration, "join_orderer"),
    (Administration, "join_peer"),
    (Administration, "install"),
    (Administration, "_approve"),
    (ChaincodeSetUp, "_configure"),
    (ChaincodeSetUp, "_invoke"),
)


class Alone(FabricNetwork):
    """Of the lock chaincode alone, as ``isthmus devnet`` has it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, chaincodes=(LOCKS,))

    async def ready(self) -> None:
        await self.real.ready()

    def up(self) -> None:
        for spec in self.specs():
            self.processes.start(spec)

    def kill_all(self) -> None:
        self.kill(*(spec.name for spec in self.specs()))


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Alone]:
    network = Alone(tmp_path)
    try:
        yield network
    finally:
        network.stop()


def _interrupting(step: Callable[..., Any]) -> Callable[..., Any]:
    """The step, and then the end: whatever came beside it may or may not have been done."""

    async def done_and_interrupted(*arguments: Any) -> None:
        await step(*arguments)
        raise Interrupted

    return done_and_interrupted


@pytest.mark.shows("fabric", NETWORK, "up is interrupted at each step, and goes on when repeated")
async def test_up_goes_on_where_it_was_interrupted(
    network: Alone, monkeypatch: pytest.MonkeyPatch
) -> None:
    for owner, name in STEPS:
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, _interrupting(getattr(owner, name)))
            network.up()
            with pytest.raises((Interrupted, ExceptionGroup)) as caught:
                await network.ready()
            assert caught.errisinstance(Interrupted) or caught.group_contains(Interrupted), name
            network.kill_all()
    network.up()
    await network.ready()
    async with driver(network, 1) as one:
        swap = Swap(network, one)
        # Funded once, however often it was begun.
        whole = FUNDS * 10 ** ASSETS[0][1]
        assert await swap.balances(one) == (whole, whole)
        await one.submit(swap.lock, swap.sender)
    network.kill_all()
    network.up()
    await network.ready()
    async with driver(network, 2) as two:
        assert (await two.lookup(swap.id)).state is LockState.OPEN
        await pursued(two, swap.claim, swap.recipient, swap, LockState.CLAIMED)
        assert await swap.balances(two) == (whole - swap.terms.amount, whole + swap.terms.amount)
