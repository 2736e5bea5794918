"""The real network, once for all tests that need one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.fabric.real_harness import RealHarness
from tests.networks.fabric import FabricNetwork, find_release, running

PORTS_FROM = 23100


@pytest.fixture(scope="session")
def fabric(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FabricNetwork]:
    release = find_release()
    if isinstance(release, str):
        pytest.skip(release)
    folder: Path = tmp_path_factory.mktemp("fabric")
    with running(release, folder, PORTS_FROM) as network:
        yield network


@pytest.fixture(scope="session")
def funded(fabric: FabricNetwork) -> RealHarness:
    """Its accounts hold a registered asset and the token chaincode's."""
    harness = RealHarness(fabric)
    harness.fund()
    return harness


@pytest.fixture
def fabric_two(tmp_path: Path) -> Iterator[FabricNetwork]:
    """A network of its own, for a test that changes what the others rely on."""
    release = find_release()
    if isinstance(release, str):
        pytest.skip(release)
    with running(release, tmp_path / "fabric", PORTS_FROM + 50) as network:
        yield network
