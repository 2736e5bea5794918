"""One canonical encoding: everything else is refused, and every signed byte counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.codec.secp256k1 import ORDER
from adapters.native.app.canonical import Malformed
from adapters.native.app.records import SEQUENCE_WINDOW, Account
from adapters.native.app.transaction import (
    ClaimLock,
    CreateAccount,
    CreateAsset,
    Issue,
    OpenLock,
    Operation,
    RefundLock,
    RotateKey,
    Transfer,
    Unsigned,
    decode,
    rotation_digest,
)
from tests.adapters.native.chain_fixture import ALICE, BOB, preimage

WORD = st.binary(min_size=32, max_size=32)
AMOUNT = st.integers(1, 2**256 - 1)
SYMBOL = st.from_regex(r"[A-Za-z][A-Za-z0-9.-]{0,31}", fullmatch=True)
OPERATIONS: st.SearchStrategy[Operation] = st.one_of(
    st.just(CreateAccount(BOB.compressed)),
    st.just(RotateKey(BOB.compressed, b"\x01" * 65)),
    st.builds(CreateAsset, SYMBOL, st.integers(0, 36)),
    st.builds(Issue, SYMBOL, WORD, AMOUNT),
    st.builds(Transfer, SYMBOL, WORD, AMOUNT),
    st.builds(OpenLock, WORD, SYMBOL, AMOUNT, WORD, st.integers(0, 2**64 - 1)),
    st.builds(ClaimLock, WORD, WORD),
    st.builds(RefundLock, WORD),
)
UNSIGNED = st.builds(Unsigned, WORD, WORD, st.integers(0, 2**64 - 1), OPERATIONS)


def signed(unsigned: Unsigned) -> bytes:
    return unsigned.signed(ALICE.sign_now(unsigned.digest())).encode()


@given(UNSIGNED)
def test_round_trip(unsigned: Unsigned) -> None:
    raw = signed(unsigned)
    read = decode(raw)
    assert read.unsigned == unsigned
    assert read.encode() == raw
    assert read.signing_key() == ALICE.compressed


@given(UNSIGNED, st.data())
def test_no_other_bytes_are_the_same_transaction(unsigned: Unsigned, data: st.DataObject) -> None:
    """Any change is refused, is signed by another key, or is visibly another signature of none."""
    raw = signed(unsigned)
    at = data.draw(st.integers(0, len(raw) - 1))
    changed = bytearray(raw)
    changed[at] ^= data.draw(st.integers(1, 255))
    for mutant in (bytes(changed), raw[:at], raw + b"\x00", b"\x00" + raw, raw + raw):
        try:
            assert decode(mutant).signing_key() != ALICE.compressed
        except Malformed:
            continue


def test_the_high_twin_of_a_signature_is_refused() -> None:
    raw = signed(Unsigned(bytes(32), ALICE.account, 0, RefundLock(bytes(32))))
    r, s, v = raw[-65:-33], int.from_bytes(raw[-33:-1], "big"), raw[-1]
    twin = raw[:-65] + r + (ORDER - s).to_bytes(32, "big") + bytes([v ^ 1])
    with pytest.raises(Malformed, match="high s"):
        decode(twin).signing_key()


@pytest.mark.parametrize(
    ("operation", "what"),
    [
        (Transfer("COIN", bytes(32), 0), "amount"),
        (Transfer("COIN", bytes(32), 2**256), "amount"),
        (Transfer("COIN", bytes(32), -1), "amount"),
        (Transfer("1COIN", bytes(32), 1), "asset"),
        (Transfer("", bytes(32), 1), "asset"),
        (Transfer("C" * 33, bytes(32), 1), "asset"),
        (Transfer("COIN", bytes(31), 1), "to"),
        (CreateAsset("COIN", 37), "decimals"),
        (CreateAccount(b"\x05" + bytes(32)), "public key"),
        (CreateAccount(b"\x02" + b"\xff" * 32), "public key"),
        (OpenLock(bytes(32), "COIN", 1, bytes(31), 1), "hashlock"),
        (OpenLock(bytes(32), "COIN", 1, bytes(32), 2**64), "deadline"),
        (ClaimLock(bytes(32), bytes(33)), "preimage"),
    ],
)
def test_what_has_no_encoding_is_refused_by_name(operation: Operation, what: str) -> None:
    with pytest.raises(Malformed, match=what):
        Unsigned(bytes(32), bytes(32), 0, operation).body()


def test_zero_amounts_and_unfit_symbols_are_refused_on_reading_too() -> None:
    body = Unsigned(bytes(32), bytes(32), 0, Transfer("COIN", bytes(32), 1)).body()
    for bad in (
        body[:-1] + b"\x00",
        body.replace(b"\x04COIN", b"\x04CO N"),
        body.replace(b"\x04COIN", b"\x041OIN"),
        b"\x02" + body[1:],
        body[:73] + b"\x09" + body[74:],
    ):
        with pytest.raises(Malformed):
            decode(bad + bytes(65))


def test_no_secret_shows() -> None:
    claim = ClaimLock(bytes(32), preimage(1))
    shown = repr(Unsigned(bytes(32), bytes(32), 0, claim))
    assert preimage(1).hex() not in shown
    assert repr(preimage(1))[2:-1] not in shown


def test_a_rotation_digest_is_of_this_rotation_only() -> None:
    given_ = (bytes(32), ALICE.account, 1, BOB.compressed)
    others = [
        (b"\x01" * 32, *given_[1:]),
        (given_[0], BOB.account, *given_[2:]),
        (*given_[:2], 2, given_[3]),
        (*given_[:3], ALICE.compressed),
    ]
    digests = {rotation_digest(*entry) for entry in [given_, *others]}
    assert len(digests) == 5


@given(st.lists(st.integers(0, 600), max_size=300))
def test_a_sequence_number_is_good_once(asked: list[int]) -> None:
    account, used = Account(ALICE.compressed), set[int]()
    for sequence in asked:
        first_free = next(n for n in range(10**6) if n not in used)
        allowed = sequence not in used and first_free <= sequence < first_free + SEQUENCE_WINDOW
        assert account.can_use(sequence) == allowed
        if allowed:
            account = account.use(sequence)
            used.add(sequence)
            assert Account.decode(account.encode()) == account
