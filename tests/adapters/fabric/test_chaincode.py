"""The lock chaincode on a channel in memory: what it does, what it refuses, who meets whom."""

from __future__ import annotations

import hashlib
import json

import pytest

from adapters.codec.lock_id import IdentityWords, lock_id
from adapters.fabric.chaincode.configuration import Consent
from adapters.fabric.chaincode.ledger import Caller, Ledger
from adapters.fabric.chaincode.locks import CLAIMED, OPENED, REFUNDED
from adapters.fabric.chaincode.refusal import Reason, Refused
from adapters.model import Hashlock
from adapters.spi import RejectionReason
from tests.adapters.fabric.chaincode_bench import (
    ALICE,
    BOB,
    BOUND,
    CAROL,
    CHAIN,
    HASHLOCK,
    ISSUER,
    LOCKS,
    NOW,
    PREIMAGE,
    TOKEN,
    balance,
    chosen,
    funded_channel,
    lock,
    lock_words,
    new_channel,
    record,
    refusal,
)
from tests.adapters.fabric.memory_channel import MemoryChannel, Simulated, address, person, run_now

SECOND = 10**9


def test_reasons_are_the_interfaces_own_but_for_two_that_a_new_try_mends() -> None:
    own = {reason.value for reason in Reason} - {
        Reason.HOLDING_SPENT.value,
        Reason.TIMESTAMP_REFUSED.value,
    }
    known = {reason.value for reason in RejectionReason}
    assert own <= known
    assert known - own == {RejectionReason.INSUFFICIENT_FEE.value}


# --- setting up ----------------------------------------------------------------------------------


def test_nothing_moves_before_configure() -> None:
    channel = new_channel()
    for words in (
        ["register_asset", "gold", "GLD", "3"],
        ["issue", "gold", address(ALICE), "5"],
        ["lock", address(BOB), "asset:gold", "5", HASHLOCK, str(NOW + 9), "[]", "1"],
        ["claim", HASHLOCK, PREIMAGE.hex()],
        ["refund", HASHLOCK],
        ["config"],
    ):
        assert refusal(channel, ALICE, *words) is Reason.OTHER


def test_configure_needs_the_endorsers_operators_consent() -> None:
    channel = new_channel()
    assert refusal(channel, ALICE, "configure", CHAIN.hex(), "11") is Reason.NOT_AUTHORISED
    assert refusal(channel, ALICE, "configure", HASHLOCK, "10") is Reason.NOT_AUTHORISED
    channel.do(LOCKS, ALICE, "configure", CHAIN.hex(), "10")
    assert json.loads(channel.simulate(LOCKS, BOB, "config").payload) == {
        "chain": CHAIN.hex(),
        "chaincode": LOCKS,
        "clock_bound": 10,
        "interface": "isthmus-hash-time-lock/2",
    }


def test_the_chain_is_fixed_by_the_first_configure_and_the_bound_is_not() -> None:
    channel = new_channel(consent=Consent(7, None, frozenset()))
    channel.do(LOCKS, ALICE, "configure", CHAIN.hex(), "7")
    assert refusal(channel, ALICE, "configure", HASHLOCK, "7") is Reason.OTHER
    channel.do(LOCKS, ALICE, "configure", CHAIN.hex(), "7")


def test_a_token_is_adopted_only_with_consent() -> None:
    channel = funded_channel()
    words = ("adopt_token", "other", "OTH", "0")
    assert refusal(channel, ISSUER, *words) is Reason.NOT_AUTHORISED
    assert refusal(channel, ISSUER, "adopt_token", TOKEN, "TOK", "2") is Reason.OTHER


def test_clock_answers_the_endorsers_own() -> None:
    channel = funded_channel()
    channel.now += 5
    assert channel.simulate(LOCKS, ALICE, "clock", timestamp=0).payload == str(NOW + 5).encode()


# --- assets --------------------------------------------------------------------------------------


def test_only_the_issuer_issues_and_the_supply_has_an_end() -> None:
    channel = funded_channel()
    to = address(ALICE)
    assert refusal(channel, ALICE, "issue", "gold", to, "1") is Reason.NOT_AUTHORISED
    assert refusal(channel, ISSUER, "issue", "silver", to, "1") is Reason.BAD_TERMS
    assert refusal(channel, ISSUER, "issue", "gold", to, str(2**256 - 2000)) is Reason.BAD_TERMS
    channel.do(LOCKS, ISSUER, "issue", "gold", to, str(2**256 - 2001))
    assert channel.simulate(LOCKS, ALICE, "supply", "gold").payload == str(2**256 - 1).encode()


