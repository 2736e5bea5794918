"""What another gateway sends is believed only as far as it is signed, addressed and agreed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from adapters.model import (
    AccountId,
    AssetId,
    ChainId,
    Hashlock,
    InvalidValue,
    LockId,
    LockState,
    LockTerms,
)
from relayers.offers.refusal import OfferRefused, Refusal
from relayers.offers.rules import OfferRules
from relayers.offers.typed_data import (
    Decline,
    acceptance_digest,
    decline_digest,
    offer_digest,
    sign,
)
from relayers.protocol.offer import Acceptance, Offer
from relayers.protocol.state import Phase, Swap
from tests.relayers.offers.samples import ALICE, BOB, CHAIN_A, CHAIN_B, EVE, MemorySigner, address
from tests.relayers.offers.trading_post import Ledgers, TradingPost, request, trading_post


@asynccontextmanager
async def alice_and_bob(
    rules: OfferRules | None = None,
) -> AsyncIterator[tuple[TradingPost, TradingPost]]:
    ledgers = Ledgers()
    async with (
        trading_post(ledgers) as alice,
        trading_post(ledgers, BOB, ALICE, rules=rules) as bob,
    ):
        yield alice, bob


async def made(alice: TradingPost) -> Offer:
    return (await alice.desk.make(request())).swap.offer


async def signed(offer: Offer, signer: MemorySigner = ALICE) -> tuple[Offer, bytes]:
    return offer, await sign(signer, offer_digest(offer))


async def refused(bob: TradingPost, offer: Offer, signature: bytes) -> OfferRefused:
    before = bob.engine.swaps()
    with pytest.raises(OfferRefused) as caught:
        await bob.intake.offer(offer, signature)
    assert bob.engine.swaps() == before, "a refused offer changes nothing"
    return caught.value


async def test_a_good_offer_is_taken_once() -> None:
    async with alice_and_bob() as (alice, bob):
        offer, signature = await signed(await made(alice))
        swap = await bob.intake.offer(offer, signature)
        assert swap.phase is Phase.RECEIVED
        refusal = await refused(bob, offer, signature)
        assert refusal.code is Refusal.OFFER_KNOWN


async def test_an_offer_from_a_stranger_is_refused() -> None:
    async with alice_and_bob() as (alice, bob):
        offer = replace(await made(alice), initiator=address(EVE))
        refusal = await refused(bob, *await signed(offer, EVE))
        assert refusal.code is Refusal.UNKNOWN_PEER
        assert refusal.field == "offer.initiator"


async def test_an_offer_in_a_peer_s_name_but_not_by_its_key_is_refused() -> None:
    async with alice_and_bob() as (alice, bob):
        refusal = await refused(bob, *await signed(await made(alice), EVE))
        assert refusal.code is Refusal.SIGNATURE_INVALID


ALTERED: list[dict[str, Any]] = [
    {"salt": b"\x01" * 32},
    {"hashlock": Hashlock(b"\x01" * 32)},
    {"valid_until": 1_800_000_000},
    {"reference": "another order"},
]


@pytest.mark.parametrize("changes", ALTERED)
async def test_an_altered_offer_is_refused(changes: dict[str, Any]) -> None:
    async with alice_and_bob() as (alice, bob):
        offer, signature = await signed(await made(alice))
        refusal = await refused(bob, replace(offer, **changes), signature)
        assert refusal.code is Refusal.SIGNATURE_INVALID


@pytest.mark.parametrize("leg", ["a", "b"])
@pytest.mark.parametrize("field", ["amount", "deadline"])
async def test_an_altered_leg_is_refused(leg: str, field: str) -> None:
    async with alice_and_bob() as (alice, bob):
        offer, signature = await signed(await made(alice))
        old = getattr(offer, leg)
        changed = replace(offer, **{leg: replace(old, **{field: getattr(old, field) + 1})})
        assert (await refused(bob, changed, signature)).code is Refusal.SIGNATURE_INVALID


async def test_an_offer_to_somebody_else_is_refused() -> None:
    async with alice_and_bob() as (alice, bob):
        offer = replace(await made(alice), responder=address(EVE))
        refusal = await refused(bob, *await signed(offer))
        assert refusal.code is Refusal.NOT_ADDRESSED_TO_US


async def test_an_expired_offer_is_refused() -> None:
    async with alice_and_bob() as (alice, bob):
        offer, signature = await signed(await made(alice))
        bob.ledgers.pass_time(offer.valid_until - bob.ledgers.time)
        assert (await refused(bob, offer, signature)).code is Refusal.OFFER_EXPIRED


async def test_a_hashlock_that_was_seen_before_is_refused() -> None:
    async with alice_and_bob() as (alice, bob):
        offer, signature = await signed(await made(alice))
        await bob.intake.offer(offer, signature)
        again = replace(offer, reference="with the same hashlock")
        assert (await refused(bob, *await signed(again))).code is Refusal.HASHLOCK_SEEN


async def test_a_hashlock_stays_seen_after_its_swap_has_ended() -> None:
    async with alice_and_bob() as (alice, bob):
        offer, signature = await signed(await made(alice))
        await bob.intake.offer(offer, signature)
        await bob.desk.decline(offer.hashlock, "no")
        again = replace(offer, reference="with the same hashlock")
        assert (await refused(bob, *await signed(again))).code is Refusal.HASHLOCK_SEEN


async def test_an_unknown_version_is_refused() -> None:
    async with alice_and_bob() as (alice, bob):
        offer = replace(await made(alice), version=2)
        assert (await refused(bob, *await signed(offer))).code is Refusal.VERSION_UNSUPPORTED


GAMMA = ChainId.parse("sim:gamma")


def other_chain(offer: Offer) -> Offer:
    leg = replace(
        offer.b,
        chain=GAMMA,
        asset=replace(offer.b.asset, chain=GAMMA),
        account=replace(offer.b.account, chain=GAMMA),
    )
    return replace(offer, b=leg)


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        (other_chain, Refusal.UNKNOWN_CHAIN, "offer.b.chain"),
        (
            lambda o: replace(o, a=replace(o.a, contract="another")),
            Refusal.CONTRACT_MISMATCH,
            "offer.a.contract",
        ),
        (
            lambda o: replace(o, a=replace(o.a, asset=AssetId(CHAIN_A, "token", "lead"))),
            Refusal.UNKNOWN_ASSET,
            "offer.a.asset",
        ),
        (
            lambda o: replace(o, a=replace(o.a, deadline=o.b.deadline)),
            Refusal.DEADLINE_UNSAFE,
            "deadline",
        ),
        (
            lambda o: replace(o, b=replace(o.b, deadline=1)),
            Refusal.DEADLINE_UNSAFE,
            "deadline",
        ),
        (
            lambda o: replace(o, a=replace(o.a, deadline=o.a.deadline + 8 * 86_400)),
            Refusal.DEADLINE_TOO_FAR,
            "deadline",
        ),
        (
            lambda o: replace(o, valid_until=o.b.deadline + 1),
            Refusal.DEADLINE_TOO_FAR,
            "valid_until",
        ),
        (
            lambda o: replace(o, valid_until=2**63 - 1),
            Refusal.DEADLINE_TOO_FAR,
            "valid_until",
        ),
    ],
)
async def test_what_we_could_not_agree_to_is_refused_though_it_is_signed(
    change: Any, code: Refusal, field: str
) -> None:
    async with alice_and_bob() as (alice, bob):
        refusal = await refused(bob, *await signed(change(await made(alice))))
        assert refusal.code is code, refusal.detail
        assert refusal.field == field


async def test_a_peer_cannot_fill_the_journal() -> None:
    async with alice_and_bob(OfferRules(open_per_peer=2)) as (alice, bob):
        for _ in range(2):
            await bob.intake.offer(*await signed(await made(alice)))
        refusal = await refused(bob, *await signed(await made(alice)))
        assert refusal.code is Refusal.TOO_MANY_OFFERS


async def test_offers_that_were_declined_count_for_an_hour() -> None:
    rules = OfferRules(open_per_peer=1, hourly=2)
    async with alice_and_bob(rules) as (alice, bob):
        for _ in range(2):
            offer = await made(alice)
            await bob.intake.offer(*await signed(offer))
            await bob.desk.decline(offer.hashlock, "no")
        refusal = await refused(bob, *await signed(await made(alice)))
        assert refusal.code is Refusal.TOO_MANY_OFFERS
        assert "within the last hour" in refusal.detail
        bob.ledgers.pass_time(3600)
        await bob.intake.offer(*await signed(await made(alice)))


# --- acceptances ---------------------------------------------------------------------------------


async def accepted(alice: TradingPost, bob: TradingPost) -> tuple[Swap, Acceptance]:
    offer, signature = await signed(await made(alice))
    await bob.intake.offer(offer, signature)
    swap = await bob.desk.accept(offer.hashlock)
    assert swap.acceptance is not None
    return swap, swap.acceptance


async def acceptance_refused(
    alice: TradingPost, acceptance: Acceptance, signer: MemorySigner = BOB
) -> OfferRefused:
    before = alice.engine.swaps()
    with pytest.raises(OfferRefused) as caught:
        await alice.intake.acceptance(acceptance, await sign(signer, acceptance_digest(acceptance)))
    assert alice.engine.swaps() == before
    return caught.value


async def test_an_acceptance_begins_the_locking() -> None:
    async with alice_and_bob() as (alice, bob):
        swap, acceptance = await accepted(alice, bob)
        assert swap.acceptance_signature is not None
        ours = await alice.intake.acceptance(acceptance, swap.acceptance_signature)
        assert ours.phase is Phase.LOCKING
        assert ours.a is not None
        assert swap.a is not None
        assert ours.a.lock_id == swap.a.lock_id
        refusal = await acceptance_refused(alice, acceptance)
        assert refusal.code is Refusal.ACCEPTANCE_KNOWN


async def test_an_acceptance_by_another_key_is_refused() -> None:
    async with alice_and_bob() as (alice, bob):
        _, acceptance = await accepted(alice, bob)
        refusal = await acceptance_refused(alice, acceptance, EVE)
        assert refusal.code is Refusal.SIGNATURE_INVALID


async def test_an_acceptance_of_another_offer_is_refused() -> None:
    async with alice_and_bob() as (alice, bob):
        _, acceptance = await accepted(alice, bob)
        refusal = await acceptance_refused(alice, replace(acceptance, offer=b"\x01" * 32))
        assert refusal.code is Refusal.OFFER_MISMATCH
        refusal = await acceptance_refused(
            alice, replace(acceptance, hashlock=Hashlock(b"\x01" * 32))
        )
        assert refusal.code is Refusal.UNKNOWN_SWAP


async def test_an_acceptance_with_an_account_on_a_wrong_chain_is_refused() -> None:
    async with alice_and_bob() as (alice, bob):
        _, acceptance = await accepted(alice, bob)
        wrong = replace(acceptance, recipient_a=AccountId(CHAIN_B, "0x01"))
        assert (await acceptance_refused(alice, wrong)).code is Refusal.INVALID_VALUE


async def test_a_peer_s_account_that_is_spelled_otherwise_than_its_chain_does_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In an offer and in an acceptance: what is agreed must be what the chain will tell of."""
    async with alice_and_bob() as (alice, bob):
        offer = await made(alice)
        for adapter in (alice.adapters[CHAIN_A], bob.adapters[CHAIN_B]):
            monkeypatch.setattr(adapter, "lock_id", _in_lower_case(adapter.lock_id))
        account = AccountId(CHAIN_B, offer.b.account.address.upper())
        spelled = replace(offer, b=replace(offer.b, account=account))
        refusal = await refused(bob, *await signed(spelled))
        assert (refusal.code, refusal.field) == (Refusal.INVALID_VALUE, "offer.b")
        _, acceptance = await accepted(alice, bob)
        payee = AccountId(CHAIN_A, acceptance.recipient_a.address.upper())
        refusal = await acceptance_refused(alice, replace(acceptance, recipient_a=payee))
        assert (refusal.code, refusal.field) == (Refusal.INVALID_VALUE, "a")


