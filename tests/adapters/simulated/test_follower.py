"""Event streams over simulated chains: forks, stale heads, finality broken, resumption."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.model import (
    Cursor,
    InvalidValue,
    Lock,
    LockOpened,
    Notice,
    Observation,
    Stage,
)
from adapters.simulated.chain import PooledTransaction, SimulatedChain
from adapters.simulated.follower import Follower
from tests.adapters.simulated.parties import ANN, new_chain, terms_of

MOVES = st.lists(
    st.tuples(
        st.sampled_from(["block", "reorg", "stale", "tick"]), st.integers(1, 3), st.booleans()
    ),
    max_size=40,
)


class _Run:
    """A chain on which every block brings a lock, and a stream that is fed some of its heads."""

    def __init__(self, depth: int) -> None:
        self.chain: SimulatedChain = new_chain(depth=depth)
        self.follower = Follower(self.chain, None)
        self.notices: list[Notice] = []
        genesis = self.follower.step(self.chain.at(0), self.chain.time)
        assert genesis is not None
        self.start = genesis.cursor
        self._made = 0

    def move(self, kind: str, number: int, shown: bool) -> None:
        chain = self.chain
        match kind:
            case "block":
                self._made += 1
                terms = terms_of(self._made, amount=1)
                transaction = chain.next_transaction()
                chain.submit(PooledTransaction(transaction, ANN.account, Lock(terms), 0))
                chain.produce_block(chain.time + 1)
            case "reorg" if number <= min(chain.rules.depth, chain.newest.height):
                chain.reorg(number, loses=lambda transaction: shown, extra=1)
            case "stale" if chain.newest.height >= number:
                self._show_at(chain.newest.height - number)
            case "tick":
                chain.tick(chain.time + 1)
        if shown:
            self.show()

    def show(self) -> None:
        self._show_at(self.chain.newest.height)

    def _show_at(self, height: int) -> None:
        notice = self.follower.step(self.chain.at(height), self.chain.time)
        if notice is not None:
            self.notices.append(notice)


def _observations(notices: list[Notice], stage: Stage) -> list[Observation]:
    return [seen for notice in notices for seen in notice.observations if seen.stage is stage]


def _true_finals(chain: SimulatedChain, above: int = 0) -> list[Observation]:
    final = max(0, chain.newest.height - chain.rules.depth)
    blocks = [chain.at(height) for height in range(above + 1, final + 1)]
    return [seen for block in blocks for seen in block.observations(chain.id, Stage.FINAL)]


@given(moves=MOVES, depth=st.integers(0, 3))
def test_what_a_stream_tells_adds_up_to_the_chain(
    moves: list[tuple[str, int, bool]], depth: int
) -> None:
    """With reorgs within finality, stale heads and heads left out: the finals are the final
    blocks' events, once and in order, and what is pending and not retracted is the rest."""
    run = _Run(depth)
    for kind, number, shown in moves:
        run.move(kind, number, shown)
    run.show()
    assert all(notice.violation is None for notice in run.notices)
    finals = _observations(run.notices, Stage.FINAL)
    assert finals == _true_finals(run.chain)
    open_pending: Counter[tuple[int, bytes]] = Counter()
    for notice in run.notices:
        for seen in notice.observations:
            place = (seen.position.height, seen.position.block_hash)
            match seen.stage:
                case Stage.PENDING:
                    open_pending[place] += 1
                case Stage.RETRACTED:
                    open_pending[place] -= 1
                case Stage.FINAL:
                    open_pending.pop(place, None)
    newest = run.chain.newest
    unfinal = [
        run.chain.at(height)
        for height in range(max(0, newest.height - depth) + 1, newest.height + 1)
    ]
    assert {place for place, count in open_pending.items() if count} == {
        (block.height, block.hash) for block in unfinal if block.events
    }
    assert set(open_pending.values()) <= {0, 1}


@given(moves=MOVES, depth=st.integers(0, 3))
def test_every_cursor_resumes_exactly(moves: list[tuple[str, int, bool]], depth: int) -> None:
    run = _Run(depth)
    for kind, number, shown in moves:
        run.move(kind, number, shown)
    run.show()
    for index, notice in enumerate(run.notices):
        follower = Follower(run.chain, notice.cursor)
        resumed = follower.step(run.chain.newest, run.chain.time)
        assert resumed is not None
        assert resumed.violation is None
        assert _observations([resumed], Stage.FINAL) == _observations(
            run.notices[index + 1 :], Stage.FINAL
        )


def _three_locks(depth: int) -> _Run:
    run = _Run(depth)
    for _ in range(3):
        run.move("block", 0, True)
    return run


def test_a_reorg_deeper_than_finality_is_a_violation_and_the_stream_goes_on() -> None:
    run = _three_locks(depth=1)
    old = [run.chain.at(height) for height in (1, 2, 3)]
    run.chain.reorg(3)
    run.show()
    violation = run.notices[-1].violation
    assert violation is not None
    assert (violation.height, violation.expected) == (1, old[0].hash)
    assert violation.seen == run.chain.at(1).hash
    # What was final is not called retracted; only the pending third lock is.
    retracted = _observations(run.notices[-1:], Stage.RETRACTED)
    assert [seen.position.block_hash for seen in retracted] == [old[2].hash]
    told_anew = _observations(run.notices[-1:], Stage.FINAL)
    assert told_anew == _true_finals(run.chain)
    assert all(isinstance(seen.event, LockOpened) for seen in told_anew)
    run.move("block", 0, True)
    assert run.notices[-1].violation is None


def test_after_a_violation_what_is_final_is_counted_from_the_fork_on() -> None:
    run = _three_locks(depth=1)
    run.chain.reorg(3)
    notice = run.follower.step(run.chain.at(1), 1_001)
    assert notice is not None
    assert notice.violation is not None
    assert notice.cursor == run.start
    [pending] = _observations([notice], Stage.PENDING)
    assert pending.position.block_hash == run.chain.at(1).hash
    run.show()
    assert _observations(run.notices[-1:], Stage.FINAL) == _true_finals(run.chain)


def test_a_cursor_on_a_vanished_fork_is_rewound() -> None:
    run = _three_locks(depth=0)
    cursor = run.notices[-1].cursor
    run.chain.reorg(2)
    notice = Follower(run.chain, cursor).step(run.chain.newest, run.chain.time)
    assert notice is not None
    assert notice.violation is not None
    assert notice.violation.height == 2
    assert _observations([notice], Stage.FINAL) == _true_finals(run.chain, above=1)


def test_a_cursor_ahead_of_a_stale_node_waits_for_it() -> None:
    run = _three_locks(depth=0)
    follower = Follower(run.chain, run.notices[-1].cursor)
    behind = follower.step(run.chain.at(1), 1_001)
    assert behind is not None
    assert (behind.observations, behind.violation) == ((), None)
    assert behind.cursor == run.notices[-1].cursor
    run.move("block", 0, False)
    notice = follower.step(run.chain.newest, run.chain.time)
    assert notice is not None
    assert [seen.position.height for seen in notice.observations] == [4]


@pytest.mark.parametrize("text", ["", "1", "1:zz", "1:" + "00" * 32, ":", "-1:" + "00" * 32])
def test_a_cursor_of_another_chain_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="was not made on sim:alpha"):
        Follower(new_chain(), Cursor(text))


def test_a_cursor_whose_height_was_altered_is_refused() -> None:
    run = _three_locks(depth=0)
    _, _, digest = run.notices[-1].cursor.text.partition(":")
    with pytest.raises(InvalidValue):
        Follower(run.chain, Cursor(f"2:{digest}"))
