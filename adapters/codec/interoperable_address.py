"""Interoperable addresses: a chain and an account on it in bytes, in one spelling (ERC-7930).

    version (2) = 0x0001 ‖ chain type (2) ‖ length (1) ‖ chain reference ‖ length (1) ‖ address

    chain type      chain reference                  address
    0x0000 eip155   chain id, no leading zero byte   20 bytes
    0x8d54 isthmus  16 bytes, from 32 hex digits     account id, 32 bytes
    0xc797 fabric   16 bytes, from 32 hex digits     0x01 ‖ hash of the address (32) ‖ MSP id
                                                     0x02 ‖ chaincode name

Numbers are big-endian; MSP ids are UTF-8, chaincode names ASCII. As text, a chaincode as an account
is its name, percent-encoded (``adapters/codec/percent_encoding.py``): a name has no dot, and so is
never an identity's address (``adapters/fabric/account.py``).

0x8d54 and 0xc797 are ours, in nobody's registry: the first two bytes of the keccak256 of the
namespace, with the highest bit set (docs/reference/interoperable-addresses.md says why).

An address without its chain reference, which ERC-7930 knows, is of no use between chains and is
refused; so is every encoding but the one that is written here, since message ids are hashes of it.

Sources: ERC-7930; CAIP-350 and its profile for eip155.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from adapters.codec.checksum_address import checksummed
from adapters.codec.percent_encoding import percent_decode, percent_encode
from adapters.model import AccountId, ChainId, InvalidValue

VERSION: Final = b"\x00\x01"

MAX_EIP155_CHAIN: Final = 10**32 - 1
"""The largest chain id that CAIP-2 can write: 32 digits."""

IDENTITY: Final = b"\x01"
CHAINCODE: Final = b"\x02"

_DECIMAL = re.compile(r"[1-9][0-9]{0,31}")
_EVM_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_HASH_REFERENCE = re.compile(r"[0-9a-f]{32}")
_NATIVE_ACCOUNT = re.compile(r"[0-9a-f]{64}")
_FABRIC_IDENTITY = re.compile(r"(.{1,63})\.([0-9a-f]{64})")
_CHAINCODE_NAME = re.compile(r"[a-zA-Z0-9]+([-_][a-zA-Z0-9]+)*")
_LONGEST_TEXT = 128
"""Characters of an address in a CAIP-10 id."""


# --- eip155 --------------------------------------------------------------------------------------


def _eip155_reference(text: str, field: str) -> bytes:
    if _DECIMAL.fullmatch(text) is None:
        raise InvalidValue(
            f"{field}: the reference of an eip155 chain is its chain id, a decimal number from 1 "
            "without leading zeros",
            field,
        )
    number = int(text)
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _eip155_reference_text(data: bytes, field: str) -> str:
    number = int.from_bytes(data, "big")
    if data[0] == 0:
        raise InvalidValue(f"{field}: the chain id begins with a zero byte", field)
    if number > MAX_EIP155_CHAIN:
        raise InvalidValue(f"{field}: the chain id has more than the 32 digits of CAIP-2", field)
    return str(number)


def _evm_address(text: str, field: str) -> bytes:
    if _EVM_ADDRESS.fullmatch(text) is None:
        raise InvalidValue(f"{field} is not an address of 0x and 40 hex digits", field)
    address = bytes.fromhex(text[2:])
    if text != checksummed(address):
        raise InvalidValue(
            f"{field} is not written with its checksum (EIP-55): write {checksummed(address)}",
            field,
        )
    return address


def _evm_address_text(data: bytes, field: str) -> str:
    if len(data) != 20:
        raise InvalidValue(f"{field}: an address is 20 bytes; it has {len(data)}", field)
    return checksummed(data)


# --- isthmus and fabric --------------------------------------------------------------------------


def _hash_reference(text: str, field: str) -> bytes:
    if _HASH_REFERENCE.fullmatch(text) is None:
        raise InvalidValue(
            f"{field}: the chain's reference is not the 32 lower-case hex digits of a genesis",
            field,
        )
    return bytes.fromhex(text)


def _hash_reference_text(data: bytes, field: str) -> str:
    if len(data) != 16:
        raise InvalidValue(f"{field}: a chain reference is 16 bytes; it has {len(data)}", field)
    return data.hex()


def _native_account(text: str, field: str) -> bytes:
    if _NATIVE_ACCOUNT.fullmatch(text) is None:
        raise InvalidValue(f"{field} is not an account of 64 lower-case hex digits", field)
    return bytes.fromhex(text)


def _native_account_text(data: bytes, field: str) -> str:
    if len(data) != 32:
        raise InvalidValue(f"{field}: an account id is 32 bytes; it has {len(data)}", field)
    return data.hex()


def _fabric_account(text: str, field: str) -> bytes:
    if len(text) > _LONGEST_TEXT:
        raise InvalidValue(
            f"{field} has {len(text)} characters; a CAIP-10 address has at most {_LONGEST_TEXT}",
            field,
        )
    identity = _FABRIC_IDENTITY.fullmatch(text)
    if identity is not None:
        msp = percent_decode(identity[1], field)
        return IDENTITY + bytes.fromhex(identity[2]) + msp.encode()
    name = percent_decode(text, field)
    if _CHAINCODE_NAME.fullmatch(name) is None:
        raise InvalidValue(
            f"{field} is neither an identity (the percent-encoded MSP id, a dot and 64 lower-case "
            "hex digits) nor the percent-encoded name of a chaincode",
            field,
        )
    return CHAINCODE + name.encode()


def _fabric_account_text(data: bytes, field: str) -> str:
    kind, rest = data[:1], data[1:]
    if kind == IDENTITY and len(rest) > 32:
        try:
            return f"{percent_encode(rest[32:].decode())}.{rest[:32].hex()}"
        except UnicodeDecodeError:
            raise InvalidValue(f"{field}: the MSP id is not UTF-8", field) from None
    if kind == CHAINCODE and rest.isascii():
        return percent_encode(rest.decode())
    raise InvalidValue(
        f"{field}: a Fabric address is 0x01, 32 bytes and an MSP id, or 0x02 and the name of a "
        "chaincode",
        field,
    )


# --- all of them ---------------------------------------------------------------------------------

_Encode = Callable[[str, str], bytes]
"""From text and the field's name to bytes. Raises InvalidValue."""
_Decode = Callable[[bytes, str], str]
"""From bytes (at least one) and the field's name to text. Raises InvalidValue."""


