"""The conformance suite on the development network."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapters.conformance.suite import *  # noqa: F403
from tests.adapters.fabric.devnet_harness import DevnetHarness


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevnetHarness]:
    harness = DevnetHarness(tmp_path_factory.mktemp("fabric-devnet"))
    try:
        harness.start()
        yield harness
    finally:
        harness.stop()
