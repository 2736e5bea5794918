"""The tower's decisions, by Hypothesis; and its file."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.model import (
    AccountId,
    AssetId,
    ChainId,
    Cursor,
    Head,
    LockClaimed,
    LockEvent,
    LockId,
    LockOpened,
    LockRefunded,
    LockTerms,
    Observation,
    Position,
    Preimage,
    Stage,
)
from relayers.protocol.tower import ClaimFor, RefundFor, Tower, absorb, errands, prune
from relayers.tower_state import TowerState, TowerStateError

CHAINS = (ChainId("sim", "a"), ChainId("sim", "b"))
EVERYBODY: frozenset[AccountId] = frozenset()


def preimage(number: int) -> Preimage:
    return Preimage(sha256(b"%d" % number).digest())


def terms(chain: ChainId, number: int, deadline: int) -> LockTerms:
    return LockTerms(
        chain, "locks", AccountId(chain, "ann"), AccountId(chain, "bob"),
        AssetId(chain, "coin", "x"), 5, preimage(number).hashlock(), deadline,
    )  # fmt: skip


def lock_id(of: LockTerms) -> LockId:
    return LockId(sha256(repr(of).encode()).digest())


def seen(chain: ChainId, event: LockEvent, stage: Stage = Stage.PENDING) -> Observation:
    return Observation(chain, event, stage, Position(1, bytes(32), 0, "tx"))


locks = st.builds(terms, st.sampled_from(CHAINS), st.integers(0, 3), st.integers(100, 200))
stages = st.sampled_from(Stage)


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    of = draw(locks)
    hashlock = of.hashlock
    number = next(n for n in range(4) if preimage(n).hashlock() == hashlock)
    event: LockEvent = draw(
        st.sampled_from(
            [
                LockOpened(lock_id(of), of),
                LockClaimed(lock_id(of), hashlock, preimage(number)),
                LockRefunded(lock_id(of), hashlock),
            ]
        )
    )
    return seen(of.chain, event, draw(stages))


@given(st.lists(observations(), max_size=30), st.integers(50, 250), st.integers(0, 40))
def test_what_a_tower_does_is_what_a_chain_would_take(
    history: list[Observation], time: int, patience: int
) -> None:
    tower = Tower()
    for observation in history:
        once = absorb(tower, observation, 50, EVERYBODY)
        assert absorb(once, observation, 60, EVERYBODY) == once
        tower = once
    heads = {chain: Head(chain, 1, bytes(32), time, 0) for chain in CHAINS}
    shown = {
        observation.event.hashlock
        for observation in history
        if isinstance(observation.event, LockClaimed)
    }
    for errand in errands(tower, heads, 1_000, patience=patience, hurry={}):
        lock = errand.lock
        assert lock.lock_id in tower.locks
        assert not lock.settling
        match errand:
            case ClaimFor(preimage=secret):
                assert secret.hashlock() == lock.terms.hashlock
                assert lock.terms.hashlock in shown
                assert time < lock.terms.deadline
            case RefundFor():
                assert time >= lock.terms.deadline + patience


def test_owners_are_waited_for_but_not_beyond_the_deadline() -> None:
    chain, other = CHAINS
    of = terms(chain, 0, 200)
    tower = absorb(Tower(), seen(chain, LockOpened(lock_id(of), of)), 100, EVERYBODY)
    claimed = LockClaimed(LockId(bytes(32)), of.hashlock, preimage(0))
    tower = absorb(tower, seen(other, claimed), 100, EVERYBODY)

    def due(clock: int, time: int) -> list[type]:
        heads = {chain: Head(chain, 1, bytes(32), time, 0)}
        found = errands(tower, heads, clock, patience=50, hurry={chain: 30})
        return [type(errand) for errand in found]

    assert due(149, 149) == []
    assert due(150, 150) == [ClaimFor]
    assert due(120, 170) == [ClaimFor]
    assert due(300, 200) == []
    assert due(300, 250) == [RefundFor]


def test_what_is_being_settled_is_left_alone_until_a_reorg_takes_that_back() -> None:
    chain = CHAINS[0]
    of = terms(chain, 0, 200)
    tower = absorb(Tower(), seen(chain, LockOpened(lock_id(of), of)), 1, EVERYBODY)
    heads = {chain: Head(chain, 1, bytes(32), 300, 0)}
    for stage, due in ((Stage.PENDING, 0), (Stage.RETRACTED, 1), (Stage.FINAL, 0)):
        refunded = LockRefunded(lock_id(of), of.hashlock)
        tower = absorb(tower, seen(chain, refunded, stage), 1, EVERYBODY)
        assert len(list(errands(tower, heads, 300, patience=0, hurry={}))) == due


def test_a_lock_of_others_is_left_alone() -> None:
    chain = CHAINS[0]
    of = terms(chain, 0, 200)
    opened = seen(chain, LockOpened(lock_id(of), of))
    for party, served in (("ann", True), ("bob", True), ("cem", False)):
        tower = absorb(Tower(), opened, 1, frozenset({AccountId(chain, party)}))
        assert bool(tower.locks) is served


def test_a_false_preimage_is_not_believed() -> None:
    of = terms(CHAINS[0], 0, 200)
    lie = LockClaimed(lock_id(of), of.hashlock, preimage(1))
    assert absorb(Tower(), seen(CHAINS[0], lie), 1, EVERYBODY).secrets == {}


def test_secrets_that_open_nothing_are_forgotten_in_time() -> None:
    chain, other = CHAINS
    of = terms(chain, 0, 200)
    tower = absorb(Tower(), seen(chain, LockOpened(lock_id(of), of)), 1, EVERYBODY)
    for number in (0, 1):
        claimed = LockClaimed(LockId(bytes(32)), preimage(number).hashlock(), preimage(number))
        tower = absorb(tower, seen(other, claimed), 10 + number, EVERYBODY)
    assert set(prune(tower, 11).secrets) == {preimage(0).hashlock(), preimage(1).hashlock()}
    assert set(prune(tower, 12).secrets) == {preimage(0).hashlock()}


def test_the_file_gives_back_what_was_saved(tmp_path: Path) -> None:
    chain = CHAINS[0]
    of = terms(chain, 0, 200)
    tower = absorb(Tower(), seen(chain, LockOpened(lock_id(of), of)), 1, EVERYBODY)
    claimed = LockClaimed(LockId(bytes(32)), of.hashlock, preimage(0))
    tower = absorb(tower, seen(CHAINS[1], claimed), 1, EVERYBODY)
    state = TowerState(tmp_path / "tower.json")
    assert state.load() == (Tower(), {})
    cursors = {chain: Cursor("7:ab") for chain in CHAINS}
    state.save(tower, cursors)
    assert state.load() == (tower, cursors)
    assert (tmp_path / "tower.json").stat().st_mode & 0o077 == 0
    json.loads((tmp_path / "tower.json").read_text())


@pytest.mark.parametrize("content", [b"", b"{}", b'{"v":9,"kind":"watchtower","body":{}}'])
def test_a_damaged_file_is_one_clear_error(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "tower.json"
    path.write_bytes(content)
    with pytest.raises(TowerStateError, match="remove it, and all of it is read from the chains"):
        TowerState(path).load()
    assert path.read_bytes() == content
