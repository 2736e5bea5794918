"""The codec: what is written is read back the same, and nothing else is read."""

from __future__ import annotations

import json
import typing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.model import (
    MAX_AMOUNT,
    AccountId,
    AssetId,
    Bounds,
    ChainId,
    Hashlock,
    Head,
    LockClaimed,
    LockId,
    LockOpened,
    LockRefunded,
    LockState,
    LockTerms,
    Observation,
    Position,
    Preimage,
    Stage,
)
from relayers.journal.port import JournalCorrupt, JournalTooNew
from relayers.journal.records import (
    at_codec,
    event_codec,
    fact_codec,
    intent_codec,
    swap_codec,
    view_codec,
)
from relayers.protocol import facts, intents
from relayers.protocol.facts import At, ChainView, Fact, FactBody
from relayers.protocol.offer import Acceptance, Offer, OfferedLeg
from relayers.protocol.state import Phase, Swap, UserEvent
from relayers.protocol.swap import step
from relayers.protocol.timelocks import GatewayBounds, Schedule
from tests.relayers.journal.journals import at, life, preimage_of

A, B = ChainId("eip155", "1"), ChainId("fabric", "ab")
words = st.binary(min_size=32, max_size=32)
hashlocks = words.filter(lambda value: value != bytes(32)).map(Hashlock)
amounts = st.integers(1, MAX_AMOUNT)
times = st.integers(1, 2**63 - 1)
texts = st.text(max_size=40)
preimages = words.map(Preimage)
seconds = st.integers(0, 10**6)
bounds = st.builds(Bounds, seconds, seconds, seconds, seconds)
schedules = st.builds(
    Schedule, bounds, bounds, st.builds(GatewayBounds, seconds, seconds), seconds, seconds
)


def accounts(chain: ChainId) -> st.SearchStrategy[AccountId]:
    return st.from_regex(r"[a-zA-Z0-9]{1,8}", fullmatch=True).map(lambda a: AccountId(chain, a))


def assets(chain: ChainId) -> AssetId:
    return AssetId(chain, "slip44", "60")


terms = st.builds(
    LockTerms, st.just(A), texts, accounts(A), accounts(A), st.just(assets(A)), amounts, hashlocks,
    times,
)  # fmt: skip


def legs(chain: ChainId) -> st.SearchStrategy[OfferedLeg]:
    return st.builds(
        OfferedLeg, st.just(chain), texts, st.just(assets(chain)), amounts, accounts(chain), times
    )


offers = st.builds(
    Offer, st.just(1), st.just(b"i" * 20), st.just(b"r" * 20), words, hashlocks, legs(A), legs(B),
    times, st.from_regex(r"[ -~é№]{0,20}", fullmatch=True),
)  # fmt: skip
acceptances = st.builds(Acceptance, words, hashlocks, accounts(A), accounts(B))
lock_ids = words.map(LockId)
events = st.one_of(
    st.builds(LockOpened, lock_ids, terms),
    st.builds(LockClaimed, lock_ids, hashlocks, preimages),
    st.builds(LockRefunded, lock_ids, hashlocks),
)
observations = st.builds(
    Observation, st.just(A), events, st.sampled_from(Stage),
    st.builds(Position, times, words, st.integers(0, 99), texts),
)  # fmt: skip
signatures = st.binary(min_size=65, max_size=65)
bodies: dict[type[FactBody], st.SearchStrategy[Any]] = {
    facts.OfferMade: st.builds(facts.OfferMade, offers, signatures, schedules),
    facts.OfferAccepted: st.builds(
        facts.OfferAccepted, acceptances, signatures, lock_ids, lock_ids
    ),
    facts.OfferDeclined: st.builds(facts.OfferDeclined, texts),
    facts.OfferReceived: st.builds(facts.OfferReceived, offers, signatures, schedules),
    facts.AcceptanceReceived: st.builds(
        facts.AcceptanceReceived, acceptances, signatures, lock_ids, lock_ids
    ),
    facts.DeclineReceived: st.builds(facts.DeclineReceived, texts),
    facts.Observed: st.builds(facts.Observed, observations),
    facts.LookedUp: st.builds(
        facts.LookedUp,
        st.just(A),
        lock_ids,
        st.sampled_from(LockState),
        st.booleans(),
        st.none() | preimages,
    ),
    facts.RevealBegun: st.builds(facts.RevealBegun, lock_ids),
    facts.Refused: st.builds(facts.Refused, texts, st.booleans(), texts),
    facts.Delivered: st.builds(facts.Delivered, texts),
    facts.Woken: st.builds(facts.Woken, st.integers(0, 2**63)),
}
secrets = st.one_of(st.builds(intents.OwnSecret, words), st.just(intents.SeenSecret()))
wanted: dict[type[intents.Intent], st.SearchStrategy[Any]] = {
    intents.SendOffer: st.builds(intents.SendOffer, texts, offers, signatures),
    intents.SendAcceptance: st.builds(
        intents.SendAcceptance, texts, words, acceptances, signatures
    ),
    intents.SendDecline: st.builds(intents.SendDecline, texts, words, hashlocks, texts),
    intents.SubmitLock: st.builds(intents.SubmitLock, texts, terms, lock_ids, times),
    intents.SubmitClaim: st.builds(
        intents.SubmitClaim, texts, st.just(A), lock_ids, hashlocks, secrets
    ),
    intents.SubmitRefund: st.builds(intents.SubmitRefund, texts, st.just(A), lock_ids, times),
}


