"""Reorganisations of Ethereum's blocks under running swaps, above what is final and below it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import cast

import pytest

from adapters.model import LockClaimed, LockOpened, LockState, Stage
from relayers.protocol.offer import Offer
from relayers.protocol.state import Leg, Phase
from tests.adapters.ethereum.anvil import Network
from tests.networks.swaps_on_anvil import (
    AMOUNT,
    DEPTH,
    FUNDS,
    NAMES,
    Gateway,
    HeldSigner,
    Side,
    World,
    world_on,
)

NETWORK = "Anvil"
SHORT = pytest.mark.shows("ethereum", NETWORK, "a reorg of blocks that are not final")
DEEP = pytest.mark.shows("ethereum", NETWORK, "a reorg of final blocks")
SIDES: tuple[Side, ...] = ("initiator's", "responder's")
NOBODY = {"alice": FUNDS, "bob": FUNDS}
PAID = {
    "initiator's": {"alice": FUNDS + AMOUNT, "bob": FUNDS - AMOUNT},
    "responder's": {"alice": FUNDS - AMOUNT, "bob": FUNDS + AMOUNT},
}
"""On the simulated ledger, after a whole swap."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """Deployed and funded once, and stopped: each test has a copy."""
    signers = [HeldSigner(name) for name in NAMES]
    network = Network(tmp_path_factory.mktemp("prepared"), signers)
    network.process.start()
    try:
        asyncio.run(network.devnet.ready())
    finally:
        network.process.stop()
    return network


@pytest.fixture
def network(prepared: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    network = prepared.copy_to(tmp_path_factory.mktemp("anvil") / "network")
    network.process.start()
    try:
        network.rpc("evm_setIntervalMining", 0)
        yield network
    finally:
        network.process.stop()


@pytest.fixture
async def world(network: Network) -> AsyncIterator[World]:
    async with world_on(network) as world:
        yield world


def leg_on_ethereum(gateway: Gateway, offer: Offer) -> Leg:
    swap = gateway.swap(offer)
    leg = swap.a if offer.a.chain == gateway.ethereum.id else swap.b
    assert leg is not None
    return leg


def agreed(world: World, offer: Offer) -> bool:
    swaps = [gateway.engine.swap(offer.hashlock) for gateway in (world.alice, world.bob)]
    return all(swap is not None and swap.b is not None for swap in swaps)


async def ended(world: World, offer: Offer, *phases: Phase) -> None:
    """Once both have ended the swap, in these phases."""
    await world.until(
        lambda: all(gateway.swap(offer).ended for gateway in (world.alice, world.bob))
    )
    assert (world.alice.swap(offer).phase, world.bob.swap(offer).phase) == phases


def pending_in(world: World, gateway: Gateway, offer: Offer) -> int:
    """How many blocks there are on the lock's, and that one; 0 where it is not in one."""
    leg = leg_on_ethereum(gateway, offer)
    if leg.opened is None or leg.opened_by is None:
        return 0
    return int(world.network.rpc("eth_blockNumber"), 16) - leg.opened_by.height + 1


@SHORT
@pytest.mark.parametrize("side", SIDES)
async def test_a_lock_that_was_pending_is_retracted_and_made_again(
    world: World, side: Side
) -> None:
    offer = await world.offer(side)
    await world.settle(lambda: agreed(world, offer))
    owner, other = world.alice, world.bob
    if side == "responder's":
        owner, other = other, owner
    await world.until(lambda: leg_on_ethereum(other, offer).opened is Stage.PENDING)
    world.reorg(pending_in(world, other, offer))
    assert (await world.on_ethereum(offer)).state is LockState.ABSENT
    await world.settle(lambda: leg_on_ethereum(other, offer).opened is None)
    await world.settle(lambda: leg_on_ethereum(owner, offer).opened is None)
    await ended(world, offer, Phase.COMPLETED, Phase.COMPLETED)
    assert world.holdings() == PAID[side]
    for gateway in (world.alice, world.bob):
        stages = await gateway.stages(offer, LockOpened)
        assert stages == [Stage.PENDING, Stage.RETRACTED, Stage.PENDING, Stage.FINAL]
        assert gateway.frozen() is None
        assert not gateway.swap(offer).alerted


@SHORT
@pytest.mark.parametrize("side", SIDES)
async def test_a_claim_that_was_pending_is_retracted_and_made_again(
    world: World, side: Side
) -> None:
    offer = await world.offer(side)
    await world.settle(lambda: agreed(world, offer))
    claimant = world.alice if side == "responder's" else world.bob
    await world.until(lambda: leg_on_ethereum(claimant, offer).settled_stage is Stage.PENDING)
    world.reorg(1)
    assert (await world.on_ethereum(offer)).state is LockState.OPEN
    await world.settle(lambda: leg_on_ethereum(claimant, offer).settled is None)
    await ended(world, offer, Phase.COMPLETED, Phase.COMPLETED)
    assert world.holdings() == PAID[side]
    assert (await world.on_ethereum(offer)).state is LockState.CLAIMED
    stages = await claimant.stages(offer, LockClaimed)
    assert stages[:2] == [Stage.PENDING, Stage.RETRACTED]
    assert stages[-1] is Stage.FINAL
    assert claimant.frozen() is None


