"""Interoperable addresses: the standard's examples, one spelling each, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.codec import interoperable_address
from adapters.codec.checksum_address import checksummed
from adapters.codec.interoperable_address import CHAIN_TYPES, decode, decode_chain, encode
from adapters.codec.keccak import keccak256
from adapters.codec.percent_encoding import percent_encode
from adapters.model import AccountId, ChainId, InvalidValue

GENESIS = "000102030405060708090a0b0c0d0eff"
HASH = "ab" * 32
EVM = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"


def hex_references() -> st.SearchStrategy[str]:
    return st.binary(min_size=16, max_size=16).map(bytes.hex)


MSPS = st.text(min_size=1, max_size=63).filter(
    lambda text: text.isprintable() and len(percent_encode(text)) <= 63
)
ACCOUNTS = st.one_of(
    st.builds(
        lambda number, address: AccountId(ChainId("eip155", str(number)), checksummed(address)),
        st.integers(1, 10**32 - 1),
        st.binary(min_size=20, max_size=20),
    ),
    st.builds(
        lambda genesis, account: AccountId(ChainId("isthmus", genesis), account.hex()),
        hex_references(),
        st.binary(min_size=32, max_size=32),
    ),
    st.builds(
        lambda genesis, msp, digest: AccountId(
            ChainId("fabric", genesis), f"{percent_encode(msp)}.{digest.hex()}"
        ),
        hex_references(),
        MSPS,
        st.binary(min_size=32, max_size=32),
    ),
    st.builds(
        lambda genesis, name: AccountId(ChainId("fabric", genesis), percent_encode(name)),
        hex_references(),
        st.from_regex(r"[a-z]{1,8}([-_][A-Z0-9]{1,8}){0,3}", fullmatch=True),
    ),
)


@pytest.mark.parametrize(
    ("account", "expected"),
    [
        # ERC-7930, example 1.
        (f"eip155:1:{EVM}", "00010000010114d8da6bf26964af9d7eed9e03e53415d37aa96045"),
        # The chain reference of the example of the profile of CAIP-350 for eip155.
        (f"eip155:11155111:{EVM}", "0001000003aa36a714d8da6bf26964af9d7eed9e03e53415d37aa96045"),
        (f"isthmus:{GENESIS}:{HASH}", f"00018d5410{GENESIS}20{HASH}"),
        (f"fabric:{GENESIS}:Org1MSP.{HASH}", f"0001c79710{GENESIS}2801{HASH}4f7267314d5350"),
        # Unicode, percent-encoded in the text: one é is two bytes.
        (f"fabric:{GENESIS}:caf%C3%A9.{HASH}", f"0001c79710{GENESIS}2601{HASH}636166c3a9"),
        (f"fabric:{GENESIS}:price%5Ffeed", f"0001c79710{GENESIS}0b0270726963655f66656564"),
    ],
)
def test_encodings_are_those_of_the_page(account: str, expected: str) -> None:
    parsed = AccountId.parse(account)
    assert encode(parsed).hex() == expected
    assert decode(bytes.fromhex(expected)) == parsed


@given(ACCOUNTS)
def test_every_account_comes_back(account: AccountId) -> None:
    assert AccountId.parse(str(account)) == account
    assert decode(encode(account)) == account


@given(ACCOUNTS, st.data())
def test_a_byte_changed_is_another_account_or_none(account: AccountId, data: st.DataObject) -> None:
    encoded = encode(account)
    at = data.draw(st.integers(0, len(encoded) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != encoded[at]))
    changed = encoded[:at] + bytes([other]) + encoded[at + 1 :]
    try:
        found = decode(changed)
    except InvalidValue:
        return
    assert found != account
    assert encode(found) == changed


@given(st.binary(max_size=80))
def test_whatever_is_read_is_written_the_same(data: bytes) -> None:
    for head in (b"", b"\x00\x01", *(b"\x00\x01" + key for key in CHAIN_TYPES.values())):
        try:
            found = decode(head + data)
        except InvalidValue:
            continue
        assert encode(found) == head + data


def test_our_chain_types_are_drawn_as_the_page_says() -> None:
    for namespace in ("isthmus", "fabric"):
        first, second = keccak256(namespace.encode())[:2]
        assert CHAIN_TYPES[namespace] == bytes([first | 0x80, second])
    assert CHAIN_TYPES["eip155"] == bytes(2)


@pytest.mark.parametrize("chain", ["eip155:1", f"isthmus:{GENESIS}", f"fabric:{GENESIS}"])
def test_a_chain_alone_comes_back_and_is_no_account(chain: str) -> None:
    parsed = ChainId.parse(chain)
    encoded = interoperable_address.encode_chain(parsed)
    assert decode_chain(encoded) == parsed
    with pytest.raises(InvalidValue, match=rf"receiver names the chain {chain} and no account"):
        decode(encoded, "receiver")


def test_an_account_is_no_chain() -> None:
    with pytest.raises(InvalidValue, match="link names an account, not the chain eip155:1 alone"):
        decode_chain(encode(AccountId.parse(f"eip155:1:{EVM}")), "link")


@pytest.mark.parametrize(
    ("account", "reason"),
    [
        (f"eip155:1:{EVM.lower()}", f"write {EVM}"),
        (f"eip155:1:0x{EVM[2:].upper()}", f"write {EVM}"),
        (f"eip155:1:0X{EVM[2:]}", "0x and 40 hex"),
        (f"eip155:1:{EVM[:-1]}", "0x and 40 hex"),
        (f"eip155:1:{EVM}00", "0x and 40 hex"),
        (f"eip155:0:{EVM}", "decimal number from 1"),
        (f"eip155:01:{EVM}", "without leading zeros"),
        (f"eip155:0x1:{EVM}", "decimal number"),
        (f"eip155:mainnet:{EVM}", "decimal number"),
        (f"isthmus:{GENESIS}:{HASH.upper()}", "64 lower-case"),
        (f"isthmus:{GENESIS}:{HASH[2:]}", "64 lower-case"),
        (f"isthmus:{GENESIS.upper()}:{HASH}", "32 lower-case"),
        (f"isthmus:{GENESIS[2:]}:{HASH}", "32 lower-case"),
        (f"fabric:{GENESIS[2:]}:Org1MSP.{HASH}", "32 lower-case"),
        (f"fabric:{GENESIS}:Org1MSP.{HASH.upper()}", "neither an identity"),
        (f"fabric:{GENESIS}:Org1MSP.{HASH[2:]}", "neither an identity"),
        (f"fabric:{GENESIS}:.{HASH}", "neither an identity"),
        (f"fabric:{GENESIS}:Org%5f1.{HASH}", "percent-encode"),
        (f"fabric:{GENESIS}:Org%41.{HASH}", "percent-encode"),
        (f"fabric:{GENESIS}:Org%FF.{HASH}", "percent-encoded UTF-8"),
        (f"fabric:{GENESIS}:price-", "neither an identity"),
        (f"fabric:{GENESIS}:price%2Dfeed", "percent-encode"),
        (f"fabric:{GENESIS}:caf%C3%A9", "neither an identity"),
        (f"solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:{HASH}", "chains of solana have no"),
    ],
)
def test_an_account_in_another_spelling_is_refused(account: str, reason: str) -> None:
    with pytest.raises(InvalidValue, match=reason) as refused:
        encode(AccountId.parse(account), "receiver")
    assert refused.value.field == "receiver"


def test_a_fabric_address_that_caip_10_cannot_write_is_refused() -> None:
    longest = AccountId(ChainId("fabric", GENESIS), "O" * 63 + "." + HASH)
    assert decode(encode(longest)) == longest
    with pytest.raises(InvalidValue, match="has 129 characters"):
        encode(AccountId(longest.chain, "O" + longest.address))
    encoded = encode(longest)
    longer = encoded[:21] + bytes([encoded[21] + 1]) + encoded[22:] + b"O"
    with pytest.raises(InvalidValue, match="has 129 characters"):
        decode(longer)


@pytest.mark.parametrize(
    ("encoded", "reason"),
    [
        ("", "version 1"),
        ("00", "version 1"),
        (f"0000000001011{'4' + EVM[2:]}", "version 1"),
        (f"000200000101{'14' + EVM[2:]}", "version 1"),
        (f"800100000101{'14' + EVM[2:]}", "version 1"),
        ("0001", "shorter than its lengths"),
        ("00010000", "shorter than its lengths"),
        ("000100000101", "shorter than its lengths"),
        (f"00010000010114{EVM[2:-2]}", "shorter than its lengths"),
        (f"00010000010114{EVM[2:]}00", "1 bytes after its end"),
        (f"00010002010114{EVM[2:]}", "unknown chain type 0x0002"),
        (f"0001ffff010114{EVM[2:]}", "unknown chain type 0xffff"),
        (f"000100000014{EVM[2:]}", "names no chain"),
        ("000100000000", "names no chain"),
        ("00010000010100", "names the chain eip155:1 and no account"),
        (f"0001000002000114{EVM[2:]}", "begins with a zero byte"),
        (f"00010000010014{EVM[2:]}", "begins with a zero byte"),
        (f"000100000e04ee2d6d415b85acef810000000014{EVM[2:]}", "more than the 32 digits"),
        (f"00010000010115{EVM[2:]}00", "20 bytes; it has 21"),
        (f"00010000010120{'00' * 12}{EVM[2:]}", "20 bytes; it has 32"),
        (f"00018d540f{GENESIS[2:]}20{HASH}", "16 bytes; it has 15"),
        (f"00018d5420{GENESIS}{GENESIS}20{HASH}", "16 bytes; it has 32"),
        (f"00018d5410{GENESIS}1f{HASH[2:]}", "32 bytes; it has 31"),
        (f"0001c79710{GENESIS}21{'01' + HASH}", "0x01, 32 bytes and an MSP id"),
        (f"0001c79710{GENESIS}22{'01' + HASH + 'ff'}", "MSP id is not UTF-8"),
        (f"0001c79710{GENESIS}22{'00' + HASH + '41'}", "0x01, 32 bytes and an MSP id"),
        (f"0001c79710{GENESIS}0102", "neither an identity"),
        (f"0001c79710{GENESIS}03022d61", "neither an identity"),
        (f"0001c79710{GENESIS}0302c3a9", "or 0x02 and the name"),
        (f"0001c79710{GENESIS}03022e61", "neither an identity"),
    ],
)
def test_another_encoding_is_refused(encoded: str, reason: str) -> None:
    with pytest.raises(InvalidValue, match=reason) as refused:
        decode(bytes.fromhex(encoded), "receiver")
    assert str(refused.value).startswith("receiver")
    assert refused.value.field == "receiver"


def test_a_chaincodes_name_cannot_be_an_identitys_address() -> None:
    """0x02 ‖ "Org1MSP.<hash>" would be a second encoding of the identity."""
    name = f"Org1MSP.{HASH}".encode()
    forged = bytes.fromhex(f"0001c79710{GENESIS}") + bytes([len(name) + 1]) + b"\x02" + name
    with pytest.raises(InvalidValue, match="not the one encoding"):
        decode(forged)
