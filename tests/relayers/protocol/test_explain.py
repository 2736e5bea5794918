"""What people are told of a swap fits where it is, for every phase of both roles."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adapters.model import Stage
from relayers.protocol.explain import Explanation, Names, explain
from relayers.protocol.facts import At
from relayers.protocol.forms import Parties, filled
from relayers.protocol.state import ENDS, Role, Swap
from relayers.protocol.table import TABLE, PhaseRow
from tests.relayers.protocol import samples
from tests.relayers.protocol.samples import CHAIN_A, CHAIN_B, LOCK_A, LOCK_B
from tests.relayers.protocol.side import REVEAL_LIMIT, Side

NAMES = Names({CHAIN_A: "first", CHAIN_B: "second"}, peer="Beta")


def tell(state: Swap, at: At) -> Explanation:
    return explain(state, at, NAMES)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.role}-{row.phase}")
@pytest.mark.parametrize("agreed", [True, False])
def test_every_phase_is_explained(row: PhaseRow, agreed: bool) -> None:
    side = Side(row.role)
    side.begin()
    if agreed:
        side.agree()
    assert side.state is not None
    told = tell(replace(side.state, phase=row.phase), samples.at(samples.START))
    assert told.where.endswith(".")
    assert told.next.endswith(".")
    if row.phase in ENDS:
        assert told.waits_for == ""
        assert told.until is None
    else:
        assert told.waits_for


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.role}-{row.phase}")
def test_users_are_told_what_the_table_says_with_the_names_in_it(row: PhaseRow) -> None:
    side = Side(row.role)
    side.begin()
    side.agree()
    assert side.state is not None
    told = tell(replace(side.state, phase=row.phase), samples.at(samples.START))
    own, their = ("first", "second") if row.role is Role.INITIATOR else ("second", "first")
    parties = Parties("Beta", own, their)
    assert told.where.startswith(filled(row.means, parties))
    assert (told.waits_for, told.next) == (
        filled(row.waits_for, parties),
        filled(row.follows, parties),
    )
    assert not set("{}") & set(told.where + told.waits_for + told.next)


def test_a_swap_that_completed_though_its_lock_came_back_says_so() -> None:
    side = revealing()
    side.reveal()
    side.see("claimed", LOCK_B, Stage.FINAL)
    side.see("refunded", LOCK_A, Stage.FINAL)
    assert side.state is not None
    told = tell(side.state, side.at)
    assert told.where == "We are paid on second, and our lock on first came back to us."


def revealing() -> Side:
    side = Side(Role.INITIATOR)
    side.begin()
    side.agree()
    side.see("opened", LOCK_A, Stage.FINAL)
    side.see("opened", LOCK_B, Stage.FINAL)
    return side


def test_the_reveal_limit_is_told_until_the_secret_is_out() -> None:
    side = revealing()
    assert side.state is not None
    assert tell(side.state, side.at).until == REVEAL_LIMIT
    assert tell(side.state, side.at).at_risk == ""
    side.reveal()
    told = tell(side.state, side.at)
    assert told.until == samples.T2
    assert f"{samples.T2 - side.clock} s" in told.at_risk
    assert "second" in told.at_risk


def test_a_deadline_that_has_passed_is_told_as_a_risk() -> None:
    side = revealing()
    side.reveal()
    assert side.state is not None
    assert "at risk" in tell(side.state, samples.at(samples.T2)).at_risk
    # The chain's own time counts, also where the clock lags.
    late = samples.at(samples.T2 - 50, time_b=samples.T2)
    assert "at risk" in tell(side.state, late).at_risk


def test_why_it_is_refunded_and_what_was_seen_is_told() -> None:
    side = Side(Role.INITIATOR)
    side.begin()
    side.agree()
    side.see("opened", LOCK_A, Stage.PENDING)
    assert side.state is not None
    assert "not yet final" in tell(side.state, side.at).waits_for
    side.see("opened", LOCK_A, Stage.FINAL)
    side.pass_time(300, 100, 100)
    side.heed_wakes()
    told = tell(side.state, side.at)
    assert "Why: the other side's lock was not there in time" in told.where
    assert "first" in told.where
