"""What the state holds: its keys, and the records under them in their canonical encoding.

chain/genesis            genesis hash, 32 bytes
chain/head               height (8) ‖ time, seconds (8) ‖ nanoseconds (4) of the newest block
chain/clock-bound        ε in seconds (4)
account/<id>             Account
asset/<symbol>           AssetRecord
balance/<symbol>/<id>    amount (32); absent where zero
lock/<lock id>           LockEntry; a settled one stays for ever, as the tombstone of its id
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum

from adapters.native.app.canonical import Malformed, Reader, fixed, short_text, unsigned
from adapters.native.app.names import check_symbol
from adapters.native.app.timestamp import Timestamp

GENESIS_KEY = b"chain/genesis"
HEAD_KEY = b"chain/head"
CLOCK_BOUND_KEY = b"chain/clock-bound"

SEQUENCE_WINDOW = 256
"""How far ahead of an account's first unused sequence number a transaction may be."""


def account_key(account: bytes) -> bytes:
    return b"account/" + account


def asset_key(symbol: str) -> bytes:
    return b"asset/" + symbol.encode("ascii")


def balance_key(symbol: str, account: bytes) -> bytes:
    return b"balance/" + symbol.encode("ascii") + b"/" + account


def lock_key(lock_id: bytes) -> bytes:
    return b"lock/" + lock_id


@dataclass(frozen=True, slots=True)
class HeadRecord:
    height: int
    time: Timestamp

    def encode(self) -> bytes:
        return (
            unsigned(self.height, 8, "height")
            + unsigned(self.time.seconds, 8, "time")
            + unsigned(self.time.nanos, 4, "nanoseconds")
        )

    @classmethod
    def decode(cls, raw: bytes) -> HeadRecord:
        reader = Reader(raw)
        height = reader.unsigned(8, "height")
        time = Timestamp(reader.unsigned(8, "time"), reader.unsigned(4, "nanoseconds"))
        reader.end()
        return cls(height, time)


@dataclass(frozen=True, slots=True)
class Account:
    """A key and the sequence numbers that were used.

    Every number below ``sequence`` is used; bit i of ``ahead`` says whether ``sequence + i`` is.
    A transaction may use any unused number of the window, so one that is dropped does not hold up
    those that were sent after it, and no number is ever good twice.
    """

    public_key: bytes
    sequence: int = 0
    ahead: int = 0

    def can_use(self, sequence: int) -> bool:
        offset = sequence - self.sequence
        return 0 <= offset < SEQUENCE_WINDOW and not self.ahead >> offset & 1

    def has_used(self, sequence: int) -> bool:
        offset = sequence - self.sequence
        return offset < 0 or bool(self.ahead >> offset & 1)

    def use(self, sequence: int) -> Account:
        """The account after this number was used. The caller has asked ``can_use``."""
        first, ahead = self.sequence, self.ahead | 1 << (sequence - self.sequence)
        while ahead & 1:
            first, ahead = first + 1, ahead >> 1
        return replace(self, sequence=first, ahead=ahead)

    def encode(self) -> bytes:
        return (
            fixed(self.public_key, 33, "public key")
            + unsigned(self.sequence, 8, "sequence")
            + unsigned(self.ahead, SEQUENCE_WINDOW // 8, "ahead")
        )

    @classmethod
    def decode(cls, raw: bytes) -> Account:
        reader = Reader(raw)
        account = cls(
            public_key=reader.fixed(33, "public key"),
            sequence=reader.unsigned(8, "sequence"),
            ahead=reader.unsigned(SEQUENCE_WINDOW // 8, "ahead"),
        )
        reader.end()
        return account


@dataclass(frozen=True, slots=True)
class AssetRecord:
    """An asset. ``supply`` is all that was ever issued, in smallest units."""

    issuer: bytes
    decimals: int
    supply: int = 0

    def encode(self) -> bytes:
        return (
            fixed(self.issuer, 32, "issuer")
            + unsigned(self.decimals, 1, "decimals")
            + unsigned(self.supply, 32, "supply")
        )

    @classmethod
    def decode(cls, raw: bytes) -> AssetRecord:
        reader = Reader(raw)
        asset = cls(
            issuer=reader.fixed(32, "issuer"),
            decimals=reader.unsigned(1, "decimals"),
            supply=reader.unsigned(32, "supply"),
        )
        reader.end()
        return asset


def encode_balance(amount: int) -> bytes | None:
    """None, that is no record, for zero."""
    return unsigned(amount, 32, "balance") if amount else None


def decode_balance(raw: bytes | None) -> int:
    if raw is None:
        return 0
    reader = Reader(raw)
    amount = reader.unsigned(32, "balance")
    reader.end()
    return amount


class Settlement(IntEnum):
    OPEN = 1
    CLAIMED = 2
    REFUNDED = 3


@dataclass(frozen=True, slots=True)
class LockEntry:
    """A lock, open or settled. ``preimage`` is 32 bytes once claimed, empty before."""

    settlement: Settlement
    sender: bytes
    recipient: bytes
    symbol: str
    amount: int
    hashlock: bytes
    deadline: int
    preimage: bytes = field(default=b"", repr=False)

    def encode(self) -> bytes:
        return (
            unsigned(self.settlement, 1, "settlement")
            + fixed(self.sender, 32, "sender")
            + fixed(self.recipient, 32, "recipient")
            + short_text(self.symbol, "asset")
            + unsigned(self.amount, 32, "amount")
            + fixed(self.hashlock, 32, "hashlock")
            + unsigned(self.deadline, 8, "deadline")
            + fixed(self.preimage, 32 if self.settlement is Settlement.CLAIMED else 0, "preimage")
        )

    @classmethod
    def decode(cls, raw: bytes) -> LockEntry:
        reader = Reader(raw)
        try:
            settlement = Settlement(reader.unsigned(1, "settlement"))
        except ValueError as error:
            raise Malformed("settlement of a lock is none that is known") from error
        entry = cls(
            settlement=settlement,
            sender=reader.fixed(32, "sender"),
            recipient=reader.fixed(32, "recipient"),
            symbol=check_symbol(reader.short_text("asset")),
            amount=reader.unsigned(32, "amount"),
            hashlock=reader.fixed(32, "hashlock"),
            deadline=reader.unsigned(8, "deadline"),
            preimage=reader.fixed(32 if settlement is Settlement.CLAIMED else 0, "preimage"),
        )
        reader.end()
        return entry
