"""The conformance suite on a real Fabric network."""

from __future__ import annotations

import pytest

from adapters.conformance.suite import *  # noqa: F403
from tests.adapters.fabric.real_harness import RealHarness, until_ready


@pytest.fixture
async def harness(funded: RealHarness) -> RealHarness:
    await until_ready(funded.network, 1)
    return funded