def test_an_asset_is_registered_once() -> None:
    channel = funded_channel()
    assert refusal(channel, ALICE, "register_asset", "gold", "X", "0") is Reason.OTHER
    for name, symbol, decimals in (
        ("", "X", "0"),
        ("-a", "X", "0"),
        ("a_b", "X", "0"),
        ("a" * 65, "X", "0"),
        ("new", "", "0"),
        ("new", "X", "-1"),
        ("new", "X", "37"),
        ("new", "X", "01"),
    ):
        words = ("register_asset", name, symbol, decimals)
        assert refusal(channel, ALICE, *words) is Reason.BAD_TERMS, words


def test_a_transfer_moves_exactly_its_amount() -> None:
    channel = funded_channel()
    channel.do(LOCKS, ALICE, "transfer", "gold", address(CAROL), "300", "[]", "1")
    assert [balance(channel, who) for who in (ALICE, BOB, CAROL)] == [700, 1000, 300]
    channel.do(LOCKS, ALICE, "transfer", "gold", address(ALICE), "700", "[]", "1")
    assert balance(channel, ALICE) == 700


@pytest.mark.parametrize("parts", [1, 2, 5, 16])
def test_what_is_left_over_comes_in_parts_no_smaller_than_what_was_moved(parts: int) -> None:
    channel = funded_channel()
    named = chosen(channel, ALICE, 100)
    words = ["transfer", "gold", address(CAROL), "100", named, str(parts)]
    channel.do(LOCKS, ALICE, *words)
    answer = channel.simulate(LOCKS, ALICE, "holdings", "gold", address(ALICE), "900", "[]").payload
    assert json.loads(answer)["of"] == min(parts, 9)
    assert balance(channel, ALICE) == 900
    channel.do(LOCKS, ALICE, "transfer", "gold", address(CAROL), "900", "[]", "1")
    assert balance(channel, CAROL) == 1000


def test_nobody_spends_what_is_anothers_or_spent() -> None:
    channel = funded_channel()
    bobs = chosen(channel, BOB, 10)
    to = address(CAROL)
    words = ["transfer", "gold", to, "10", bobs, "1"]
    assert refusal(channel, ALICE, *words) is Reason.HOLDING_SPENT
    channel.do(LOCKS, BOB, *words)
    assert refusal(channel, BOB, *words) is Reason.HOLDING_SPENT
    twice = json.dumps(json.loads(chosen(channel, ALICE, 10)) * 2)
    assert refusal(channel, ALICE, "transfer", "gold", to, "10", twice, "1") is Reason.BAD_TERMS
    for named in ('["a\\u0000b"]', '["", ""]', "[1]", "{}", "x", '"a"'):
        words = ["transfer", "gold", to, "10", named, "1"]
        assert refusal(channel, ALICE, *words) is Reason.BAD_TERMS, named


def test_more_than_the_balance_is_refused() -> None:
    channel = funded_channel()
    words = ("transfer", "gold", address(BOB), "1001", "[]", "1")
    assert refusal(channel, ALICE, *words) is Reason.INSUFFICIENT_BALANCE


# --- locks ---------------------------------------------------------------------------------------


def _told_and_paid(channel: MemoryChannel, lock_hex: str, asset: str) -> None:
    """A token's end was told as owed, and is told again, the same, once it is paid."""
    if asset.startswith("token:"):
        told = channel.events[-1]
        fields = json.loads(told.payload)
        assert fields.pop("owed") is True
        channel.do(LOCKS, CAROL, "collect", lock_hex)
        assert (channel.events[-1].name, json.loads(channel.events[-1].payload)) == (
            told.name,
            fields,
        )
    assert "owed" not in record(channel, lock_hex)


