"""The real network, once for all tests that need one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.fabric.real_harness import RealHarness
from tests.networks.fabric import FabricNetwork, find_release, running
from tests.ports import free_block

PORTS = 30
"""So many in a row a real network takes."""


@pytest.fixture(scope="session")
def fabric(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FabricNetwork]:
    release = find_release()
    if isinstance(release, str):
        pytest.skip(release)
    folder: Path = tmp_path_factory.mktemp("fabric")
    with running(release, folder, free_block(PORTS).start) as network:
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
    with running(release, tmp_path / "fabric", free_block(PORTS).start) as network:
        yield network
