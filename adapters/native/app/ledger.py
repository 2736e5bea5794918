"""The ledger's typed face over a map of keys and values: what transactions read and write.

``Overlay`` gathers the writes of a block, or of one transaction, over something older; dropping
it undoes them. Nothing here depends on the order in which keys were written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from adapters.native.app.codes import Code, Refused
from adapters.native.app.records import (
    GENESIS_KEY,
    HEAD_KEY,
    Account,
    AssetRecord,
    HeadRecord,
    LockEntry,
    account_key,
    asset_key,
    balance_key,
    decode_balance,
    encode_balance,
    lock_key,
)


class Readable(Protocol):
    def get(self, key: bytes) -> bytes | None: ...


class Overlay:
    """Writes that are not in the state below yet."""

    __slots__ = ("_below", "_written")

    def __init__(self, below: Readable) -> None:
        self._below = below
        self._written: dict[bytes, bytes | None] = {}

    def get(self, key: bytes) -> bytes | None:
        if key in self._written:
            return self._written[key]
        return self._below.get(key)

    def put(self, key: bytes, value: bytes | None) -> None:
        self._written[key] = value

    def changes(self) -> Mapping[bytes, bytes | None]:
        return self._written

    def absorb(self, other: Overlay) -> None:
        """Takes over what an overlay above this one has written."""
        self._written.update(other._written)


class Ledger:
    """Accounts, assets, balances and locks. Every refusal leaves the overlay to be dropped."""

    __slots__ = ("overlay",)

    def __init__(self, overlay: Overlay) -> None:
        self.overlay = overlay

    def genesis_hash(self) -> bytes:
        raw = self.overlay.get(GENESIS_KEY)
        if raw is None:
            raise RuntimeError("the state has no genesis: init_chain has not been called")
        return raw

    def head(self) -> HeadRecord:
        raw = self.overlay.get(HEAD_KEY)
        if raw is None:
            raise RuntimeError("the state has no head: init_chain has not been called")
        return HeadRecord.decode(raw)

    def put_head(self, head: HeadRecord) -> None:
        self.overlay.put(HEAD_KEY, head.encode())

    def account(self, account: bytes) -> Account | None:
        raw = self.overlay.get(account_key(account))
        return None if raw is None else Account.decode(raw)

    def put_account(self, account: bytes, record: Account) -> None:
        self.overlay.put(account_key(account), record.encode())

    def asset(self, symbol: str) -> AssetRecord | None:
        raw = self.overlay.get(asset_key(symbol))
        return None if raw is None else AssetRecord.decode(raw)

    def put_asset(self, symbol: str, record: AssetRecord) -> None:
        self.overlay.put(asset_key(symbol), record.encode())

    def balance(self, symbol: str, account: bytes) -> int:
        return decode_balance(self.overlay.get(balance_key(symbol, account)))

    def credit(self, symbol: str, account: bytes, amount: int) -> None:
        """No balance can overflow: it is bounded by the supply, which ``Issue`` bounds."""
        key = balance_key(symbol, account)
        self.overlay.put(key, encode_balance(self.balance(symbol, account) + amount))

    def debit(self, symbol: str, account: bytes, amount: int) -> None:
        held = self.balance(symbol, account)
        if held < amount:
            raise Refused(
                Code.INSUFFICIENT_BALANCE,
                f"the account holds {held} of {symbol}, which is less than {amount}",
            )
        self.overlay.put(balance_key(symbol, account), encode_balance(held - amount))

    def lock(self, lock_id: bytes) -> LockEntry | None:
        raw = self.overlay.get(lock_key(lock_id))
        return None if raw is None else LockEntry.decode(raw)

    def put_lock(self, lock_id: bytes, entry: LockEntry) -> None:
        self.overlay.put(lock_key(lock_id), entry.encode())
