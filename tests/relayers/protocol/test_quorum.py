"""Quorums: which sets may be in force, and what fewer than a quorum can never do."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.model import InvalidValue
from relayers.protocol.quorum import Field, NoQuorum, Notary, NotarySet, Quorum, verdict


def seat(number: int, organisation: str = "") -> Notary:
    return Notary((number + 1).to_bytes(20, "big"), organisation or f"organisation {number}")


def notary_set(seats: int, threshold: int, epoch: int = 4, valid_until: int = 1_000) -> NotarySet:
    return NotarySet(epoch, valid_until, tuple(map(seat, range(seats))), threshold)


FIVE = notary_set(5, 3)
SETS = {4: FIVE, 5: notary_set(7, 5, epoch=5, valid_until=2_000)}


@st.composite
def sets(draw: st.DrawFn) -> NotarySet:
    seats = draw(st.integers(2, 19))
    threshold = draw(st.integers(max(seats // 2 + 1, 2), seats))
    return notary_set(seats, threshold, draw(st.integers(0, 9)), draw(st.integers(0, 10_000)))


# --- which sets there are ------------------------------------------------------------------------


@pytest.mark.parametrize("seats", range(2, 20))
def test_a_threshold_is_above_one_half_and_there_are_so_many(seats: int) -> None:
    for threshold in range(seats + 2):
        if seats / 2 < threshold <= seats and threshold > 1:
            notary_set(seats, threshold)
            continue
        with pytest.raises(InvalidValue, match=r"^threshold is") as refused:
            notary_set(seats, threshold)
        assert refused.value.field == "threshold"


@given(sets(), st.data())
def test_two_quorums_share_a_notary(notaries: NotarySet, data: st.DataObject) -> None:
    seats = range(len(notaries.notaries))
    quorums = st.sets(st.sampled_from(seats), min_size=notaries.threshold)
    one, other = data.draw(quorums), data.draw(quorums)
    assert one & other


def test_a_set_of_one_is_a_quorum_of_one_organisation() -> None:
    with pytest.raises(InvalidValue, match=r"^notaries gives organisation 0 1 of 1 seats"):
        notary_set(1, 1)


@given(st.lists(st.sampled_from(["alpha", "beta", "gamma", "delta"]), min_size=1, max_size=12))
def test_no_organisation_is_a_quorum(organisations: list[str]) -> None:
    seats = tuple(seat(number, name) for number, name in enumerate(organisations))
    for threshold in range(len(seats) // 2 + 1, len(seats) + 1):
        if max(map(organisations.count, organisations)) < threshold:
            NotarySet(1, 1, seats, threshold)
        else:
            with pytest.raises(InvalidValue, match="quorum by itself") as refused:
                NotarySet(1, 1, seats, threshold)
            assert refused.value.field == "notaries"


def test_an_organisation_is_one_however_its_name_is_written() -> None:
    seats = (seat(0, "Alpha"), seat(1, "ALPHA"), seat(2, "beta"))
    with pytest.raises(InvalidValue, match="gives Alpha 2 of 3 seats: with a threshold of 2"):
        NotarySet(1, 1, seats, 2)


def test_nobody_has_two_seats() -> None:
    seats = (seat(0, "alpha"), seat(1, "beta"), seat(0, "gamma"))
    with pytest.raises(InvalidValue, match=rf"^notaries names 0x{'00' * 19}01 twice$") as refused:
        NotarySet(1, 1, seats, 2)
    assert refused.value.field == "notaries"


@pytest.mark.parametrize("address", [b"", bytes(19), bytes(20), b"\x01" * 21, "0x01", None])
def test_an_address_is_20_bytes_and_not_zero(address: Any) -> None:
    with pytest.raises(InvalidValue, match=r"^address of a notary") as refused:
        Notary(address, "alpha")
    assert refused.value.field == "address"


@pytest.mark.parametrize("name", ["", " ", " alpha", "alpha\n", "al\0pha", None])
def test_an_organisation_has_a_name(name: Any) -> None:
    with pytest.raises(InvalidValue, match=r"^organisation of notary 0x0101") as refused:
        Notary(b"\x01" * 20, name)
    assert refused.value.field == "organisation"


@pytest.mark.parametrize("field", ["epoch", "valid_until", "threshold"])
@pytest.mark.parametrize("value", [-1, 2**64, True, 3.0, "3", None])
def test_a_number_that_no_chain_can_hold_is_refused(field: str, value: Any) -> None:
    with pytest.raises(InvalidValue, match=f"^{field} must be a whole number") as refused:
        replace(FIVE, **{field: value})
    assert refused.value.field == field


@pytest.mark.parametrize("notaries", [(), [seat(0), seat(1)], None])
def test_a_set_has_notaries(notaries: Any) -> None:
    with pytest.raises(InvalidValue, match=r"^notaries must be a tuple"):
        replace(FIVE, notaries=notaries)


# --- verdicts ------------------------------------------------------------------------------------


def test_exactly_the_quorums_of_a_set_are_ones() -> None:
    for size in range(6):
        for signers in combinations(range(5), size):
            found = verdict(SETS, 4, signers, 1_000, ())
            if size >= 3:
                assert found == Quorum(tuple(FIVE.notaries[index] for index in signers))
            else:
                assert found == NoQuorum(Field.SIGNERS, f"signers are {size} of 5; epoch 4 needs 3")


@given(sets(), st.lists(st.integers(-3, 22), max_size=25), st.integers(0, 20_000))
def test_a_quorum_is_enough_distinct_members_in_time(
    notaries: NotarySet, signers: list[int], now: int
) -> None:
    seats = len(notaries.notaries)
    good = (
        len(set(signers)) >= notaries.threshold
        and signers == sorted(set(signers))
        and set(signers) <= set(range(seats))
        and now <= notaries.valid_until
    )
    found = verdict({notaries.epoch: notaries}, notaries.epoch, signers, now, ())
    assert isinstance(found, Quorum) == good


@given(sets(), st.data())
def test_order_and_number_make_the_quorum(notaries: NotarySet, data: st.DataObject) -> None:
    """Genuine signers, permuted or repeated."""
    known = {notaries.epoch: notaries}
    seats = st.integers(0, len(notaries.notaries) - 1)
    signers = sorted(data.draw(st.sets(seats, min_size=notaries.threshold)))
    assert isinstance(verdict(known, notaries.epoch, signers, 0, ()), Quorum)
    shuffled = data.draw(st.permutations(signers))
    found = verdict(known, notaries.epoch, shuffled, 0, ())
    assert isinstance(found, Quorum) == (shuffled == signers)
    again = sorted([*signers, data.draw(st.sampled_from(signers))])
    refused = verdict(known, notaries.epoch, again, 0, ())
    assert isinstance(refused, NoQuorum)
    assert refused.field is Field.SIGNERS
    few = signers[: notaries.threshold - 1]
    padded = sorted(few + [few[0]] * len(signers)) if few else []
    assert isinstance(verdict(known, notaries.epoch, few, 0, ()), NoQuorum)
    assert isinstance(verdict(known, notaries.epoch, padded, 0, ()), NoQuorum)


@given(sets(), st.integers(0, 20_000), st.sets(st.integers(0, 9)), st.integers(0, 9))
def test_an_epoch_counts_that_is_known_in_time_and_not_revoked(
    notaries: NotarySet, now: int, revoked: set[int], epoch: int
) -> None:
    everybody = range(len(notaries.notaries))
    found = verdict({notaries.epoch: notaries}, epoch, everybody, now, revoked)
    if epoch == notaries.epoch and now <= notaries.valid_until and epoch not in revoked:
        assert found == Quorum(notaries.notaries)
    else:
        assert isinstance(found, NoQuorum)
        assert found.field is Field.EPOCH


@pytest.mark.parametrize(
    ("epoch", "signers", "now", "revoked", "expected"),
    [
        (6, [0, 1, 2], 0, [], "epoch 6 is not known"),
        (4, [0, 1, 2], 1_001, [], "epoch 4 was valid until 1000; it is 1001"),
        (4, [0, 1, 2], 0, [4], "epoch 4 was revoked"),
        (4, [0, 1, 5], 0, [], "signers names seat 5; epoch 4 has seats 0 to 4"),
        (4, [-1, 0, 1], 0, [], "signers names seat -1; epoch 4 has seats 0 to 4"),
        (4, [0, 2, 1], 0, [], "signers names seat 1 after seat 2; each comes once, in order"),
        (4, [0, 0, 1], 0, [], "signers names seat 0 after seat 0; each comes once, in order"),
        (4, [0, 4], 0, [], "signers are 2 of 5; epoch 4 needs 3"),
        (5, [0, 1, 2, 3], 0, [4], "signers are 4 of 7; epoch 5 needs 5"),
    ],
)
def test_a_refusal_is_one_sentence(
    epoch: int, signers: list[int], now: int, revoked: list[int], expected: str
) -> None:
    found = verdict(SETS, epoch, signers, now, revoked)
    assert isinstance(found, NoQuorum)
    assert found.reason == expected
    assert expected.startswith(found.field.value)


def test_a_set_under_another_epochs_number_is_not_known() -> None:
    found = verdict({7: FIVE}, 7, [0, 1, 2], 0, ())
    assert found == NoQuorum(Field.EPOCH, "epoch 7 is not known")


@given(sets())
def test_as_many_as_are_tolerated_may_be_silent(notaries: NotarySet) -> None:
    seats = range(len(notaries.notaries))
    known = {notaries.epoch: notaries}
    enough, short = seats[notaries.tolerated :], seats[notaries.tolerated + 1 :]
    assert isinstance(verdict(known, notaries.epoch, enough, 0, ()), Quorum)
    assert isinstance(verdict(known, notaries.epoch, short, 0, ()), NoQuorum)
