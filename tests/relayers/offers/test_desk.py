"""Making, accepting and declining: what is refused, why, and that it changes nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from adapters.model import MAX_AMOUNT, AccountId, Asset, AssetId, ChainId, LockState, LockTerms
from adapters.spi import Rejected, Unavailable
from relayers.offers.desk import Deadlines, OfferRequest, Side
from relayers.offers.refusal import OfferRefused, Refusal
from relayers.offers.typed_data import offer_digest, signed_by
from relayers.protocol import timelocks
from relayers.protocol.intents import SendAcceptance, SendDecline, SendOffer
from relayers.protocol.state import Phase
from tests.relayers.offers.samples import ALICE, BOB, CHAIN_A, CHAIN_B, EVE, address
from tests.relayers.offers.trading_post import (
    GOLD,
    OIL,
    START,
    Ledgers,
    TradingPost,
    request,
    trading_post,
)


async def refused(post: TradingPost, asked: OfferRequest) -> OfferRefused:
    with pytest.raises(OfferRefused) as caught:
        await post.desk.make(asked)
    assert post.engine.swaps() == (), "a refused offer changes nothing"
    assert post.engine.intents() == ()
    return caught.value


async def test_an_offer_is_signed_by_us_for_the_peer_and_sent() -> None:
    async with trading_post(Ledgers()) as post:
        made = await post.desk.make(request())
        offer = made.swap.offer
        assert made.warnings == ()
        assert made.swap.phase is Phase.OFFERED
        assert (offer.a.asset, offer.a.amount) == (GOLD, 500)
        assert (offer.b.asset, offer.b.amount) == (OIL, 300)
        assert offer.initiator == address(ALICE)
        assert offer.responder == address(BOB)
        assert signed_by(address(ALICE), offer_digest(offer), made.swap.offer_signature)
        schedule = made.swap.schedule
        assert (
            timelocks.objection(schedule, offer.a.deadline, offer.b.deadline, offer.valid_until)
            is None
        ), "the deadlines hold for whoever accepts at the last moment"
        (intent,) = post.engine.intents()
        assert isinstance(intent, SendOffer)


async def test_a_quantity_in_whole_units_is_read_with_the_asset_s_decimals() -> None:
    async with trading_post(Ledgers()) as post:
        made = await post.desk.make(request(give=Side(GOLD, "12.5")))
        assert made.swap.offer.a.amount == 1250


async def test_an_asset_is_offered_as_its_chain_spells_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with trading_post(Ledgers()) as post:
        described = post.adapters[CHAIN_A].asset

        async def whatever_case(asset: AssetId) -> Asset:
            return await described(replace(asset, reference=asset.reference.lower()))

        monkeypatch.setattr(post.adapters[CHAIN_A], "asset", whatever_case)
        typed = replace(GOLD, reference=GOLD.reference.upper())
        made = await post.desk.make(request(give=Side(typed, 500)))
        assert made.swap.offer.a.asset == GOLD


async def test_two_offers_never_share_a_hashlock() -> None:
    async with trading_post(Ledgers()) as post:
        first = await post.desk.make(request())
        second = await post.desk.make(request())
        assert first.swap.hashlock != second.swap.hashlock
        assert len(post.engine.swaps()) == 2


async def test_the_same_salt_makes_no_second_offer() -> None:
    async with trading_post(Ledgers()) as post:
        await post.desk.make(request(), salt=b"\x09" * 32)
        with pytest.raises(OfferRefused) as caught:
            await post.desk.make(request(reference="again"), salt=b"\x09" * 32)
        assert caught.value.code is Refusal.HASHLOCK_SEEN
        assert len(post.engine.swaps()) == 1


GAMMA = ChainId.parse("sim:gamma")


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"peer": "nobody"}, Refusal.UNKNOWN_PEER, "peer"),
        ({"give": Side(AssetId(GAMMA, "token", "x"), 1)}, Refusal.UNKNOWN_CHAIN, "give.asset"),
        ({"get": Side(AssetId(GAMMA, "token", "x"), 1)}, Refusal.UNKNOWN_CHAIN, "get.asset"),
        ({"give": Side(AssetId(CHAIN_A, "token", "x"), 1)}, Refusal.UNKNOWN_ASSET, "give.asset"),
        ({"get": Side(AssetId(CHAIN_B, "token", "x"), 1)}, Refusal.UNKNOWN_ASSET, "get.asset"),
        ({"get": Side(GOLD, 1)}, Refusal.SAME_CHAIN, "get.asset"),
        ({"give": Side(GOLD, 0)}, Refusal.INVALID_VALUE, "give.amount"),
        ({"give": Side(GOLD, -5)}, Refusal.INVALID_VALUE, "give.amount"),
        ({"get": Side(OIL, MAX_AMOUNT + 1)}, Refusal.INVALID_VALUE, "get.amount"),
        ({"get": Side(OIL, "0.001")}, Refusal.INVALID_VALUE, "get.amount"),
        ({"get": Side(OIL, "-1")}, Refusal.INVALID_VALUE, "get.amount"),
        ({"get": Side(OIL, "1e3")}, Refusal.INVALID_VALUE, "get.amount"),
        ({"valid_for": 0}, Refusal.INVALID_VALUE, "valid_for"),
        ({"valid_for": 8 * 86_400}, Refusal.INVALID_VALUE, "valid_for"),
        ({"reference": "x\ny"}, Refusal.INVALID_VALUE, "reference"),
        ({"deadlines": Deadlines(START - 10, START - 100)}, Refusal.DEADLINE_UNSAFE, "deadline"),
        ({"deadlines": Deadlines(START + 900, START + 890)}, Refusal.DEADLINE_UNSAFE, "deadline"),
        ({"deadlines": Deadlines(START + 900, START + 5)}, Refusal.DEADLINE_UNSAFE, "deadline"),
        (
            {"deadlines": Deadlines(START + 8 * 86_400, START + 5_000)},
            Refusal.DEADLINE_TOO_FAR,
            "deadline",
        ),
        ({"deadlines": Deadlines(2**64, START + 5_000)}, Refusal.DEADLINE_TOO_FAR, "deadline"),
    ],
)
async def test_bad_requests_are_refused_by_name(
    changes: dict[str, Any], code: Refusal, field: str | None
) -> None:
    async with trading_post(Ledgers()) as post:
        refusal = await refused(post, request(**changes))
        assert refusal.code is code, refusal.detail
        assert refusal.field == field


async def test_the_gap_between_the_deadlines_is_strict() -> None:
    async with trading_post(Ledgers()) as post:
        chains = [post.dealing.chains.at(chain, "") for chain in (CHAIN_A, CHAIN_B)]
        gap = timelocks.gap(post.dealing.chains.schedule(*chains))
        t2 = START + 3_000
        refusal = await refused(post, request(deadlines=Deadlines(t2 + gap, t2)))
        assert refusal.code is Refusal.DEADLINE_UNSAFE
        await post.desk.make(request(deadlines=Deadlines(t2 + gap + 1, t2)))


@pytest.mark.parametrize(
    ("other", "code"),
    [
        ({"error": Unavailable("no answer")}, Refusal.PEER_UNAVAILABLE),
        ({"error": Rejected("not found")}, Refusal.VERSION_UNSUPPORTED),
        ({"versions": (7, 8)}, Refusal.VERSION_UNSUPPORTED),
        ({"versions": ()}, Refusal.VERSION_UNSUPPORTED),
        ({"address": address(EVE)}, Refusal.PEER_KEY_MISMATCH),
    ],
)
async def test_a_peer_that_cannot_be_dealt_with_is_refused(
    other: dict[str, Any], code: Refusal
) -> None:
    async with trading_post(Ledgers()) as post:
        for name, value in other.items():
            setattr(post.other, name, value)
        assert (await refused(post, request())).code is code


async def test_the_newest_common_version_is_taken() -> None:
    async with trading_post(Ledgers()) as post:
        post.other.versions = (9, 1)
        assert (await post.desk.make(request())).swap.offer.version == 1


async def test_no_offer_is_made_on_a_chain_in_doubt() -> None:
    async with trading_post(Ledgers()) as post:
        post.adapters[CHAIN_B].down = True
        assert (await refused(post, request())).code is Refusal.CHAIN_UNAVAILABLE
        post.adapters[CHAIN_B].down = False
        post.adapters[CHAIN_B].freeze()
        post.ledgers.pass_time(31)
        refusal = await refused(post, request())
        assert refusal.code is Refusal.CHAIN_STALE
        assert "31 s old" in refusal.detail
        post.adapters[CHAIN_B].thaw()
        head = await post.adapters[CHAIN_A].head()
        await post.engine.freeze(head, "it broke its word")
        assert (await refused(post, request())).code is Refusal.CHAIN_FROZEN


async def test_a_chain_s_objection_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async with trading_post(Ledgers()) as post:

        async def object_to(terms: LockTerms) -> tuple[str, ...]:
            return ("a party could veto",)

        monkeypatch.setattr(post.adapters[CHAIN_A], "objections", object_to)
        refusal = await refused(post, request())
        assert refusal.code is Refusal.CHAIN_OBJECTS
        assert "could veto" in refusal.detail


async def test_too_small_a_balance_is_warned_of() -> None:
    async with trading_post(Ledgers()) as post:
        made = await post.desk.make(request(give=Side(GOLD, 2_000_000)))
        assert any("less than" in warning for warning in made.warnings)


# --- accepting and declining ---------------------------------------------------------------------


async def handed_over(alice: TradingPost, bob: TradingPost, **changes: object) -> bytes:
    """Alice offers, and bob's gateway takes it in. Returns the hashlock."""
    made = await alice.desk.make(request(**changes))
    await bob.intake.offer(made.swap.offer, made.swap.offer_signature)
    return made.swap.hashlock