def test_no_kind_is_left_out() -> None:
    assert set(bodies) == set(typing.get_args(FactBody))
    assert set(wanted) == set(typing.get_args(intents.Intent))


@settings(max_examples=300)
@given(st.one_of(*bodies.values()))
def test_facts_come_back_as_they_were(body: FactBody) -> None:
    record = fact_codec().encode(body)
    json.loads(record)
    back = fact_codec().decode(record)
    assert (type(back), back) == (type(body), body)


@settings(max_examples=200)
@given(st.one_of(*wanted.values()))
def test_intents_come_back_as_they_were(intent: intents.Intent) -> None:
    assert intent_codec().decode(intent_codec().encode(intent)) == intent


@given(st.from_type(UserEvent))
def test_events_come_back_as_they_were(event: UserEvent) -> None:
    assert event_codec().decode(event_codec().encode(event)) == event


heads = st.builds(Head, st.just(A), times, words, times, times)
views = st.builds(ChainView, heads, st.none() | texts)


@given(st.builds(At, times, st.lists(views, max_size=3).map(tuple)))
def test_moments_and_views_come_back_as_they_were(moment: At) -> None:
    assert at_codec().decode(at_codec().encode(moment)) == moment
    for view in moment.chains:
        assert view_codec().decode(view_codec().encode(view)) == view


def test_amounts_are_text_and_bytes_are_hexadecimal() -> None:
    record = json.loads(fact_codec().encode(life(amount=2**255 + 1)[0].body))
    offer = record["body"]["offer"]
    assert offer["a"]["amount"] == str(2**255 + 1)
    assert offer["initiator"] == (b"i" * 20).hex()
    assert (record["v"], record["kind"]) == (1, "offer_made")


@pytest.mark.parametrize(
    ("record", "error", "words"),
    [
        (b"", JournalCorrupt, "not a record"),
        (b"null", JournalCorrupt, "not a record"),
        (b'{"v":2,"kind":"woken","body":{"due":1}}', JournalTooNew, "schema version 2"),
        (b'{"v":2,"kind":"unheard_of","body":{}}', JournalTooNew, "use the version"),
        (b'{"v":1,"kind":"unheard_of","body":{}}', JournalCorrupt, "unknown kind"),
        (b'{"v":1,"kind":"woken","body":{"due":1,"more":2}}', JournalCorrupt, "more"),
        (b'{"v":1,"kind":"woken","body":{}}', JournalCorrupt, "due"),
        (b'{"v":1,"kind":"woken","body":{"due":1}', JournalCorrupt, "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_refused(record: bytes, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        fact_codec().decode(record)


def test_an_error_does_not_quote_what_it_could_not_read() -> None:
    secret = "ab" * 31
    record = b'{"v":1,"kind":"swap","body":{"preimage":{"value":"%s"}}}' % secret.encode()
    with pytest.raises(JournalCorrupt) as caught:
        swap_codec().decode(record)
    assert secret not in str(caught.value)
    assert caught.value.__cause__ is None


def test_no_snapshot_before_the_reveal_knows_the_preimage() -> None:
    """Of what an initiator's journal holds before the secret is on a chain, nothing is it."""
    secret = preimage_of(0).value.hex()
    state: Swap | None = None
    for entry in life()[:7]:
        move = step(state, Fact(entry.body, at()))
        state = move.state
        assert state is not None
        written = [swap_codec().encode(state), fact_codec().encode(entry.body)]
        written += [intent_codec().encode(intent) for intent in move.intents]
        assert not any(secret.encode() in record for record in written)
    assert state is not None
    assert state.phase is Phase.REVEALING
