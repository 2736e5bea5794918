from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.adapters.native.network import Network


@pytest.fixture(scope="package")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """One running node for the tests that need any; each compares balances before and after."""
    running = Network(tmp_path_factory.mktemp("native"))
    running.start()
    yield running
    running.stop()
