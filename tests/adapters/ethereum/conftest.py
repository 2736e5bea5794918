"""Anvil whose blocks are made when a test says so: nothing waits for a clock."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.adapters.ethereum.anvil import Network
from tests.adapters.ethereum.signer import LocalSigner


@pytest.fixture
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """A development network, funded, that from then on makes blocks on demand (evm_mine)."""
    signers = [LocalSigner(f"driver {number}") for number in range(3)]
    network = Network(tmp_path_factory.mktemp("anvil"), signers)
    network.process.start()
    try:
        asyncio.run(network.devnet.ready())
        network.rpc("evm_setIntervalMining", 0)
        yield network
    finally:
        network.process.stop()