async def test_accepting_signs_our_accounts_and_both_locks() -> None:
    ledgers = Ledgers()
    async with trading_post(ledgers) as alice, trading_post(ledgers, BOB, ALICE) as bob:
        hashlock = await handed_over(alice, bob)
        swap = await bob.desk.accept(hashlock)  # type: ignore[arg-type]
        assert swap.phase is Phase.ACCEPTED
        assert swap.a is not None
        assert swap.b is not None
        assert swap.a.terms.recipient == bob.dealing.chains.at(CHAIN_A, "").account
        assert swap.b.terms.sender == bob.dealing.chains.at(CHAIN_B, "").account
        intents = [i for i in bob.engine.intents() if isinstance(i, SendAcceptance)]
        assert len(intents) == 1
        with pytest.raises(OfferRefused) as caught:
            await bob.desk.accept(hashlock)  # type: ignore[arg-type]
        assert caught.value.code is Refusal.NOT_NOW


async def accept_refused(bob: TradingPost, hashlock: Any) -> Refusal:
    before = bob.engine.swap(hashlock)
    with pytest.raises(OfferRefused) as caught:
        await bob.desk.accept(hashlock)
    after = bob.engine.swap(hashlock)
    assert after == before
    assert bob.engine.intents() == ()
    return caught.value.code


