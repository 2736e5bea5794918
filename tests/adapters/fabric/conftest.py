"""The real network, once for all tests that need one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

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
