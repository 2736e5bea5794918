"""The tower's decisions, by Hypothesis; and its file."""

from __future__ import annotations

import json
from dataclasses import replace
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
from relayers.protocol.tower import (
    ClaimFor,
    RefundFor,
    Tower,
    WatchedLock,
    absorb,
    errands,
    prune,
)
from relayers.tower_state import TowerState, TowerStateError

CHAINS = (ChainId("sim", "a"), ChainId("sim", "b"))
PARTIES = ("ann", "bob", "cem")
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


def seen(
    chain: ChainId, event: LockEvent, stage: Stage = Stage.PENDING, height: int = 1
) -> Observation:
    return Observation(chain, event, stage, Position(height, bytes(32), 0, "tx"))


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
    return seen(of.chain, event, draw(stages), draw(st.integers(1, 9)))


@given(
    st.lists(observations(), max_size=30),
    st.integers(50, 250),
    st.integers(0, 40),
    st.integers(0, 150),
    st.sets(st.sampled_from([AccountId(chain, party) for chain in CHAINS for party in PARTIES])),
)
def test_what_a_tower_does_is_what_a_chain_would_take(
    history: list[Observation], time: int, patience: int, clock: int, accounts: set[AccountId]
) -> None:
    tower, served = Tower(), frozenset(accounts)
    for observation in history:
        once = absorb(tower, observation, 50, served)
        assert absorb(once, observation, 60, served) == once
        tower = once
    heads = {chain: Head(chain, 1, bytes(32), time, 0) for chain in CHAINS}
    shown = {
        observation.event.hashlock
        for observation in history
        if isinstance(observation.event, LockClaimed)
    }
    to_final = dict.fromkeys(CHAINS, 40)
    due = errands(tower, heads, clock, served, patience=patience, to_final=to_final)
    claims_first = [isinstance(errand, RefundFor) for errand in due]
    assert claims_first == sorted(claims_first)
    for hashlock in {errand.lock.terms.hashlock for errand in due}:
        of_one = [errand for errand in due if errand.lock.terms.hashlock == hashlock]
        order = [(isinstance(errand, RefundFor), errand.lock.terms.deadline) for errand in of_one]
        assert order == sorted(order)
    for errand in due:
        lock = errand.lock
        assert lock.lock_id in tower.locks
        assert not lock.settling or clock > 50 + 40 or clock < 50
        match errand:
            case ClaimFor(preimage=secret):
                assert secret.hashlock() == lock.terms.hashlock
                assert lock.terms.hashlock in shown
                assert time < lock.terms.deadline
            case RefundFor():
                assert time >= lock.terms.deadline + patience
                assert not served or lock.terms.sender in served


def test_owners_are_waited_for_but_not_beyond_the_deadline() -> None:
    chain, other = CHAINS
    of = terms(chain, 0, 200)
    tower = absorb(Tower(), seen(chain, LockOpened(lock_id(of), of)), 100, EVERYBODY)
    claimed = LockClaimed(LockId(bytes(32)), of.hashlock, preimage(0))
    tower = absorb(tower, seen(other, claimed), 100, EVERYBODY)

    def due(clock: int, time: int) -> list[type]:
        heads = {chain: Head(chain, 1, bytes(32), time, 0)}
        found = errands(tower, heads, clock, EVERYBODY, patience=50, to_final={chain: 30})
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
        found = errands(tower, heads, 5, EVERYBODY, patience=0, to_final={chain: 9})
        assert len(found) == due


def test_what_is_seen_settling_for_too_long_is_done_again() -> None:
    chain = CHAINS[0]
    of = terms(chain, 0, 200)
    tower = absorb(Tower(), seen(chain, LockOpened(lock_id(of), of)), 1, EVERYBODY)
    refunded = seen(chain, LockRefunded(lock_id(of), of.hashlock))
    heads = {chain: Head(chain, 1, bytes(32), 300, 0)}
    # Its node lost the refund and never said so; told once more, the wait does not begin anew.
    for clock in (100, 109):
        tower = absorb(tower, refunded, clock, EVERYBODY)
    for clock, due in ((109, 0), (110, 0), (111, 1), (99, 1)):
        found = errands(tower, heads, clock, EVERYBODY, patience=0, to_final={chain: 10})
        assert len(found) == due


def test_a_refund_is_for_the_sender_that_is_served_and_claims_go_first() -> None:
    chain, other = CHAINS
    late, early, open_late, open_early = (
        terms(chain, number, deadline)
        for number, deadline in ((0, 190), (1, 110), (2, 390), (3, 310))
    )
    tower = Tower()
    for of in (late, early, open_late, open_early):
        tower = absorb(tower, seen(chain, LockOpened(lock_id(of), of)), 1, EVERYBODY)
    for number in (2, 3):
        claimed = LockClaimed(LockId(bytes(32)), preimage(number).hashlock(), preimage(number))
        tower = absorb(tower, seen(other, claimed), 1, EVERYBODY)
    heads = {chain: Head(chain, 1, bytes(32), 300, 0)}

    def due(*served: str) -> list[LockTerms]:
        accounts = frozenset(AccountId(chain, party) for party in served)
        found = errands(tower, heads, 300, accounts, patience=0, to_final={})
        return [errand.lock.terms for errand in found]

    assert due() == due("ann") == due("ann", "bob") == [open_early, open_late, early, late]
    assert due("bob") == [open_early, open_late]


