"""Wakes: each once, none that is no longer wanted, and again where the time went back."""

from __future__ import annotations

from adapters.model import ChainId, Hashlock
from relayers.protocol.wakes import Wake
from relayers.timers import Timers

KEY, OTHER = Hashlock(b"k" * 32), Hashlock(b"o" * 32)
CHAIN = ChainId("sim", "a")
CLOCK, BLOCK = Wake(100, None), Wake(100, CHAIN)


def test_each_wake_comes_once_by_its_own_clock() -> None:
    timers = Timers()
    timers.schedule(KEY, [CLOCK, BLOCK])
    assert timers.due(None, 99) == []
    assert timers.due(None, 100) == [(KEY, CLOCK)]
    assert timers.due(CHAIN, 100) == [(KEY, BLOCK)]
    timers.schedule(KEY, [CLOCK, BLOCK])
    assert timers.due(None, 200) == timers.due(CHAIN, 200) == []


def test_a_wake_that_is_no_longer_wanted_does_not_come() -> None:
    timers = Timers()
    timers.schedule(KEY, [CLOCK])
    timers.schedule(OTHER, [CLOCK])
    timers.schedule(KEY, [])
    assert timers.due(None, 100) == [(OTHER, CLOCK)]


def test_the_next_moment_is_that_of_a_wake_still_wanted() -> None:
    timers = Timers()
    timers.schedule(KEY, [CLOCK])
    timers.schedule(OTHER, [Wake(200, None)])
    timers.schedule(KEY, [])
    assert timers.next_by_clock() == 200
    timers.schedule(OTHER, [])
    assert timers.next_by_clock() is None


def test_a_wake_that_came_too_soon_comes_again() -> None:
    timers = Timers()
    timers.schedule(KEY, [BLOCK])
    assert timers.due(CHAIN, 100) == [(KEY, BLOCK)]
    timers.again(KEY, CHAIN, 100)
    timers.schedule(KEY, [BLOCK])
    assert timers.due(CHAIN, 100) == [(KEY, BLOCK)]
