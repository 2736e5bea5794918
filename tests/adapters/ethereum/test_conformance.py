"""The adapter interface's promises, on Anvil with two blocks a second, final by four blocks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager

import pytest

from adapters.conformance.harness import Harness
from adapters.conformance.suite import *  # noqa: F403
from adapters.ethereum.identity import Identities
from adapters.ethereum.plugin import plugin
from adapters.model import AssetId
from adapters.spi import Adapter, Credential
from tests.adapters.ethereum.anvil import Network
from tests.adapters.ethereum.signer import LocalSigner

FINAL_BY = 4
"""Blocks."""


class EthereumHarness(Harness):
    def __init__(self, network: Network) -> None:
        self.network = network
        self.settings = plugin.settings.model_validate(
            network.settings(final_by=FINAL_BY, poll_interval=0.1, inclusion=2, finality=3)
        )

    def open(self) -> AbstractAsyncContextManager[Adapter]:
        return plugin.open("anvil", self.settings)

    @property
    def credentials(self) -> Sequence[Credential]:
        return [plugin.credential(self.settings, signer) for signer in self.network.signers]

    @property
    def assets(self) -> Sequence[AssetId]:
        return self.network.devnet.assets()

    @property
    def absent_asset(self) -> AssetId:
        return Identities(self.settings.chain_id(), b"\xab" * 20).asset(b"\xab" * 20)

    async def restart(self) -> None:
        """Killed hard once the newest block is in the state file, so that nothing is lost; until
        then no more are made. Started again, it makes blocks as before."""
        await asyncio.to_thread(self.network.rpc, "evm_setIntervalMining", 0)
        await self.network.written()
        await asyncio.to_thread(self.network.process.kill)
        await asyncio.to_thread(self.network.process.start)

    async def reorg(self, depth: int) -> None:
        """One block more than asked, for the one that may have come since the asker looked."""
        await asyncio.to_thread(self.network.rpc, "anvil_reorg", depth + 1, [])


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    signers = [LocalSigner(f"conformance {number}") for number in range(3)]
    network = Network(tmp_path_factory.mktemp("anvil"), signers, block_time=0.5)
    network.process.start()
    try:
        asyncio.run(network.devnet.ready())
        _bury(network)
        yield EthereumHarness(network)
    finally:
        network.process.stop()


def _bury(network: Network) -> None:
    """Returns when the participants' funds are below every reorg that a test may ask for: Anvil's
    leave out what they take away."""
    funded = int(network.rpc("eth_blockNumber"), 16)
    while int(network.rpc("eth_blockNumber"), 16) < funded + 2 * FINAL_BY:
        time.sleep(0.1)
