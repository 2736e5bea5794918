"""How commands show values that a peer may have chosen."""

from __future__ import annotations

import time

import pytest

from gateway.cli.answers import moment


@pytest.mark.parametrize("seconds", [2**63 - 1, 2**63, -(2**63), 2**56])
def test_a_time_beyond_every_calendar_is_shown_as_its_number(seconds: int) -> None:
    assert moment(seconds) == str(seconds)


def test_a_time_says_how_far_away_it_is() -> None:
    assert "ago)" in moment(int(time.time()) - 90)