def _in_lower_case(lock_id: Callable[[LockTerms], LockId]) -> Callable[[LockTerms], LockId]:
    """A chain with one spelling of each account."""

    def strict(terms: LockTerms) -> LockId:
        for account in (terms.sender, terms.recipient):
            if account.address != account.address.lower():
                raise InvalidValue(f"account {account} is not written in lower case")
        return lock_id(terms)

    return strict


async def test_a_late_acceptance_is_refused() -> None:
    async with alice_and_bob() as (alice, bob):
        swap, acceptance = await accepted(alice, bob)
        alice.ledgers.pass_time(swap.offer.valid_until - alice.ledgers.time)
        refusal = await acceptance_refused(alice, acceptance)
        # Its own timer may have ended the offer already.
        assert refusal.code in (Refusal.OFFER_EXPIRED, Refusal.NOT_NOW)


async def test_the_initiator_asks_both_chains_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with alice_and_bob() as (alice, bob):
        _, acceptance = await accepted(alice, bob)
        record = await alice.adapters[CHAIN_B].lookup(b"\x01" * 32)  # type: ignore[arg-type]

        async def look_up(lock_id: Any) -> Any:
            return replace(record, lock_id=lock_id, state=LockState.CLAIMED)

        async def object_to(terms: LockTerms) -> tuple[str, ...]:
            return ("a party could veto",)

        with monkeypatch.context() as patched:
            patched.setattr(alice.adapters[CHAIN_B], "lookup", look_up)
            assert (await acceptance_refused(alice, acceptance)).code is Refusal.LOCK_USED
        with monkeypatch.context() as patched:
            patched.setattr(alice.adapters[CHAIN_A], "objections", object_to)
            assert (await acceptance_refused(alice, acceptance)).code is Refusal.CHAIN_OBJECTS


# --- declines ------------------------------------------------------------------------------------


async def test_a_decline_ends_the_offer() -> None:
    async with alice_and_bob() as (alice, _):
        offer = await made(alice)
        decline = Decline(offer.initiator, offer.responder, offer.hashlock, "too dear\n")
        with pytest.raises(OfferRefused) as caught:
            await alice.intake.decline(decline, await sign(EVE, decline_digest(decline)))
        assert caught.value.code is Refusal.SIGNATURE_INVALID
        other = replace(decline, initiator=address(EVE))
        with pytest.raises(OfferRefused) as caught:
            await alice.intake.decline(other, await sign(BOB, decline_digest(other)))
        assert caught.value.code is Refusal.OFFER_MISMATCH
        signature = await sign(BOB, decline_digest(decline))
        swap = await alice.intake.decline(decline, signature)
        assert swap.phase is Phase.DECLINED
        assert swap.reason == "too dear"
        assert await alice.intake.decline(decline, signature) == swap, "a second try is harmless"
