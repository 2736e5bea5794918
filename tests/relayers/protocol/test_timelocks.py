"""The arithmetic of deadlines: each inequality is strict, and moves the right way in each bound."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.model import Bounds, ChainId, Head, InvalidValue
from relayers.protocol import timelocks
from relayers.protocol.timelocks import GatewayBounds, Schedule

SECONDS = st.integers(0, 10_000)
BOUNDS = st.builds(Bounds, SECONDS, SECONDS, SECONDS, SECONDS)
SCHEDULES = st.builds(
    Schedule, BOUNDS, BOUNDS, st.builds(GatewayBounds, SECONDS, SECONDS), SECONDS, SECONDS
)
# Distinct primes: a bound that is missing, doubled or taken from the wrong chain shows.
S = Schedule(
    a=Bounds(inclusion=2, finality=3, clock=5, late=7),
    b=Bounds(inclusion=11, finality=13, clock=17, late=19),
    gateway=GatewayBounds(reaction=23, outage=29),
    stale_a=31,
    stale_b=37,
)
T2 = 100_000


def test_the_sums_are_those_of_the_design() -> None:
    reveal_room = 29 + 23 + 11 + 13 + 17
    assert timelocks.gap(S) == 17 + 13 + 19 + 29 + 23 + 2 + 3 + 5
    assert timelocks.reveal_limit(S, T2) == T2 - reveal_room
    assert timelocks.responder_lock_limit(S, T2) == T2 - reveal_room - (11 + 13 + 23)
    assert timelocks.initiator_lock_limit(S, T2) == T2 - reveal_room - (11 + 13 + 23) - (2 + 3 + 23)


@given(SCHEDULES, st.integers(1, 2**40))
def test_equalities_are_refused(schedule: Schedule, at: int) -> None:
    t2 = at + (T2 - timelocks.initiator_lock_limit(schedule, T2)) + 1
    t1 = t2 + timelocks.gap(schedule) + 1
    assert timelocks.objection(schedule, t1, t2, at) is None
    gap = timelocks.objection(schedule, t1 - 1, t2, at)
    assert gap is not None
    assert "t1" in gap
    near = timelocks.objection(schedule, t1, t2, at + 1)
    assert near is not None
    assert "t2" in near


@given(SCHEDULES, st.integers(1, 2**40), st.integers(0, 100))
def test_the_deadlines_that_are_proposed_are_the_earliest_that_pass(
    schedule: Schedule, start: int, slack: int
) -> None:
    t1, t2 = timelocks.deadlines(schedule, start, slack)
    assert timelocks.objection(schedule, t1, t2, start) is None
    t1, t2 = timelocks.deadlines(schedule, start, 0)
    assert timelocks.objection(schedule, t1 - 1, t2 - 1, start) is not None
    assert timelocks.objection(schedule, t1 - 1, t2, start) is not None


def _more(schedule: Schedule, leg: str, bound: str) -> Schedule:
    part = getattr(schedule, leg)
    return replace(schedule, **{leg: replace(part, **{bound: getattr(part, bound) + 1})})


ALL = [(leg, bound) for leg in ("a", "b") for bound in ("inclusion", "finality", "clock", "late")]
ALL += [("gateway", "reaction"), ("gateway", "outage")]


@pytest.mark.parametrize(("leg", "bound"), ALL)
@given(schedule=SCHEDULES)
def test_a_wider_bound_never_allows_more(leg: str, bound: str, schedule: Schedule) -> None:
    wider = _more(schedule, leg, bound)
    assert timelocks.gap(wider) >= timelocks.gap(schedule)
    for limit in (
        timelocks.reveal_limit,
        timelocks.responder_lock_limit,
        timelocks.initiator_lock_limit,
    ):
        assert limit(wider, T2) <= limit(schedule, T2)


@given(SCHEDULES)
def test_the_limits_come_in_the_order_of_the_swap(schedule: Schedule) -> None:
    first = timelocks.initiator_lock_limit(schedule, T2)
    second = timelocks.responder_lock_limit(schedule, T2)
    third = timelocks.reveal_limit(schedule, T2)
    assert first <= second <= third <= T2
    # Locked at the last moment, and final within the bounds, the next step is still in time.
    step = schedule.a.inclusion + schedule.a.finality + schedule.gateway.reaction
    assert first - 1 + step < second
    step = schedule.b.inclusion + schedule.b.finality + schedule.gateway.reaction
    assert second - 1 + step < third


def test_a_deadline_in_the_past_is_refused_as_such() -> None:
    objection = timelocks.objection(S, T2 + 1000, T2, T2)
    assert objection is not None
    assert "not in the future" in objection


def test_now_is_the_latest_that_anything_claims() -> None:
    chain = ChainId("sim", "a")
    heads = [Head(chain, 1, bytes(32), time, 0) for time in (50, 70)]
    assert timelocks.now(60, heads) == 70
    assert timelocks.now(80, heads) == 80
    assert timelocks.now(80, []) == 80


@pytest.mark.parametrize("value", [-1, True, 1.5, "3"])
def test_bounds_are_whole_seconds(value: int) -> None:
    with pytest.raises(InvalidValue, match="outage"):
        GatewayBounds(reaction=1, outage=value)
