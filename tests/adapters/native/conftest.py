from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from adapters.native.plugin import plugin
from adapters.spi import Adapter
from tests.adapters.native.faulty_node import FaultyNode, faulty_node
from tests.adapters.native.network import Network


@pytest.fixture(scope="package")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """One running node for the tests that need any; each compares balances before and after."""
    running = Network(tmp_path_factory.mktemp("native"))
    running.start()
    yield running
    running.stop()


@pytest.fixture
async def faulty(network: Network) -> AsyncIterator[FaultyNode]:
    async with faulty_node(network.settings().urls[0]) as node:
        yield node


@pytest.fixture
async def adapter(network: Network, faulty: FaultyNode) -> AsyncIterator[Adapter]:
    """An adapter whose one node is the faulty one, well-behaved until told otherwise."""
    settings = network.settings(urls=[faulty.url], request_timeout=5, poll_interval=0.05)
    async with plugin.open("native", settings) as opened:
        yield opened