@pytest.mark.parametrize("asset", ["asset:gold", "token:token"])
def test_a_lock_is_claimed_by_anybody_and_pays_the_recipient(asset: str) -> None:
    channel = funded_channel()
    lock_hex = lock(channel, ALICE, BOB, asset=asset)
    assert balance(channel, ALICE, asset) == 900
    assert record(channel, lock_hex)["state"] == "open"
    opened = channel.events[-1]
    channel.do(LOCKS, CAROL, "claim", lock_hex, PREIMAGE.hex())
    _told_and_paid(channel, lock_hex, asset)
    assert [balance(channel, who, asset) for who in (ALICE, BOB, CAROL)] == [900, 1100, 0]
    told = record(channel, lock_hex)
    assert (told["state"], told["preimage"]) == ("claimed", PREIMAGE.hex())
    claimed = channel.events[-1]
    assert opened.name == OPENED
    assert json.loads(opened.payload) == {
        "amount": "100",
        "asset": asset,
        "deadline": NOW + 600,
        "hashlock": HASHLOCK,
        "lock_id": lock_hex,
        "recipient": address(BOB),
        "sender": address(ALICE),
    }
    assert claimed.name == CLAIMED
    assert json.loads(claimed.payload) == {
        "hashlock": HASHLOCK,
        "lock_id": lock_hex,
        "preimage": PREIMAGE.hex(),
    }


@pytest.mark.parametrize("asset", ["asset:gold", "token:token"])
def test_a_lock_is_refunded_by_anybody_from_its_deadline_on(asset: str) -> None:
    channel = funded_channel()
    lock_hex = lock(channel, ALICE, BOB, asset=asset)
    channel.now = NOW + 599
    assert refusal(channel, CAROL, "refund", lock_hex) is Reason.DEADLINE_NOT_REACHED
    channel.now = NOW + 600
    channel.do(LOCKS, CAROL, "refund", lock_hex)
    _told_and_paid(channel, lock_hex, asset)
    assert [balance(channel, who, asset) for who in (ALICE, BOB, CAROL)] == [1000, 1000, 0]
    assert record(channel, lock_hex)["state"] == "refunded"
    assert channel.events[-1].name == REFUNDED
    assert json.loads(channel.events[-1].payload) == {"hashlock": HASHLOCK, "lock_id": lock_hex}


def test_a_claim_comes_before_the_deadline_to_the_nanosecond() -> None:
    channel = funded_channel()
    lock_hex = lock(channel, ALICE, BOB)
    channel.now = NOW + 600
    words = ("claim", lock_hex, PREIMAGE.hex())
    last = (NOW + 600) * SECOND
    assert refusal(channel, BOB, *words, timestamp=last) is Reason.DEADLINE_PASSED
    channel.simulate(LOCKS, BOB, *words, timestamp=last - 1)
    assert refusal(channel, BOB, "refund", lock_hex, timestamp=last - 1) is (
        Reason.DEADLINE_NOT_REACHED
    )
    channel.simulate(LOCKS, BOB, "refund", lock_hex, timestamp=last)


@pytest.mark.parametrize("off", [-1, 1])
def test_a_timestamp_beyond_the_endorsers_bound_is_refused(off: int) -> None:
    channel = funded_channel()
    lock_hex = lock(channel, ALICE, BOB)
    new = lock_words(channel, ALICE, BOB, deadline=NOW + 601)
    channel.now = NOW + 300
    for words in (new, ["claim", lock_hex, PREIMAGE.hex()], ["refund", lock_hex]):
        stamp = channel.clock() + off * (BOUND * SECOND + 1)
        assert refusal(channel, ALICE, *words, timestamp=stamp) is Reason.TIMESTAMP_REFUSED
    stamp = channel.clock() + off * BOUND * SECOND
    channel.simulate(LOCKS, ALICE, *new, timestamp=stamp)


def test_an_ended_lock_is_a_tombstone() -> None:
    for end in ("claim", "refund"):
        channel = funded_channel()
        lock_hex = lock(channel, ALICE, BOB)
        claim, refund = ["claim", lock_hex, PREIMAGE.hex()], ["refund", lock_hex]
        if end == "refund":
            channel.now = NOW + 600
        channel.do(LOCKS, CAROL, *(claim if end == "claim" else refund))
        assert refusal(channel, BOB, *claim) is Reason.LOCK_SETTLED
        assert refusal(channel, BOB, *refund) is Reason.LOCK_SETTLED
        channel.now = NOW
        assert refusal(channel, ALICE, *lock_words(channel, ALICE, BOB)) is Reason.LOCK_EXISTS


