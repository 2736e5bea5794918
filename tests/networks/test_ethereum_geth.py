"""The adapter interface's promises, held against the driver and Geth: a block each second, each
final at once by the tag ``safe``, which in developer mode is the newest block."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager

import pytest

from adapters.conformance.harness import Harness
from adapters.conformance.suite import *  # noqa: F403
from adapters.ethereum.identity import Identities
from adapters.ethereum.plugin import plugin
from adapters.model import AssetId
from adapters.spi import Adapter, Credential
from tests.adapters.ethereum.signer import LocalSigner
from tests.networks.geth import NETWORK, Blocks, GethNetwork, geth_or_skip, running

pytestmark = pytest.mark.shows("ethereum", NETWORK, "the adapter interface's conformance suite")
geth_or_skip()


class GethLedger(Harness):
    """It forks never by itself; test_ethereum_finality.py makes it."""

    def __init__(self, network: GethNetwork) -> None:
        self._network = network
        self._settings = plugin.settings.model_validate(
            network.settings(final_by="safe", poll_interval=0.1, inclusion=2, finality=0)
        )

    def open(self) -> AbstractAsyncContextManager[Adapter]:
        return plugin.open("geth", self._settings)

    @property
    def credentials(self) -> Sequence[Credential]:
        return [plugin.credential(self._settings, signer) for signer in self._network.signers]

    @property
    def assets(self) -> Sequence[AssetId]:
        return self._network.devnet.assets()

    @property
    def absent_asset(self) -> AssetId:
        return Identities(self._settings.chain_id(), b"\xab" * 20).asset(b"\xab" * 20)

    async def restart(self) -> None:
        await asyncio.to_thread(self._network.process.kill)
        await asyncio.to_thread(self._network.process.start)


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    signers = [LocalSigner(f"conformance {number}") for number in range(3)]
    network = GethNetwork(tmp_path_factory.mktemp("geth"), signers, Blocks.EACH_SECOND)
    with running(network):
        asyncio.run(network.devnet.ready())
        yield GethLedger(network)
