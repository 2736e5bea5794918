"""The words in which chains are spoken of: what is parsed, what is refused, what stays hidden."""

from __future__ import annotations

import hashlib
import traceback
from dataclasses import FrozenInstanceError, fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.model import (
    MAX_AMOUNT,
    AccountId,
    AssetId,
    Bounds,
    ChainId,
    Claim,
    Hashlock,
    InvalidValue,
    LockClaimed,
    LockId,
    LockOpened,
    LockRecord,
    LockRefunded,
    LockState,
    LockTerms,
    Preimage,
    check_amount,
    check_hashlock,
    format_amount,
    hashlock_of,
    parse_amount,
)

NAMESPACES = st.from_regex(r"[-a-z0-9]{3,8}", fullmatch=True)
REFERENCES = st.from_regex(r"[-_a-zA-Z0-9]{1,32}", fullmatch=True)
ADDRESSES = st.from_regex(r"[-.%a-zA-Z0-9]{1,128}", fullmatch=True)
CHAINS = st.builds(ChainId, NAMESPACES, REFERENCES)
ACCOUNTS = st.builds(AccountId, CHAINS, ADDRESSES)
ASSETS = st.builds(AssetId, CHAINS, NAMESPACES, ADDRESSES)

CHAIN = ChainId("eip155", "1")
PREIMAGE = Preimage(hashlib.sha256(b"a secret of these tests").digest())
TERMS = LockTerms(
    chain=CHAIN,
    contract="0xlocks",
    sender=AccountId(CHAIN, "0xalice"),
    recipient=AccountId(CHAIN, "0xbob"),
    asset=AssetId(CHAIN, "slip44", "60"),
    amount=1,
    hashlock=PREIMAGE.hashlock(),
    deadline=1_800_000_000,
)


# --- identifiers ---------------------------------------------------------------------------------


@given(chain=CHAINS)
def test_a_chain_is_parsed_as_it_is_written(chain: ChainId) -> None:
    assert ChainId.parse(str(chain)) == chain


@given(account=ACCOUNTS)
def test_an_account_is_parsed_as_it_is_written(account: AccountId) -> None:
    assert AccountId.parse(str(account)) == account


@given(asset=ASSETS)
def test_an_asset_is_parsed_as_it_is_written(asset: AssetId) -> None:
    assert AssetId.parse(str(asset)) == asset


def test_the_standards_own_examples_are_parsed() -> None:
    for text in ("eip155:1", "bip122:000000000019d6689c085ae165831e93", "cosmos:cosmoshub-3"):
        assert str(ChainId.parse(text)) == text
    account = "eip155:1:0xab16a96D359eC26a11e2C2b3d8f8B8942d5Bfcdb"
    assert AccountId.parse(account) == AccountId(
        CHAIN, "0xab16a96D359eC26a11e2C2b3d8f8B8942d5Bfcdb"
    )
    asset = "eip155:1/erc20:0x6b175474e89094c44da98b954eedeac495271d0f"
    assert AssetId.parse(asset) == AssetId(
        CHAIN, "erc20", "0x6b175474e89094c44da98b954eedeac495271d0f"
    )


MALFORMED_CHAINS = [
    "", ":", "eip155", "eip155:", ":1", "ei:1", "eip155xyz:1", "EIP155:1", "eip155:1:2", "eip 55:1",
    "eip155: 1", " eip155:1", "eip155:1 ", "eip155:1\n", "eip155:" + "1" * 33, "eip155:é",
    "eip155:1/x", "eip155:1\x00", "eip155:\u0661",
]  # fmt: skip


@pytest.mark.parametrize("text", MALFORMED_CHAINS)
def test_a_malformed_chain_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="is not a CAIP-2 id; write namespace:reference"):
        ChainId.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        *(f"{chain}:0xalice" for chain in MALFORMED_CHAINS if chain != "eip155:1:2"),
        "0xalice", "eip155:1", "eip155:1:", "eip155:1:a b", "eip155:1:a\n", "eip155:1:" + "a" * 129,
        "eip155:1:a/b", "eip155:1::a", "eip155:1:a_b",
    ],
)  # fmt: skip
def test_a_malformed_account_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="is not a CAIP-10 id"):
        AccountId.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        *(f"{chain}/slip44:60" for chain in MALFORMED_CHAINS if chain != "eip155:1/x"),
        "slip44:60", "eip155:1/", "eip155:1/slip44", "eip155:1/slip44:", "eip155:1/sl:60",
        "eip155:1/SLIP44:60", "eip155:1/slip44:60/1", "eip155:1//slip44:60", "eip155:1/slip44:60\n",
        "eip155:1/slip44:" + "6" * 129,
    ],
)  # fmt: skip
def test_a_malformed_asset_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="is not a CAIP-19 id"):
        AssetId.parse(text)


