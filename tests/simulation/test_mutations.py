"""The simulation bites: each deliberate fault is found within a few hundred seeds."""

from __future__ import annotations

import logging

import pytest

from tests.simulation.mutations import MUTATIONS, Mutation, patched
from tests.simulation.plan import plan_of
from tests.simulation.world import simulate

WITHIN = 300
"""Seeds."""


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_fault_in_the_protocol_is_found(mutation: Mutation) -> None:
    logging.disable(logging.CRITICAL)
    try:
        with patched(*mutation.changes):
            found = next(
                (seed for seed in range(WITHIN) if simulate(mutation.plan(plan_of(seed))).failures),
                None,
            )
    finally:
        logging.disable(logging.NOTSET)
    assert found is not None, f"{mutation.name}: not found in {WITHIN} seeds"


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_without_the_fault_the_same_seeds_pass(mutation: Mutation) -> None:
    logging.disable(logging.CRITICAL)
    try:
        for seed in range(12):
            verdict = simulate(mutation.plan(plan_of(seed)))
            assert not verdict.failures, (seed, verdict.failures)
    finally:
        logging.disable(logging.NOTSET)