def test_the_highest_block_that_a_lock_was_seen_in_counts() -> None:
    chain = CHAINS[0]
    of = terms(chain, 0, 200)
    tower = Tower()
    for height in (7, 9, 8):
        tower = absorb(tower, seen(chain, LockOpened(lock_id(of), of), height=height), 1, EVERYBODY)
    assert tower.locks[lock_id(of)].opened_at == 9


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


def test_a_file_from_before_heights_and_times_were_kept_is_read(tmp_path: Path) -> None:
    chain = CHAINS[0]
    of = terms(chain, 0, 200)
    tower = absorb(Tower(), seen(chain, LockOpened(lock_id(of), of), height=7), 1, EVERYBODY)
    tower = absorb(tower, seen(chain, LockRefunded(lock_id(of), of.hashlock)), 5, EVERYBODY)
    path = tmp_path / "tower.json"
    TowerState(path).save(tower, {})
    assert TowerState(path).load()[0] == tower
    record = json.loads(path.read_text())
    for lock in record["body"]["locks"]:
        del lock["settling_since"], lock["opened_at"]
    path.write_text(json.dumps(record, separators=(",", ":")))
    old, _ = TowerState(path).load()
    assert old.locks == {lock_id(of): WatchedLock(lock_id(of), of, settling=True)}


@pytest.mark.parametrize("content", [b"", b"{}", b'{"v":9,"kind":"watchtower","body":{}}'])
def test_a_damaged_file_is_one_clear_error(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "tower.json"
    path.write_bytes(content)
    with pytest.raises(TowerStateError, match="remove it, and all of it is read from the chains"):
        TowerState(path).load()
    assert path.read_bytes() == content


def claims_in_order(*deadlines: tuple[int, int], paid: frozenset[int]) -> list[tuple[int, int]]:
    """The claims of locks with these secrets and deadlines, in the order in which they are due."""
    a, b = CHAINS
    tower = Tower()
    served = frozenset({AccountId(a, "bob"), AccountId(b, "bob")})
    heads = {a: Head(a, 1, bytes(32), 50, 1), b: Head(b, 1, bytes(32), 50, 1)}
    for number, deadline in deadlines:
        due = terms(a, number, deadline)
        tower = absorb(tower, seen(a, LockOpened(lock_id(due), due)), 1, served)
        shown = terms(b, number, deadline)
        if number in paid:
            shown = replace(shown, sender=AccountId(b, "bob"), recipient=AccountId(b, "ann"))
        tower = absorb(tower, seen(b, LockOpened(lock_id(shown), shown)), 1, served)
        claimed = LockClaimed(lock_id(shown), shown.hashlock, preimage(number))
        tower = absorb(tower, seen(b, claimed), 2, served)
    found = errands(tower, heads, 50, served, patience=0, to_final={a: 10, b: 100})
    numbers = {preimage(number).hashlock(): number for number, _ in deadlines}
    return [
        (numbers[errand.lock.terms.hashlock], errand.lock.terms.deadline)
        for errand in found
        if errand.lock.terms.chain == a
    ]


def test_the_hashlocks_take_turns() -> None:
    order = claims_in_order((1, 110), (1, 111), (1, 112), (2, 190), (2, 191), paid=frozenset())
    assert order == [(1, 110), (2, 190), (1, 111), (2, 191), (1, 112)]


def test_what_somebody_served_has_paid_for_is_claimed_first() -> None:
    order = claims_in_order((1, 110), (2, 111), (3, 190), (4, 189), paid=frozenset({3, 4}))
    assert order == [(4, 189), (3, 190), (1, 110), (2, 111)]


def test_what_was_paid_for_is_known_though_the_secret_was_seen_before() -> None:
    a, b = CHAINS
    served = frozenset({AccountId(b, "ann")})
    own = terms(b, 1, 100)
    tower = absorb(Tower(), seen(b, LockOpened(lock_id(own), own)), 1, served)
    elsewhere = LockClaimed(LockId(bytes(32)), own.hashlock, preimage(1))
    tower = absorb(tower, seen(a, elsewhere), 2, served)
    assert not tower.secrets[own.hashlock].paid
    claimed = LockClaimed(lock_id(own), own.hashlock, preimage(1))
    tower = absorb(tower, seen(b, claimed), 3, served)
    assert tower.secrets[own.hashlock].paid
    assert tower.secrets[own.hashlock].seen == 2
