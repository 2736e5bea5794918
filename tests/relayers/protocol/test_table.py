"""The table says what ``step`` does: nothing else happens, and all that it names does happen."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from adapters.model import LockState, Stage
from relayers.protocol.intents import Kind
from relayers.protocol.state import ENDS, Phase, Role
from relayers.protocol.table import TABLE, Transition, path, row_of, to_markdown
from tests.relayers.protocol import samples
from tests.relayers.protocol.samples import CHAIN_A, CHAIN_B, LOCK_A, LOCK_B
from tests.relayers.protocol.side import REVEAL_LIMIT, Hop, Side

PAGE = Path(__file__).parents[3] / "docs/reference/swap-transitions.md"
WALKS = 1_500
"""Random walks, always the same ones; with ``LIVES`` each row of the table is reached by some."""

Row = tuple[Role, Phase, Transition]


def walk(chance: random.Random) -> set[Hop]:
    """One random life of one side; the checks of ``Side`` apply."""
    side = Side(chance.choice(list(Role)))
    side.begin()
    if chance.random() < 0.85:
        side.agree()
    marks = [samples.VALID_UNTIL, REVEAL_LIMIT, samples.T2, samples.T1]
    for _ in range(chance.randrange(4, 22)):
        match chance.randrange(13):
            case 0:
                chance.choice([side.agree, side.decline, side.begin])()
            case 1:
                side.refuse(chance.choice(list(Kind)), chance.random() < 0.5)
            case 2:
                side.deliver(chance.choice(list(Kind)))
            case 3:
                side.reveal()
            case 4:
                mark = chance.choice(marks) - chance.randrange(2)
                ahead = max(0, mark - side.now)
                side.pass_time(ahead, ahead, ahead)
            case 5:
                side.heed_wakes()
            case 6:
                side.pass_time(chance.randrange(60), chance.randrange(60), chance.randrange(60))
            case 7 if chance.random() < 0.4:
                side.see_stranger_claimed()
            case 8 if chance.random() < 0.2:
                side.freeze(chance.choice([CHAIN_A, CHAIN_B]), chance.random() < 0.5)
            case 9:
                side.see("opened", chance.choice([LOCK_A, LOCK_B]), Stage.FINAL)
            case 10:
                lock_id, shown = chance.choice([LOCK_A, LOCK_B]), chance.choice(list(LockState))
                side.look_up(lock_id, shown, chance.random() < 0.5)
            case _:
                side.see(
                    chance.choice(["opened", "opened", "claimed", "refunded"]),
                    chance.choice([LOCK_A, LOCK_B]),
                    chance.choice(list(Stage)),
                    chance.choice([1, 1, 2]),
                )
    return side.hops


OWN = {Role.INITIATOR: LOCK_A, Role.RESPONDER: LOCK_B}
THEIR = {Role.INITIATOR: LOCK_B, Role.RESPONDER: LOCK_A}
LIVES: tuple[tuple[tuple[bool, str], ...], ...] = (
    # Chains that contradict what was final: (own lock?, event).
    ((True, "opened"), (False, "claimed"), (True, "claimed"), (False, "refunded")),
    ((True, "opened"), (True, "claimed"), (False, "refunded"), (False, "claimed")),
    (
        (False, "opened"),
        (True, "opened"),
        (False, "claimed"),
        (True, "claimed"),
        (False, "refunded"),
    ),
    ((True, "opened"), (False, "claimed"), (False, "refunded")),
    ((True, "opened"), (True, "refunded"), (False, "claimed")),
    ((True, "refunded"), (False, "refunded"), (True, "claimed")),
    ((True, "claimed"), (False, "refunded"), (True, "refunded")),
    (
        (False, "opened"),
        (True, "opened"),
        (True, "refunded"),
        (False, "refunded"),
        (True, "claimed"),
    ),
)


def live(role: Role, life: tuple[tuple[bool, str], ...]) -> set[Hop]:
    """What is final comes one after the other."""
    side = Side(role)
    side.begin()
    side.agree()
    for block, (own, event) in enumerate(life):
        side.see(event, (OWN if own else THEIR)[role], Stage.FINAL, block)
    return side.hops


def surface(role: Role) -> set[Hop]:
    """A lock that was refused surfaces all the same, and a reorg takes it away for good."""
    side = Side(role)
    side.begin()
    side.agree()
    side.see("opened", THEIR[role], Stage.FINAL)
    side.refuse(Kind.LOCK, by_chain=True)
    side.see("opened", OWN[role], Stage.PENDING)
    side.see("opened", OWN[role], Stage.RETRACTED)
    side.pass_time(1_000, 1_000, 1_000)
    side.heed_wakes()
    side.look_for_own()
    assert side.state is not None
    assert side.state.phase is Phase.FAILED
    return side.hops


@pytest.fixture(scope="module")
def hops() -> set[Hop]:
    chance = random.Random(3)
    lives = [live(role, life) for role in Role for life in LIVES]
    lives += [surface(role) for role in Role]
    return set().union(*lives, *(walk(chance) for _ in range(WALKS)))


def test_every_row_is_reached(hops: set[Hop]) -> None:
    reached: set[tuple[Role, Phase, Phase]] = set()
    for role, start, kind, end in hops:
        way = path(role, start, kind, end)
        assert way is not None
        for transition in way:
            reached.add((role, start, transition.to))
            start = transition.to
    missing = [
        f"{row.role}: {row.phase} -> {transition.to} ({transition.why})"
        for row in TABLE
        for transition in row.transitions
        if (row.role, row.phase, transition.to) not in reached
    ]
    assert not missing


def test_every_phase_of_a_role_has_its_row() -> None:
    both = {Phase.LOCKING, Phase.LOCKED, Phase.CLAIMING, Phase.REFUNDING} | ENDS
    initiator = both | {Phase.OFFERED, Phase.REVEALING, Phase.SETTLING}
    responder = both | {Phase.RECEIVED, Phase.ACCEPTED}
    assert {row.phase for row in TABLE if row.role is Role.INITIATOR} == initiator
    assert {row.phase for row in TABLE if row.role is Role.RESPONDER} == responder
    assert len({(row.role, row.phase) for row in TABLE}) == len(TABLE)
    for row in TABLE:
        for transition in row.transitions:
            assert row_of(row.role, transition.to) is not None


def test_the_page_is_what_the_table_draws() -> None:
    assert PAGE.read_text(encoding="utf-8") == to_markdown()