@given(text=st.text(max_size=200))
def test_any_text_is_parsed_to_itself_or_refused(text: str) -> None:
    for kind in (ChainId, AccountId, AssetId):
        try:
            parsed = kind.parse(text)
        except InvalidValue:
            continue
        assert str(parsed) == text


@pytest.mark.parametrize("value", [None, 1, b"eip155:1", ["eip155:1"]])
def test_what_is_not_text_is_refused(value: object) -> None:
    for kind in (ChainId, AccountId, AssetId):
        with pytest.raises(InvalidValue):
            kind.parse(value)  # type: ignore[arg-type]


def test_an_error_shows_no_more_than_a_line_of_what_was_given() -> None:
    with pytest.raises(InvalidValue) as caught:
        ChainId.parse("x\n" * 10_000)
    assert len(str(caught.value)) < 250
    assert "\n" not in str(caught.value)


# --- amounts -------------------------------------------------------------------------------------


@given(amount=st.integers(1, MAX_AMOUNT), decimals=st.integers(0, 77))
def test_an_amount_is_read_as_it_is_written(amount: int, decimals: int) -> None:
    assert parse_amount(format_amount(amount, decimals), decimals) == amount


@given(amount=st.integers(), decimals=st.integers(0, 30))
def test_a_written_amount_is_exact_and_shortest(amount: int, decimals: int) -> None:
    text = format_amount(amount, decimals)
    whole, _, fraction = text.lstrip("-").partition(".")
    assert not fraction.endswith("0")
    sign = -1 if text.startswith("-") else 1
    assert sign * int(whole + fraction.ljust(decimals, "0")) == amount


@pytest.mark.parametrize(
    ("text", "decimals", "amount"),
    [
        ("12.5", 2, 1250),
        ("1", 18, 10**18),
        ("0.000001", 6, 1),
        ("007", 0, 7),
        (" 3 ", 1, 30),
        ("1.50", 2, 150),
        (str(MAX_AMOUNT), 0, MAX_AMOUNT),
    ],
)
def test_amounts_that_people_write(text: str, decimals: int, amount: int) -> None:
    assert parse_amount(text, decimals) == amount


