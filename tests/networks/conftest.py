"""What the tests of real networks share, and what each of them shows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.networks.fabric import FabricNetwork, running
from tests.networks.table import PROPERTY


@pytest.fixture(scope="session")
def fabric(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FabricNetwork]:
    """One for all files of the group "real fabric network"."""
    with running(FabricNetwork(tmp_path_factory.mktemp("fabric"))) as network:
        yield network


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for mark in item.iter_markers("shows"):
            item.user_properties.append((PROPERTY, list(mark.args)))
