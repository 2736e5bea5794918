"""How many lines alike refusals get."""

from __future__ import annotations

from gateway.repeats import OTHERS, Kind, Repeats


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


A, B, C = (Kind(f"peer:{name}", "offer", "offer_expired") for name in "abc")


def test_the_first_gets_a_line_and_then_one_a_minute_with_the_count() -> None:
    clock = Clock()
    repeats = Repeats(clock)
    assert repeats.came(A) == (A, 0)
    for _ in range(1000):
        assert repeats.came(A) is None
    assert repeats.came(B) == (B, 0), "another kind has a line of its own"
    assert list(repeats.overdue()) == []
    clock.now += 59.9
    assert repeats.came(A) is None
    clock.now += 0.1
    assert repeats.came(A) == (A, 1001)
    assert repeats.came(A) is None
    clock.now += 60
    assert repeats.came(A) == (A, 1)


def test_what_was_counted_is_told_though_nobody_comes_again() -> None:
    clock = Clock()
    repeats = Repeats(clock)
    for _ in range(3):
        repeats.came(A)
    repeats.came(B)
    assert list(repeats.overdue()) == []
    clock.now += 60
    assert list(repeats.overdue()) == [(A, 2)]
    assert list(repeats.overdue()) == []
    # The count's line was a line too.
    assert repeats.came(A) is None
    assert repeats.came(B) == (B, 0)
    assert list(repeats.overdue(at_once=True)) == [(A, 1)]


def test_the_kinds_are_bounded_and_nothing_goes_uncounted() -> None:
    clock = Clock()
    repeats = Repeats(clock, kinds=2)
    lines = [repeats.came(kind) for kind in (A, A, B, B)]
    assert lines == [(A, 0), None, (B, 0), None]
    assert repeats.came(C) == (OTHERS, 0)
    for number in range(100):
        assert repeats.came(Kind(f"peer:{number}", "offer", "not_now")) is None
    clock.now += 60
    assert sorted(repeats.overdue()) == sorted([(A, 1), (B, 1), (OTHERS, 100)])
    clock.now += 60
    assert list(repeats.overdue()) == []
    assert repeats.came(C) == (C, 0), "room was made"


def test_a_clock_that_is_set_back_silences_nobody() -> None:
    clock = Clock()
    repeats = Repeats(clock)
    repeats.came(A)
    repeats.came(A)
    clock.now -= 500
    assert repeats.came(A) == (A, 1)
