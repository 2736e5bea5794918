"""A side knows its own lock again by its id, which is a hash over every term of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adapters.model import AccountId, LockId, LockOpened, Stage
from relayers.protocol.facts import Observed
from relayers.protocol.state import Phase, Role
from tests.relayers.protocol import samples
from tests.relayers.protocol.samples import LOCK_A, LOCK_B
from tests.relayers.protocol.side import Side


@pytest.mark.parametrize("role", list(Role))
def test_a_lock_of_ours_is_ours_however_its_chain_spells_the_terms(role: Role) -> None:
    """A gateway that does not know its own lock again neither goes on nor takes it back."""
    side = Side(role)
    side.begin()
    side.agree()
    own = LOCK_A if role is Role.INITIATOR else LOCK_B
    if role is Role.RESPONDER:
        side.take(Observed(samples.observation(_spelled_otherwise(LOCK_A), Stage.FINAL)))
    assert side.state is not None
    assert side.state.phase is Phase.LOCKING
    side.take(Observed(samples.observation(_spelled_otherwise(own), Stage.FINAL)))
    assert side.state.phase is Phase.LOCKED
    assert side.state.strangers == ()


def _spelled_otherwise(lock_id: LockId) -> LockOpened:
    terms = samples.terms_of(lock_id)
    recipient = AccountId(terms.chain, terms.recipient.address.upper())
    assert recipient != terms.recipient
    return LockOpened(lock_id, replace(terms, recipient=recipient))