async def test_what_cannot_be_accepted_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    ledgers = Ledgers()
    async with trading_post(ledgers) as alice, trading_post(ledgers, BOB, ALICE) as bob:
        assert await accept_refused(bob, b"\x01" * 32) is Refusal.UNKNOWN_SWAP
        hashlock = await handed_over(alice, bob)
        too_much = await handed_over(alice, bob, get=Side(OIL, 9_999_999))
        assert await accept_refused(bob, too_much) is Refusal.INSUFFICIENT_BALANCE
        with pytest.raises(OfferRefused) as caught:
            await alice.desk.accept(hashlock)  # type: ignore[arg-type]
        assert caught.value.code is Refusal.NOT_NOW
        bob.adapters[CHAIN_A].down = True
        assert await accept_refused(bob, hashlock) is Refusal.CHAIN_UNAVAILABLE
        bob.adapters[CHAIN_A].down = False

        async def object_to(terms: LockTerms) -> tuple[str, ...]:
            return ("a party could veto",)

        with monkeypatch.context() as patched:
            patched.setattr(bob.adapters[CHAIN_A], "objections", object_to)
            assert await accept_refused(bob, hashlock) is Refusal.CHAIN_OBJECTS
        ledgers.pass_time(61)
        assert await accept_refused(bob, hashlock) is Refusal.OFFER_EXPIRED


@pytest.mark.parametrize("chain", [CHAIN_A, CHAIN_B])
async def test_a_lock_id_that_was_ever_used_is_not_agreed_to(
    chain: ChainId, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledgers = Ledgers()
    async with trading_post(ledgers) as alice, trading_post(ledgers, BOB, ALICE) as bob:
        hashlock = await handed_over(alice, bob)
        used = bob.adapters[chain]
        record = await used.lookup(b"\x01" * 32)  # type: ignore[arg-type]

        async def look_up(lock_id: Any) -> Any:
            return replace(record, lock_id=lock_id, state=LockState.REFUNDED)

        monkeypatch.setattr(used, "lookup", look_up)
        assert await accept_refused(bob, hashlock) is Refusal.LOCK_USED


async def test_declining_tells_the_peer_why() -> None:
    ledgers = Ledgers()
    async with trading_post(ledgers) as alice, trading_post(ledgers, BOB, ALICE) as bob:
        hashlock: Any = await handed_over(alice, bob)
        with pytest.raises(OfferRefused) as caught:
            await bob.desk.decline(hashlock, "x" * 501)
        assert caught.value.field == "reason"
        swap = await bob.desk.decline(hashlock, "too dear")
        assert swap.phase is Phase.DECLINED
        (intent,) = bob.engine.intents()
        assert isinstance(intent, SendDecline)
        assert intent.reason == "too dear"


@pytest.mark.parametrize("chain", [CHAIN_A, CHAIN_B])
async def test_nothing_is_accepted_without_coin_to_pay_fees(
    monkeypatch: pytest.MonkeyPatch, chain: ChainId
) -> None:
    ledgers = Ledgers()
    async with trading_post(ledgers) as alice, trading_post(ledgers, BOB, ALICE) as bob:
        hashlock: Any = await handed_over(alice, bob)
        adapter = bob.adapters[chain]
        coin = AssetId(chain, "slip44", "60")
        balance = adapter.balance

        async def empty(account: AccountId, asset: AssetId) -> int:
            return 0 if asset == coin else await balance(account, asset)

        with monkeypatch.context() as patched:
            patched.setattr(adapter, "profile", replace(adapter.profile, fee_asset=coin))
            patched.setattr(adapter, "balance", empty)
            assert await accept_refused(bob, hashlock) is Refusal.INSUFFICIENT_BALANCE
        assert (await bob.desk.accept(hashlock)).phase is Phase.ACCEPTED
