"""The simulated ledger keeps the interface's promises, in each of its behaviours."""

from __future__ import annotations

import pytest

from adapters.conformance.suite import *  # noqa: F403
from adapters.simulated.chain import Rules
from tests.adapters.conformance.simulated_ledger import SimulatedLedger


@pytest.fixture(
    params=[
        pytest.param(Rules(depth=4), id="final by depth"),
        pytest.param(Rules(depth=0), id="final at once"),
        pytest.param(Rules(depth=0, late=True), id="late"),
        pytest.param(Rules(depth=2, fee=3), id="fees"),
    ]
)
def harness(request: pytest.FixtureRequest) -> SimulatedLedger:
    return SimulatedLedger(request.param)
