"""The real network, once for all tests that need one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.fabric.real_harness import RealHarness
from tests.networks.fabric import FabricNetwork, running


@pytest.fixture(scope="package")
def fabric(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FabricNetwork]:
    with running(FabricNetwork(tmp_path_factory.mktemp("fabric"))) as network:
        yield network


@pytest.fixture(scope="package")
def funded(fabric: FabricNetwork) -> RealHarness:
    """Its accounts hold a registered asset and the token chaincode's."""
    harness = RealHarness(fabric)
    asyncio.run(harness.fund())
    return harness


@pytest.fixture
def fabric_two(tmp_path: Path) -> Iterator[FabricNetwork]:
    """A network of its own, for a test that changes what the others rely on."""
    with running(FabricNetwork(tmp_path)) as network:
        yield network