@pytest.mark.parametrize(
    ("text", "decimals", "said"),
    [
        ("0", 6, "must be greater than zero"),
        ("0.000", 6, "must be greater than zero"),
        ("-1", 6, "is not a positive decimal number"),
        ("+1", 6, "is not a positive decimal number"),
        ("", 6, "is not a positive decimal number"),
        (".5", 6, "is not a positive decimal number"),
        ("5.", 6, "is not a positive decimal number"),
        ("1e6", 6, "is not a positive decimal number"),
        ("1,5", 6, "is not a positive decimal number"),
        ("1_000", 6, "is not a positive decimal number"),
        ("0x10", 6, "is not a positive decimal number"),
        ("NaN", 6, "is not a positive decimal number"),
        ("inf", 6, "is not a positive decimal number"),
        ("1 000", 6, "is not a positive decimal number"),
        ("\u0661", 6, "is not a positive decimal number"),
        ("1" * 201, 6, "is not a positive decimal number"),
        ("1.0000001", 6, "has 7 decimals; the asset has 6"),
        ("1.0", 0, "has 1 decimals; the asset has 0"),
        (str(MAX_AMOUNT + 1), 0, "above 2^256 - 1"),
        (str(MAX_AMOUNT), 1, "above 2^256 - 1"),
    ],
)
def test_amounts_that_are_refused(text: str, decimals: int, said: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        parse_amount(text, decimals, "give.amount")
    assert str(caught.value).startswith("give.amount")
    assert said in str(caught.value)


@pytest.mark.parametrize("amount", [0, -1, -MAX_AMOUNT, MAX_AMOUNT + 1, True, 1.0, "1", None])
def test_an_amount_that_cannot_be_moved_is_refused(amount: object) -> None:
    with pytest.raises(InvalidValue, match="fee"):
        check_amount(amount, "fee")  # type: ignore[arg-type]


# --- preimages and hashlocks ---------------------------------------------------------------------


@given(value=st.binary(min_size=32, max_size=32))
def test_a_hashlock_is_the_sha256_of_its_preimage(value: bytes) -> None:
    assert Preimage(value).hashlock() == hashlib.sha256(value).digest()


@pytest.mark.parametrize("value", [b"", bytes(31), bytes(33), bytearray(32), "a" * 32, None])
def test_a_preimage_of_another_form_is_refused(value: object) -> None:
    with pytest.raises(InvalidValue, match="exactly 32 bytes"):
        Preimage(value)  # type: ignore[arg-type]


def _hidden(shown: str) -> bool:
    value = PREIMAGE.value
    return not any(form in shown for form in (value.hex(), repr(value)[2:-1], str(value)))


def test_a_preimage_never_shows_itself() -> None:
    lock_id = LockId(bytes(32))
    hashlock = PREIMAGE.hashlock()
    for holder in (
        PREIMAGE,
        Claim(lock_id, PREIMAGE),
        LockClaimed(lock_id, hashlock, PREIMAGE),
        LockRecord(lock_id, LockState.CLAIMED, True, TERMS, PREIMAGE),
        [PREIMAGE],
    ):
        assert _hidden(f"{holder} {holder!r}")
    try:
        PREIMAGE.value = bytes(32)  # type: ignore[misc]
    except FrozenInstanceError as error:
        captured = traceback.TracebackException.from_exception(error, capture_locals=True)
        assert _hidden("".join(captured.format()))


def test_a_refused_preimage_is_not_shown_either() -> None:
    with pytest.raises(InvalidValue) as caught:
        Preimage(PREIMAGE.value + b"\x00")
    assert _hidden(str(caught.value))


@pytest.mark.parametrize("value", [bytes(32), hashlib.sha256(bytes(32)).digest()])
def test_a_hashlock_that_anybody_can_open_is_refused(value: bytes) -> None:
    with pytest.raises(InvalidValue, match=r"offer\.hashlock is one that anybody can open"):
        check_hashlock(value, "offer.hashlock")


@pytest.mark.parametrize("length", [0, 20, 31, 33, 64])
def test_a_hashlock_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(InvalidValue, match=f"is {length} bytes; it must be 32"):
        check_hashlock(b"\x01" * length)


def test_every_event_tells_its_hashlock() -> None:
    lock_id, hashlock = LockId(bytes(32)), PREIMAGE.hashlock()
    for event in (
        LockOpened(lock_id, TERMS),
        LockClaimed(lock_id, hashlock, PREIMAGE),
        LockRefunded(lock_id, hashlock),
    ):
        assert hashlock_of(event) == hashlock


# --- locks and bounds ----------------------------------------------------------------------------

ELSEWHERE = ChainId("eip155", "2")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("amount", 0, "amount"),
        ("amount", -5, "amount"),
        ("amount", MAX_AMOUNT + 1, "amount"),
        ("hashlock", Hashlock(bytes(32)), "hashlock"),
        ("hashlock", Hashlock(b"\x01"), "hashlock"),
        ("deadline", 0, "deadline"),
        ("deadline", -1, "deadline"),
        ("deadline", 2**63, "deadline"),
        ("sender", AccountId(ELSEWHERE, "0xalice"), "sender is on eip155:2"),
        ("recipient", AccountId(ELSEWHERE, "0xbob"), "recipient is on eip155:2"),
        ("asset", AssetId(ELSEWHERE, "slip44", "60"), "asset is on eip155:2"),
    ],
)
def test_terms_that_no_lock_may_have_are_refused(field: str, value: object, said: str) -> None:
    with pytest.raises(InvalidValue, match=said):
        replace(TERMS, **{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("field", [field.name for field in fields(Bounds)])
@pytest.mark.parametrize("value", [-1, 1.5, True, "3", None])
def test_a_bound_that_is_not_whole_seconds_is_refused(field: str, value: object) -> None:
    good = {"inclusion": 1, "finality": 2, "clock": 3, "late": 4}
    with pytest.raises(InvalidValue, match=f"bound {field}"):
        Bounds(**(good | {field: value}))  # type: ignore[arg-type]


def test_an_invalid_value_says_of_which_field_it_is() -> None:
    for field, wrong in (
        ("give.amount", lambda: parse_amount("x", 2, "give.amount")),
        ("give.amount", lambda: parse_amount("1.234", 2, "give.amount")),
        ("get.amount", lambda: check_amount(0, "get.amount")),
        ("hashlock", lambda: check_hashlock(b"short")),
    ):
        with pytest.raises(InvalidValue) as caught:
            wrong()
        assert caught.value.field == field
        assert str(caught.value).startswith(f"{field} ")
    with pytest.raises(InvalidValue) as caught:
        ChainId.parse("x")
    assert caught.value.field is None
