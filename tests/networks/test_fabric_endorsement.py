"""Who must agree on a real Fabric channel, who can withhold it, and by whose clock."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest

from adapters.fabric.driver import FabricAdapter
from adapters.model import LockState, Refund
from adapters.spi import NotSent
from tests.adapters.fabric.real_harness import until_ready
from tests.networks.fabric import CLOCK_BOUND, ROOT, FabricNetwork
from tests.networks.fabric_swap import Swap, driver, pursued

NETWORK = "Fabric 3.1, one Raft orderer, three organisations"


@pytest.fixture
async def network(fabric: FabricNetwork) -> FabricNetwork:
    for number in (1, 2, 3):
        await until_ready(fabric, number)
    return fabric


# --- a counterparty that withholds ---------------------------------------------------------------


def _stop_service(network: FabricNetwork) -> None:
    network.kill(network.service(1))


def _kill_peer(network: FabricNetwork) -> None:
    network.kill(network.peer(1))


def _refuse_claims(network: FabricNetwork) -> None:
    name = network.service(1)
    network.kill(name)
    (spec,) = [spec for spec in network.specs() if spec.name == name]
    program = (sys.executable, "-m", "tests.networks.fabric_withholding")
    network.resume_as(replace(spec, argv=program, env={**spec.env, "PYTHONPATH": str(ROOT)}))


@pytest.mark.shows("fabric", NETWORK, "the counterparty's peer withholds its endorsement")
@pytest.mark.parametrize("withhold", [_stop_service, _kill_peer, _refuse_claims])
async def test_a_claim_goes_through_without_the_counterparty(
    network: FabricNetwork, withhold: Callable[[FabricNetwork], None]
) -> None:
    """Organisation 1 locked; it does not want organisation 2 to have it."""
    async with driver(network, 2) as two:
        async with driver(network, 1) as one:
            swap = Swap(network, one)
            await one.submit(swap.lock, swap.sender)
            # By the peer that has seen the lock: another one may be a block behind.
            before = await swap.balances(one)
        withhold(network)
        try:
            await pursued(two, swap.claim, swap.recipient, swap, LockState.CLAIMED)
            assert (await two.lookup(swap.id)).state is LockState.CLAIMED
            sender, recipient = await swap.balances(two)
            assert (sender, recipient) == (before[0], before[1] + swap.terms.amount)
        finally:
            network.kill(network.service(1))
            network.resume(network.service(1))
            if not network.processes.alive(network.peer(1)):
                network.resume(network.peer(1))


# --- policies ------------------------------------------------------------------------------------


@pytest.mark.shows("fabric", NETWORK, "a swap whose counterparty could veto is refused")
async def test_a_swap_whose_counterparty_could_veto_is_refused(network: FabricNetwork) -> None:
    """AND of two organisations: each of them can. Then two of three again."""
    first, second, third = (network.msp_id(number) for number in (1, 2, 3))
    async with driver(network, 1) as one, driver(network, 2) as two:
        swap = Swap(network, one)
        sequence = await network.sequence()
        assert list(await one.objections(swap.terms)) == []
        await network.redefine(f"AND('{first}.peer','{second}.peer')", sequence + 1)
        try:
            for adapter in (one, two):
                said = await _until(adapter, swap, lambda found: bool(found))
                for party in (first, second):
                    assert any(
                        f"without {party}, which is a party of the swap and could veto" in sentence
                        for sentence in said
                    ), said
        finally:
            principals = ",".join(f"'{msp_id}.peer'" for msp_id in (first, second, third))
            await network.redefine(f"OutOf(2,{principals})", sequence + 2)
        for adapter in (one, two):
            await _until(adapter, swap, lambda found: not found)


async def _until(
    adapter: FabricAdapter, swap: Swap, wanted: Callable[[list[str]], bool]
) -> list[str]:
    """Each peer commits a new definition on its own time."""
    while True:
        said = list(await adapter.objections(swap.terms))
        if wanted(said):
            return said
        await asyncio.sleep(0.1)


# --- clocks --------------------------------------------------------------------------------------

NEAR, FAR = CLOCK_BOUND / 3, CLOCK_BOUND + 10
"""Seconds; a busy machine adds some between the client's clock and the endorsers'."""


@pytest.mark.shows("fabric", NETWORK, "a transaction's time beyond the endorsers' bound is refused")
@pytest.mark.parametrize("off", [-FAR, FAR])
async def test_a_time_beyond_the_bound_is_refused_by_the_real_peers(
    network: FabricNetwork, off: float
) -> None:
    side = "ahead of" if off > 0 else "behind"
    async with driver(network, 1) as good, driver(network, 1, off=off) as bad:
        swap = Swap(network, good)
        with pytest.raises(NotSent, match=f"s {side} this endorser's clock"):
            await bad.submit(swap.lock, swap.sender)
        assert (await good.lookup(swap.id)).state is LockState.ABSENT
        await good.submit(swap.lock, swap.sender)
        with pytest.raises(NotSent, match=f"s {side} this endorser's clock"):
            await bad.submit(swap.claim, swap.recipient)
        assert (await good.lookup(swap.id)).state is LockState.OPEN


@pytest.mark.shows("fabric", NETWORK, "a transaction's time within the endorsers' bound is taken")
@pytest.mark.parametrize("off", [-NEAR, NEAR])
async def test_a_time_within_the_bound_is_taken(network: FabricNetwork, off: float) -> None:
    async with driver(network, 1, off=off) as one:
        swap = Swap(network, one)
        await pursued(one, swap.lock, swap.sender, swap, LockState.OPEN)
        await pursued(one, swap.claim, swap.recipient, swap, LockState.CLAIMED)


@pytest.mark.shows("fabric", NETWORK, "no client's clock makes a refund come early")
async def test_a_clock_that_is_fast_makes_no_refund_come_early(network: FabricNetwork) -> None:
    """A client can hurry by what the endorsers allow, and no more."""
    async with driver(network, 1) as good, driver(network, 1, off=FAR) as fast:
        swap = Swap(network, good, lasts=CLOCK_BOUND + 60)
        await good.submit(swap.lock, swap.sender)
        with pytest.raises(NotSent, match="clock"):
            await fast.submit(Refund(swap.id), swap.sender)
        assert (await good.lookup(swap.id)).state is LockState.OPEN