def test_bad_terms_are_refused() -> None:
    channel = funded_channel()
    zeros = hashlib.sha256(bytes(32)).hexdigest()
    good = {"asset": "asset:gold", "named": "[]"}
    for changes in (
        {"hashlock": "00" * 32},
        {"hashlock": zeros},
        {"hashlock": HASHLOCK.upper()},
        {"hashlock": HASHLOCK[2:]},
        {"amount": 0},
        {"amount": -1},
        {"amount": 2**256},
        {"deadline": 2**63},
        {"deadline": -5},
        {"asset": "gold"},
        {"asset": "asset:silver"},
        {"asset": "token:other"},
        {"asset": "coin:gold"},
        {"parts": 0},
        {"parts": 17},
    ):
        words = lock_words(channel, ALICE, BOB, **(good | changes))  # type: ignore[arg-type]
        assert refusal(channel, ALICE, *words) is Reason.BAD_TERMS, changes
    for recipient in ("", "bob", f"chaincode:{LOCKS}:{HASHLOCK}", address(BOB).upper()):
        words = lock_words(channel, ALICE, BOB)
        words[1] = recipient
        assert refusal(channel, ALICE, *words) is Reason.BAD_TERMS, recipient
    words = lock_words(channel, ALICE, BOB, deadline=NOW)
    assert refusal(channel, ALICE, *words) is Reason.DEADLINE_PASSED


def test_a_wrong_preimage_is_refused_and_not_repeated() -> None:
    channel = funded_channel()
    lock_hex = lock(channel, ALICE, BOB)
    wrong = "ab" * 32
    with pytest.raises(Refused) as caught:
        channel.simulate(LOCKS, BOB, "claim", lock_hex, wrong)
    assert caught.value.reason is Reason.WRONG_PREIMAGE
    assert wrong not in str(caught.value)
    for malformed in ("", wrong.upper(), wrong + "ab", wrong[2:], "zz" * 32):
        with pytest.raises(Refused) as caught:
            channel.simulate(LOCKS, BOB, "claim", lock_hex, malformed)
        assert caught.value.reason is Reason.BAD_TERMS
        assert not malformed or malformed not in str(caught.value)


def test_an_absent_lock_is_neither_claimed_nor_refunded() -> None:
    channel = funded_channel()
    assert refusal(channel, BOB, "claim", HASHLOCK, PREIMAGE.hex()) is Reason.LOCK_ABSENT
    assert refusal(channel, BOB, "refund", HASHLOCK) is Reason.LOCK_ABSENT
    assert record(channel, HASHLOCK) is None


def test_the_lock_id_is_the_codecs_over_the_documented_words() -> None:
    channel = funded_channel()

    def word(text: str) -> bytes:
        return hashlib.sha256(text.encode()).digest()

    expected = lock_id(
        IdentityWords(
            CHAIN, word(LOCKS), word(address(ALICE)), word(address(BOB)), word("asset:gold")
        ),
        100,
        Hashlock(bytes.fromhex(HASHLOCK)),
        NOW + 600,
    )
    assert lock(channel, ALICE, BOB) == expected.hex()


def test_a_renewed_certificate_keeps_its_account() -> None:
    channel = funded_channel()
    renewed = person("alice", "Org1MSP", 2)
    assert renewed.certificate != ALICE.certificate
    lock(channel, renewed, BOB)
    assert balance(channel, ALICE) == 900


def test_one_name_in_two_organisations_is_two_accounts() -> None:
    assert address(person("alice", "Org2MSP")) != address(ALICE)


def test_another_chaincode_cannot_call_what_moves_assets() -> None:
    class Relay:
        async def invoke(self, ledger: Ledger, words: list[bytes]) -> bytes:
            replies = [await ledger.invoke(LOCKS, words) for _ in range(2)]
            if any(reply.status >= 400 for reply in replies):
                raise Refused(Reason.OTHER, replies[0].message)
            return replies[0].payload

    channel = funded_channel()
    channel.chaincodes["relay"] = Relay()  # type: ignore[assignment]
    lock_hex = lock(channel, ALICE, BOB)
    named = chosen(channel, ALICE, 10)
    for words in (
        ["transfer", "gold", address(CAROL), "10", named, "1"],
        lock_words(channel, ALICE, BOB, deadline=NOW + 5),
        ["claim", lock_hex, PREIMAGE.hex()],
    ):
        with pytest.raises(Refused, match="not through another chaincode"):
            channel.simulate("relay", ALICE, *words)


