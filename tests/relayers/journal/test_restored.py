"""What is stored of the swaps, put together: one part that cannot be read takes its swap alone."""

from __future__ import annotations

import pytest

from adapters.model import LockId
from relayers.journal.port import JournalCorrupt, Unreadable, UnreadableSwap
from relayers.journal.restored import restored
from relayers.protocol.facts import Fact
from relayers.protocol.intents import Intent, SubmitRefund
from relayers.protocol.state import Swap
from relayers.protocol.swap import step
from tests.relayers.journal.journals import A, at, key_of, life

BROKEN = Unreadable("it cannot be read")


def offered(number: int) -> tuple[Swap, Intent]:
    """A swap that was just offered, and its intent to send the offer."""
    move = step(None, Fact(life(number)[0].body, at()))
    assert move.state is not None
    (intent,) = move.intents
    return move.state, intent


def another(number: int) -> Intent:
    ident = f"{key_of(number).hex()}:refund"
    return SubmitRefund(ident, A, lock_of(number), 1)


def lock_of(number: int) -> LockId:
    return LockId(bytes([number]) * 32)


@pytest.mark.parametrize("broken_first", [True, False])
def test_an_intent_of_a_swap_is_not_acted_on_where_another_cannot_be_read(
    broken_first: bool,
) -> None:
    (bad, send), (good, other) = offered(0), offered(1)
    refund = another(0)
    stored = [(send.id, BROKEN), (refund.id, refund), (other.id, other)]
    if not broken_first:
        stored[:2] = [(send.id, send), (refund.id, BROKEN)]
    found = restored([(key_of(0), bad), (key_of(1), good)], stored)
    assert found.swaps == (good,)
    assert found.intents == (other,)
    assert found.unreadable == (UnreadableSwap(key_of(0), BROKEN.reason),)


def test_an_intent_under_another_s_id_is_not_believed() -> None:
    (state, send), (_, other) = offered(0), offered(1)
    found = restored([(key_of(0), state)], [(send.id, other)])
    assert found.swaps == found.intents == ()
    assert "is another" in found.unreadable[0].reason


@pytest.mark.parametrize("key", [b"", b"short", "text", None])
def test_what_is_stored_under_no_swap_s_key_is_a_damaged_journal(key: object) -> None:
    with pytest.raises(JournalCorrupt, match="names no swap"):
        restored([(key, offered(0)[0])], [])  # type: ignore[list-item]
    with pytest.raises(JournalCorrupt, match="names no swap"):
        restored([], [("nobody:lock", BROKEN)])