async def break_finality(world: World, *kept: str) -> None:
    """A fork deeper than what is final; returns when both gateways have seen it."""
    await world.seen()
    world.reorg(DEPTH + 2, kept)
    await world.settle(lambda: world.alice.frozen() and world.bob.frozen())


async def says_why(gateway: Gateway, offer: Offer, leg: str) -> None:
    """It has alerted, and its users were told."""
    assert f"bound:frozen:{leg}" in gateway.swap(offer).alerted
    assert any("broke its finality rule" in text for text in await gateway.told(offer))


@DEEP
@pytest.mark.parametrize("side", SIDES)
async def test_no_swap_is_agreed_on_a_chain_that_broke_its_finality(
    world: World, side: Side
) -> None:
    world.accepting = False
    offer = await world.offer(side)
    await world.settle(lambda: world.bob.engine.swap(offer.hashlock))
    await break_finality(world)
    refusal = await world.bob.accept(offer)
    assert refusal is not None
    assert refusal.startswith("chain_frozen: ")
    assert "broke its finality rule" in refusal
    await world.bob.engine.unfreeze(world.bob.ethereum.id)
    await world.alice.engine.unfreeze(world.alice.ethereum.id)
    assert await world.bob.accept(offer) is None, "an operator trusts it again"


@DEEP
async def test_no_lock_is_opened_that_was_agreed_before(world: World) -> None:
    """The initiator's key is not to be had until the chain has broken its rule."""
    signer = world.network.signers[0]
    assert isinstance(signer, HeldSigner)
    signer.held = True
    try:
        offer = await world.offer("initiator's")
        await world.settle(lambda: any(one.failures for one in world.alice.executor.tries()))
        await break_finality(world)
        await world.settle(lambda: world.alice.swap(offer).ended)
    finally:
        signer.held = False
    assert world.alice.swap(offer).phase is Phase.FAILED
    assert "is frozen" in world.alice.swap(offer).reason
    assert (await world.on_ethereum(offer)).state is LockState.ABSENT
    await says_why(world.alice, offer, "a")


@DEEP
async def test_no_lock_is_opened_in_return(world: World) -> None:
    """The other ledger has the initiator's lock, final; ours on Ethereum is not made."""
    offer = await world.offer("responder's")
    await world.settle(lambda: agreed(world, offer))
    await break_finality(world)
    await world.until(lambda: cast(Leg, world.bob.swap(offer).a).open_final)
    for _ in range(10):
        await world.pass_block()
    assert world.bob.swap(offer).phase is Phase.ACCEPTED
    assert (await world.on_ethereum(offer)).state is LockState.ABSENT
    await says_why(world.bob, offer, "b")
    # The initiator's lock on the other ledger comes home, and nobody has lost anything.
    await world.until(lambda: world.alice.swap(offer).ended, seconds=40)
    assert world.alice.swap(offer).phase is Phase.REFUNDED
    assert world.bob.swap(offer).phase is Phase.EXPIRED
    assert world.holdings() == NOBODY


@DEEP
async def test_no_secret_is_revealed_and_refunds_go_on(world: World) -> None:
    """The lock that the initiator would claim comes again after the fork; it does not claim it."""
    offer = await world.offer("responder's")
    await world.settle(lambda: agreed(world, offer))
    await world.until(lambda: pending_in(world, world.alice, offer) == DEPTH - 1)
    transaction = leg_on_ethereum(world.alice, offer).opened_by
    assert transaction is not None
    raw = world.network.rpc("eth_getRawTransactionByHash", transaction.transaction)
    await break_finality(world, raw)
    await world.until(lambda: leg_on_ethereum(world.alice, offer).open_final)
    for _ in range(10):
        await world.pass_block()
    assert world.alice.swap(offer).phase is Phase.CLAIMING
    assert world.alice.swap(offer).preimage is None
    assert (await world.on_ethereum(offer)).state is LockState.OPEN
    await says_why(world.alice, offer, "b")
    await says_why(world.bob, offer, "b")
    (held,) = [one for one in world.alice.executor.tries() if one.error]
    assert "broke its finality rule" in str(held.error)
    # Both locks come home, the one on the frozen chain too.
    await world.until(
        lambda: world.bob.swap(offer).ended and world.alice.swap(offer).ended, seconds=40
    )
    assert world.alice.swap(offer).phase is world.bob.swap(offer).phase is Phase.REFUNDED
    assert (await world.on_ethereum(offer)).state is LockState.REFUNDED
    assert world.holdings() == NOBODY


@DEEP
async def test_a_claim_whose_secret_is_known_goes_on(world: World) -> None:
    """The initiator reveals on the other ledger; the responder claims on the frozen one."""
    offer = await world.offer("initiator's")
    await world.settle(lambda: agreed(world, offer))
    await world.until(lambda: leg_on_ethereum(world.bob, offer).open_final)
    await world.settle(lambda: world.bob.swap(offer).phase is Phase.LOCKING)
    # Its own lock waits in the other ledger's pool, while Ethereum goes on and is forked.
    await world.settle(lambda: world.other.mempool)
    world.mine(DEPTH + 4)
    await break_finality(world)
    assert (await world.on_ethereum(offer)).state is LockState.OPEN
    await ended(world, offer, Phase.COMPLETED, Phase.COMPLETED)
    assert (await world.on_ethereum(offer)).state is LockState.CLAIMED
    assert world.holdings() == PAID["initiator's"]
    await says_why(world.bob, offer, "a")
