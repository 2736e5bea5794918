"""kill -9 of a gateway at every write of its journal in a happy swap: the same balances each time.

The ledgers are the embedded ones, the gateways real processes. Undisturbed swaps tell which writes
a swap has on each side; then each side dies once before and once after each of them. A write that
shows only in a later swap is added; a death that does not come about fails the test.

Every write is met on native and Fabric, whose blocks come fast; on native and Ethereum, those that
only Ethereum has.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.mortal_gateway import Death
from tests.e2e.pairs import Pair, Side, make_environment, start

TRIES = 4
"""Swaps for a death. What two threads do at once is not always written in the same order, so that
a name with a number may be missing from a swap."""

FACTS = {
    "initiator": {"OfferMade", "Delivered", "AcceptanceReceived", "RevealBegun"},
    "responder": {"OfferReceived", "OfferAccepted", "Delivered"},
}
"""Of each side's happy swap, at least, beside what it sees on the ledgers; each is written when it
comes and when it is dealt with."""


@dataclass(frozen=True, slots=True)
class Course:
    """``other``: the ledger beside the native one. ``pairs`` swap side by side: one waits for
    blocks while another works. ``seen``: the namespaces of the chains whose events must be among
    the writes. ``dies_at``: what is in the name of every write at which to die."""

    other: str
    pairs: int
    seen: tuple[str, ...]
    dies_at: str = ""

    def dies(self, write: str) -> bool:
        """Not where a look-up is told: that is written only where it comes before the stream of
        events does, which nobody can order. The simulation dies there too."""
        return self.dies_at in write and "LookedUp" not in write

    def facts(self, role: str) -> set[str]:
        events = {
            f"Observed {namespace} {event} final"
            for namespace in self.seen
            for event in ("LockOpened", "LockClaimed")
        }
        return events | (FACTS[role] if not self.dies_at else set())


COURSES = (
    Course("fabric", 4, ("isthmus", "fabric")),
    Course("ethereum", 8, ("eip155",), dies_at=" Observed eip155 "),
)


@asynccontextmanager
async def pairs_in(folder: Path, course: Course) -> AsyncIterator[list[Pair]]:
    environment = make_environment(folder, course.pairs, other=course.other)
    pairs: list[Pair] = []
    try:
        pairs = await start(environment, course.pairs)
        for pair in pairs:
            for side in pair.sides:
                side.start()
        for pair in pairs:
            for side in pair.sides:
                await side.ready()
        yield pairs
    finally:
        for pair in pairs:
            for side in pair.sides:
                await side.stop()
        environment.down()


@dataclass(frozen=True, slots=True)
class Case:
    role: str
    death: Death
    tries: int = TRIES

    def mortal(self, pair: Pair) -> Side:
        return pair.initiator if self.role == "initiator" else pair.responder


class Deaths:
    """Those to come, those that came about, and those that did not."""

    def __init__(self, course: Course) -> None:
        self.course = course
        self.coming: deque[Case] = deque()
        self.died: set[tuple[str, Death]] = set()
        self.escaped: list[Case] = []
        self.writes: dict[str, dict[str, None]] = {role: {} for role in FACTS}
        """The names of each side's writes, in the order in which they were first seen."""

    def learn(self, role: str, writes: Iterable[str]) -> None:
        for write in writes:
            if write not in self.writes[role] and self.course.dies(write):
                self.writes[role][write] = None
                self.coming.extend(Case(role, Death(write, before)) for before in (True, False))

    def note(self, case: Case, mortal: Side) -> None:
        writes = mortal.gateway.writes()
        self.learn(case.role, writes)
        if mortal.deaths:
            assert case.death.write in writes, f"it died elsewhere than {case.death}: {writes}"
            self.died.add((case.role, case.death))
        elif case.tries > 1:
            self.coming.append(Case(case.role, case.death, case.tries - 1))
        else:
            self.escaped.append(case)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("course", COURSES, ids=lambda course: str(course.other))
async def test_a_killed_gateway_ends_its_swap_all_the_same(
    course: Course, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deaths = Deaths(course)

    async def undisturbed(pair: Pair) -> None:
        await pair.swap()
        deaths.learn("initiator", pair.initiator.gateway.writes())
        deaths.learn("responder", pair.responder.gateway.writes())

    async def work(pair: Pair) -> None:
        while deaths.coming:
            case = deaths.coming.popleft()
            await pair.swap(case.mortal(pair), case.death)
            deaths.note(case, case.mortal(pair))

    async with pairs_in(tmp_path, course) as pairs:
        async with asyncio.TaskGroup() as learning:
            for pair in pairs:
                learning.create_task(undisturbed(pair))
        async with asyncio.TaskGroup() as working:
            for pair in pairs:
                working.create_task(work(pair))

    for role in FACTS:
        facts, writes = course.facts(role), deaths.writes[role]
        with capsys.disabled():
            sys.stdout.write(f"\n{role}: {len(writes)} writes, a death before and after each:\n")
            sys.stdout.writelines(f"  {write}\n" for write in writes)
        expected = {f"{operation} {fact}" for fact in facts for operation in ("append", "commit")}
        assert expected <= writes.keys(), f"{role}: never seen: {expected - writes.keys()}"
        every = {(role, Death(write, before)) for write in writes for before in (True, False)}
        assert every <= deaths.died, f"not died: {sorted(map(str, every - deaths.died))}"
    assert bool(course.dies_at) or "append Answer" in deaths.writes["initiator"]
    assert not deaths.escaped