def test_an_unreadable_caller_or_argument_is_refused() -> None:
    channel = funded_channel()
    nobody = Caller("Org1MSP", b"not a certificate")
    words = ("transfer", "gold", address(BOB), "1", "[]", "1")
    assert refusal(channel, nobody, *words) is Reason.NOT_AUTHORISED
    assert refusal(channel, ALICE, "transfer", "gold") is Reason.BAD_TERMS
    assert refusal(channel, ALICE, "no such function") is Reason.BAD_TERMS
    assert refusal(channel, ALICE) is Reason.BAD_TERMS
    contract = channel.chaincodes[LOCKS]
    with pytest.raises(Refused, match="UTF-8"):
        run_now(contract.invoke(object(), [b"\xff"]))  # type: ignore[arg-type]


# --- tokens of another chaincode -----------------------------------------------------------------


def test_nobody_but_the_lock_chaincode_moves_an_escrow() -> None:
    channel = funded_channel()
    lock_hex = lock(channel, ALICE, BOB, asset="token:token")
    escrow = f"chaincode:{LOCKS}:{lock_hex}"
    assert channel.simulate(TOKEN, ALICE, "balanceOf", escrow).payload == b"100"
    for thief in (ALICE, BOB, CAROL):
        words = ("transferFrom", escrow, address(thief), "100")
        assert refusal(channel, thief, *words, chaincode=TOKEN) is Reason.NOT_AUTHORISED


def test_a_token_lock_without_the_tokens_is_refused() -> None:
    channel = funded_channel()
    words = lock_words(channel, CAROL, BOB, asset="token:token")
    assert refusal(channel, CAROL, *words) is Reason.INSUFFICIENT_BALANCE


def test_an_escrow_that_a_fee_has_shrunk_does_not_pay_out_less() -> None:
    channel = funded_channel(fee=1)
    lock_hex = lock(channel, ALICE, BOB, asset="token:token")
    channel.do(LOCKS, BOB, "claim", lock_hex, PREIMAGE.hex())
    assert refusal(channel, BOB, "collect", lock_hex) is Reason.INSUFFICIENT_BALANCE
    assert record(channel, lock_hex)["owed"] is True


@pytest.mark.parametrize("claimed", [True, False])
def test_what_an_ended_lock_owes_goes_once_to_whose_it_is_whoever_asks(claimed: bool) -> None:
    channel = funded_channel()
    lock_hex = lock(channel, ALICE, BOB, asset="token:token")
    assert refusal(channel, CAROL, "collect", lock_hex) is Reason.LOCK_SETTLED
    if claimed:
        channel.do(LOCKS, BOB, "claim", lock_hex, PREIMAGE.hex())
    else:
        channel.now += 600
        channel.do(LOCKS, ALICE, "refund", lock_hex)
    assert [balance(channel, who, "token:token") for who in (ALICE, BOB)] == [900, 1000]
    channel.do(LOCKS, CAROL, "collect", lock_hex)
    after = [900, 1100] if claimed else [1000, 1000]
    assert [balance(channel, who, "token:token") for who in (ALICE, BOB)] == after
    assert refusal(channel, BOB, "collect", lock_hex) is Reason.LOCK_SETTLED
    assert refusal(channel, BOB, "collect", "00" * 32) is Reason.LOCK_ABSENT
    assert "owed" not in record(channel, lock_hex)


# --- nobody stops another's claim or refund ------------------------------------------------------


def _anybodys_moves(channel: MemoryChannel, lock_hex: str) -> list[Simulated]:
    """What a counterparty can have in every block."""
    spend = [chosen(channel, ALICE, 1), "1"]
    return [
        channel.simulate(LOCKS, ALICE, "configure", CHAIN.hex(), str(BOUND)),
        channel.simulate(LOCKS, ALICE, "transfer", "gold", address(BOB), "1", *spend),
        channel.simulate(LOCKS, ALICE, *lock_words(channel, ALICE, BOB, deadline=NOW + 601)),
        channel.simulate(LOCKS, ISSUER, "issue", "gold", address(BOB), "1"),
        channel.simulate(TOKEN, ALICE, "transfer", address(BOB), "1"),
        channel.simulate(TOKEN, ALICE, "transfer", f"chaincode:{LOCKS}:{lock_hex}", "1"),
    ]


