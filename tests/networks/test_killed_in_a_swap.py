"""Every process of a network is killed in the middle of a swap, and started again: the swap ends
right, within its deadlines. The gateways live on; that they may die is shown elsewhere."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from tests.networks.organisations import Organisations, after, organisations

PARTS = {
    "native": ("native-validator0", "native-application-0", "native-validator2"),
    "ethereum": ("geth",),
    "fabric": ("fabric-orderer", "fabric-peer", "fabric-chaincode"),
}
"""Processes by ledger, or the beginning of their names: those that a gateway is connected to, and
some that it is not."""

MOMENTS = ("locking", "locked", "claimed")
"""What alpha has just told when a process is killed; each process meets one of them, in turn."""


def _pair(give: str, get: str, network: str) -> ParameterSet:
    shown = pytest.mark.shows(
        f"{give}:{get}", network, "each process killed in the middle of a swap and started again"
    )
    return pytest.param((give, get), id=f"{give}:{get}", marks=shown)


def killed(both: Organisations) -> Sequence[str]:
    """The names of the processes that are to be killed, one after the other."""
    names = [
        spec.name for network in both.environment.networks.values() for spec in network.processes()
    ]
    wanted = tuple(part for ledger in both.pair for part in PARTS[ledger])
    return [name for name in names if name.startswith(wanted)]


async def once_killed(both: Organisations, name: str, moment: str) -> None:
    """One swap in which a process is killed once alpha has told of this moment."""
    swap = await both.offered()
    await both.told(swap, moment)
    dead = [name]
    await asyncio.to_thread(both.processes.signal, name, signal.SIGKILL)
    # A node whose application has died ends itself, or waits for it for ever: it is started again
    # with it. The other way round an application outlives its node.
    if name.startswith("native-application-"):
        node = name.replace("application-", "validator")
        await asyncio.to_thread(both.processes.stop, [node])
        dead.append(node)
    for each in dead:
        both.start_again(each)
    await both.completed(swap)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "pair",
    [
        _pair("native", "ethereum", "CometBFT and Geth"),
        _pair("ethereum", "fabric", "Geth and Fabric"),
    ],
)
async def test_a_swap_survives_the_death_of_each_process(
    tmp_path: Path, pair: tuple[str, str]
) -> None:
    async with organisations(tmp_path, pair) as both:
        before = await both.both()
        names = killed(both)
        assert len(names) >= len(PARTS[pair[0]]) + len(PARTS[pair[1]])
        for number, name in enumerate(names):
            await once_killed(both, name, MOMENTS[number % len(MOMENTS)])
        assert await both.both() == after(before, len(names))