@dataclass(frozen=True, slots=True)
class _Profile:
    """How one namespace of CAIP-2 is written, in the sense of CAIP-350."""

    key: bytes
    namespace: str
    reference: _Encode
    reference_text: _Decode
    address: _Encode
    address_text: _Decode


_PROFILES: Final = (
    _Profile(
        b"\x00\x00",
        "eip155",
        _eip155_reference,
        _eip155_reference_text,
        _evm_address,
        _evm_address_text,
    ),
    _Profile(
        b"\x8d\x54",
        "isthmus",
        _hash_reference,
        _hash_reference_text,
        _native_account,
        _native_account_text,
    ),
    _Profile(
        b"\xc7\x97",
        "fabric",
        _hash_reference,
        _hash_reference_text,
        _fabric_account,
        _fabric_account_text,
    ),
)
_BY_NAMESPACE: Final = {profile.namespace: profile for profile in _PROFILES}
_BY_KEY: Final = {profile.key: profile for profile in _PROFILES}

CHAIN_TYPES: Final = {profile.namespace: profile.key for profile in _PROFILES}
"""The two bytes of each namespace."""


@lru_cache(maxsize=4096)
def encode(account: AccountId, field: str = "account") -> bytes:
    """The bytes of an account. Raises InvalidValue for an account of a namespace without a chain
    type, and for one that is not in its one spelling."""
    profile = _profile(account.chain, field)
    return _head(account.chain, profile, field) + _sized(
        profile.address(account.address, field), field
    )


@lru_cache(maxsize=4096)
def decode(data: bytes, field: str = "address") -> AccountId:
    """The account of these bytes. Raises InvalidValue for all but what ``encode`` gives."""
    profile, chain, address = _parts(data, field)
    if not address:
        raise InvalidValue(f"{field} names the chain {chain} and no account on it", field)
    account = AccountId(chain, profile.address_text(address, field))
    # What decodes to an account that has another encoding, or none, is no spelling of it.
    if encode(account, field) != data:
        raise InvalidValue(f"{field} is not the one encoding of {account}", field)
    return account


def encode_chain(chain: ChainId, field: str = "chain") -> bytes:
    """The bytes of a chain alone: an interoperable address with an empty address. Raises
    InvalidValue."""
    return _head(chain, _profile(chain, field), field) + b"\x00"


def decode_chain(data: bytes, field: str = "chain") -> ChainId:
    """The chain of these bytes. Raises InvalidValue for all but what ``encode_chain`` gives."""
    _, chain, address = _parts(data, field)
    if address:
        raise InvalidValue(f"{field} names an account, not the chain {chain} alone", field)
    return chain


def _profile(chain: ChainId, field: str) -> _Profile:
    profile = _BY_NAMESPACE.get(chain.namespace)
    if profile is None:
        raise InvalidValue(
            f"{field}: chains of {chain.namespace} have no interoperable addresses here; known are "
            f"{', '.join(_BY_NAMESPACE)}",
            field,
        )
    return profile


def _head(chain: ChainId, profile: _Profile, field: str) -> bytes:
    return VERSION + profile.key + _sized(profile.reference(chain.reference, field), field)


def _sized(part: bytes, field: str) -> bytes:
    if len(part) > 255:
        raise InvalidValue(f"{field} has a part of {len(part)} bytes; 255 is the most", field)
    return bytes([len(part)]) + part


def _parts(data: bytes, field: str) -> tuple[_Profile, ChainId, bytes]:
    if data[:2] != VERSION:
        raise InvalidValue(f"{field} is not an interoperable address of version 1", field)
    reference, rest = _split(data[4:], field)
    address, rest = _split(rest, field)
    if rest:
        raise InvalidValue(f"{field} has {len(rest)} bytes after its end", field)
    profile = _BY_KEY.get(data[2:4])
    if profile is None:
        known = ", ".join(f"0x{key.hex()} {one.namespace}" for key, one in _BY_KEY.items())
        raise InvalidValue(
            f"{field} has the unknown chain type 0x{data[2:4].hex()}; known are {known}", field
        )
    if not reference:
        raise InvalidValue(f"{field} names no chain", field)
    return profile, ChainId(profile.namespace, profile.reference_text(reference, field)), address


def _split(data: bytes, field: str) -> tuple[bytes, bytes]:
    """What a byte of length stands before, and what follows it."""
    if not data or len(data) < 1 + data[0]:
        raise InvalidValue(f"{field} is shorter than its lengths say", field)
    return data[1 : 1 + data[0]], data[1 + data[0] :]
