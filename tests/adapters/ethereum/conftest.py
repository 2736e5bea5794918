"""Anvil whose blocks are made when a test says so: nothing waits for a clock."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.adapters.ethereum.anvil import Network
from tests.adapters.ethereum.signer import LocalSigner


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """A development network, deployed and funded once, and stopped: each test copies it."""
    signers = [LocalSigner(f"driver {number}") for number in range(3)]
    network = Network(tmp_path_factory.mktemp("prepared"), signers)
    network.process.start()
    try:
        asyncio.run(network.devnet.ready())
    finally:
        network.process.stop()
    return network


@pytest.fixture
def network(prepared: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """A development network, funded, that makes blocks on demand (evm_mine)."""
    network = prepared.copy_to(tmp_path_factory.mktemp("anvil") / "network")
    network.process.start()
    try:
        network.rpc("evm_setIntervalMining", 0)
        yield network
    finally:
        network.process.stop()
