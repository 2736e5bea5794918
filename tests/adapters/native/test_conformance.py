"""The adapter interface's promises, held against the driver and a real embedded node."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

import pytest

from adapters.conformance.harness import Harness
from adapters.conformance.suite import *  # noqa: F403
from adapters.model import AssetId
from adapters.native.plugin import plugin
from adapters.spi import Adapter, Credential
from tests.adapters.native.network import PARTIES, Network


class NativeLedger(Harness):
    def __init__(self, network: Network) -> None:
        self._network = network

    def open(self) -> AbstractAsyncContextManager[Adapter]:
        return plugin.open("native", self._network.settings())

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
        await self._network.restart()


@pytest.fixture(scope="module")
def harness(network: Network) -> Harness:
    return NativeLedger(network)