@pytest.mark.parametrize("asset", ["asset:gold", "token:token"])
@pytest.mark.parametrize("move", range(6))
def test_nothing_that_anybody_can_write_stops_a_claim_or_a_refund(asset: str, move: int) -> None:
    channel = funded_channel()
    lock_hex = lock(channel, ALICE, BOB, asset=asset)
    claim = channel.simulate(LOCKS, BOB, "claim", lock_hex, PREIMAGE.hex())
    assert channel.commit(_anybodys_moves(channel, lock_hex)[move], claim) == [True, True]

    channel = funded_channel()
    lock_hex = lock(channel, ALICE, BOB, asset=asset)
    channel.now += 600
    refund = channel.simulate(LOCKS, ALICE, "refund", lock_hex)
    assert channel.commit(_anybodys_moves(channel, lock_hex)[move], refund) == [True, True]


# --- who meets whom in one block -----------------------------------------------------------------


def test_parallel_locks_of_one_sender_do_not_collide() -> None:
    channel = funded_channel()
    words = lock_words(channel, ALICE, BOB, amount=10, parts=16)
    channel.do(LOCKS, ALICE, *words)
    taken: list[str] = []
    block = []
    for number in range(8):
        answer = channel.simulate(
            LOCKS, ALICE, "holdings", "gold", address(ALICE), "10", json.dumps(taken)
        ).payload
        named = json.loads(answer)["holdings"]
        taken += named
        new = lock_words(
            channel, ALICE, BOB, amount=10, deadline=NOW + number + 1, named=json.dumps(named)
        )
        block.append(channel.simulate(LOCKS, ALICE, *new))
    assert channel.commit(*block) == [True] * 8


def test_claims_to_one_recipient_and_its_own_lock_do_not_collide() -> None:
    channel = funded_channel()
    ids = [lock(channel, ALICE, BOB, amount=10, deadline=NOW + 60 + n) for n in range(5)]
    block = [channel.simulate(LOCKS, CAROL, "claim", one, PREIMAGE.hex()) for one in ids]
    block.append(channel.simulate(LOCKS, BOB, *lock_words(channel, BOB, ALICE, amount=10)))
    assert channel.commit(*block) == [True] * 6
    assert balance(channel, BOB) == 1040


def test_token_locks_of_two_senders_do_not_collide() -> None:
    channel = funded_channel()
    block = [
        channel.simulate(LOCKS, who, *lock_words(channel, who, CAROL, asset="token:token"))
        for who in (ALICE, BOB)
    ]
    assert channel.commit(*block) == [True, True]


def test_one_holding_is_spent_once_in_a_block() -> None:
    channel = funded_channel()
    named = chosen(channel, ALICE, 10)
    block = [
        channel.simulate(
            LOCKS, ALICE, *lock_words(channel, ALICE, BOB, deadline=NOW + n, named=named)
        )
        for n in (1, 2)
    ]
    assert channel.commit(*block) == [True, False]
    assert balance(channel, ALICE) == 900


def test_claim_and_refund_in_one_block_end_a_lock_once() -> None:
    channel = funded_channel()
    lock_hex = lock(channel, ALICE, BOB)
    claim = channel.simulate(LOCKS, BOB, "claim", lock_hex, PREIMAGE.hex())
    channel.now = NOW + 600
    refund = channel.simulate(LOCKS, ALICE, "refund", lock_hex)
    assert channel.commit(refund, claim) == [True, False]
    assert [balance(channel, who) for who in (ALICE, BOB)] == [1000, 1000]


def test_the_same_lock_twice_in_one_block_is_opened_once() -> None:
    channel = funded_channel()
    channel.do(LOCKS, ISSUER, "issue", "gold", address(ALICE), "1000")
    one, other = (
        channel.simulate(LOCKS, ALICE, *lock_words(channel, ALICE, BOB, named=named))
        for named in _each_holding(channel)
    )
    assert channel.commit(one, other) == [True, False]
    assert balance(channel, ALICE) == 1900


def _each_holding(channel: object) -> list[str]:
    both = json.loads(chosen(channel, ALICE, 2000))  # type: ignore[arg-type]
    assert len(both) == 2
    return [json.dumps([name]) for name in both]
