"""What the scenarios of the demonstration show."""

from __future__ import annotations

import pytest

from gateway.demo.board import PAIRS
from gateway.demo.scenarios import Flaw, flaws_of


@pytest.mark.parametrize("seed", range(10))
def test_every_seed_shows_every_false_lock_as_an_answer_and_as_a_beginning(seed: int) -> None:
    played = [flaws_of(seed, place) for place in range(len(PAIRS))]
    assert {one.answer for one in played} == set(Flaw)
    assert {one.beginning for one in played} == set(Flaw)
    assert all(one.answer is not one.beginning for one in played)
