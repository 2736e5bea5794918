"""How this chain writes accounts, assets and lock ids.

Accounts are ``eip155:<chain id>:0x…``, tokens ``eip155:<chain id>/erc20:0x…``, the coin
``eip155:<chain id>/slip44:60``. Addresses have one spelling here, with their EIP-55 checksum:
whatever is agreed, kept or compared is in it, and other spellings are refused. What people type may
be all lower case or all upper case, and a checksum that is there must be right; ``read_account``
and ``read_asset`` bring that to the one spelling, at the edge.

The words of a lock id: the chain id as a number; contract, sender, recipient and token as
addresses, left-padded with zeros; zero for the coin.
"""

from __future__ import annotations

import re

# Adapters write Ethereum addresses by what this module says.
from adapters.codec.checksum_address import checksummed as checksummed
from adapters.codec.lock_id import IdentityWords
from adapters.codec.lock_id import lock_id as compute
from adapters.model import (
    AccountId,
    AssetId,
    ChainId,
    InvalidValue,
    LockId,
    LockTerms,
    check_amount,
)

NAMESPACE = "eip155"
COIN_NAMESPACE, COIN_REFERENCE = "slip44", "60"
TOKEN_NAMESPACE = "erc20"  # noqa: S105 - not a password
NO_ADDRESS = bytes(20)
MAX_DEADLINE = 2**40 - 1
"""The contract keeps deadlines in 40 bits."""

_ADDRESS = re.compile(r"0[xX]([0-9a-fA-F]{40})")


def parse_address(text: str, field: str) -> bytes:
    """20 bytes, as people write them: see the module. Raises InvalidValue."""
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise InvalidValue(f"{field} {text[:60]!r} is not an address: 0x and 40 hex digits")
    address = bytes.fromhex(match[1])
    mixed = match[1] not in (match[1].lower(), match[1].upper())
    if mixed and checksummed(address)[2:] != match[1]:
        raise InvalidValue(
            f"{field} {text} has a wrong checksum (EIP-55): a letter was mistyped, or its case"
        )
    return address


def canonical_address(text: str, field: str) -> bytes:
    """20 bytes, of an address in its one spelling. Raises InvalidValue."""
    address = parse_address(text, field)
    written = checksummed(address)
    if text != written:
        raise InvalidValue(f"{field} {text} is not written with its checksum: write {written}")
    return address


def chain_number(chain: ChainId) -> int:
    """The chain id in a CAIP-2 id of Ethereum's kind. Raises InvalidValue."""
    reference = chain.reference
    if (
        chain.namespace != NAMESPACE
        or not reference.isdecimal()
        or reference != str(int(reference))
    ):
        raise InvalidValue(f"chain {chain} is not an Ethereum chain; write eip155:1, for example")
    return int(reference)


class Identities:
    """Identifiers of one chain, read and written."""

    def __init__(self, chain: ChainId, contract: bytes) -> None:
        self.chain = chain
        self.number = chain_number(chain)
        self.contract = contract
        self.coin = AssetId(chain, COIN_NAMESPACE, COIN_REFERENCE)

    def _own(self, chain: ChainId, field: str) -> None:
        if chain != self.chain:
            raise InvalidValue(f"{field} is on {chain}, not on {self.chain}")

    def address_of(self, account: AccountId, field: str = "account") -> bytes:
        """Raises InvalidValue, also where it is spelled otherwise than ``account`` does."""
        self._own(account.chain, field)
        return canonical_address(account.address, field)

    def read_account(self, account: AccountId, field: str = "account") -> AccountId:
        """What somebody typed, in its one spelling. Raises InvalidValue."""
        self._own(account.chain, field)
        return self.account(parse_address(account.address, field))

    def account(self, address: bytes) -> AccountId:
        return AccountId(self.chain, checksummed(address))

    def token_of(self, asset: AssetId, field: str = "asset") -> bytes:
        """The token's address; the zero address for the coin. Raises InvalidValue, also where it is
        spelled otherwise than ``asset`` does."""
        token = self._token(asset, field)
        if token != NO_ADDRESS:
            canonical_address(asset.reference, field)
        return token

    def read_asset(self, asset: AssetId, field: str = "asset") -> AssetId:
        """What somebody typed, in its one spelling. Raises InvalidValue."""
        return self.asset(self._token(asset, field))

    def _token(self, asset: AssetId, field: str) -> bytes:
        self._own(asset.chain, field)
        match asset.namespace:
            case "slip44" if asset.reference == COIN_REFERENCE:
                return NO_ADDRESS
            case "erc20":
                token = parse_address(asset.reference, field)
                if token == NO_ADDRESS:
                    raise InvalidValue(f"{field} {asset}: there is no token at the zero address")
                return token
            case _:
                raise InvalidValue(
                    f"{field} {asset} is neither the coin ({self.coin}) nor a token "
                    f"({self.chain}/{TOKEN_NAMESPACE}:0x…)"
                )

    def asset(self, token: bytes) -> AssetId:
        if token == NO_ADDRESS:
            return self.coin
        return AssetId(self.chain, TOKEN_NAMESPACE, checksummed(token))

    def lock_id(self, terms: LockTerms) -> LockId:
        """Raises InvalidValue where the terms are not of this chain and this contract, or a term is
        not in its one spelling: two terms that differ in spelling alone have no id in common."""
        self._own(terms.chain, "chain")
        if canonical_address(terms.contract, "contract") != self.contract:
            raise InvalidValue(
                f"contract {terms.contract} is not this chain's, {checksummed(self.contract)}"
            )
        check_amount(terms.amount)
        if not 0 < terms.deadline <= MAX_DEADLINE:
            raise InvalidValue(
                f"deadline {terms.deadline} is not a Unix time from 1 to {MAX_DEADLINE}"
            )
        words = IdentityWords(
            chain=self.number.to_bytes(32, "big"),
            contract=self.contract.rjust(32, b"\0"),
            sender=self.address_of(terms.sender, "sender").rjust(32, b"\0"),
            recipient=self.address_of(terms.recipient, "recipient").rjust(32, b"\0"),
            asset=self.token_of(terms.asset).rjust(32, b"\0"),
        )
        return compute(words, terms.amount, terms.hashlock, terms.deadline)
