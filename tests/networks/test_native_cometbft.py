"""The adapter interface's promises, held against the driver and four CometBFT validators."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager

import pytest

from adapters.conformance.harness import Harness
from adapters.conformance.suite import *  # noqa: F403
from adapters.model import AssetId
from adapters.spi import Adapter, Credential
from tests.networks.cometbft import NETWORK, PARTIES, CometNetwork, cometbft_or_skip, running

pytestmark = pytest.mark.shows("native", NETWORK, "the adapter interface's conformance suite")
cometbft_or_skip()


class NativeLedger(Harness):
    def __init__(self, network: CometNetwork) -> None:
        self._network = network

    def open(self) -> AbstractAsyncContextManager[Adapter]:
        return self._network.adapter()

    @property
    def credentials(self) -> Sequence[Credential]:
        return [self._network.credential(key) for key in PARTIES.values()]

    @property
    def assets(self) -> Sequence[AssetId]:
        return self._network.assets

    @property
    def absent_asset(self) -> AssetId:
        return AssetId(self._network.assets[0].chain, "asset", "NONE")

    async def restart(self) -> None:
        """All of it: every validator's node and application."""
        before = await self._network.height()
        self._network.kill()
        self._network.start()
        await self._network.reached(before + 1)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CometNetwork]:
    with running(CometNetwork(tmp_path_factory.mktemp("cometbft"))) as network:
        yield network


@pytest.fixture(scope="module")
def harness(network: CometNetwork) -> Harness:
    return NativeLedger(network)
