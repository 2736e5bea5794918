"""The lock contract of a simulated chain: what it refuses, and what it writes where it does not.

Pure: the state is read through a function and written into a dictionary, so that the same rules
judge a submission at any block that a node may show and a transaction inside the block being made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import assert_never

from adapters.model import (
    AccountId,
    Action,
    Asset,
    AssetId,
    ChainId,
    Claim,
    Collect,
    InvalidValue,
    Lock,
    LockClaimed,
    LockEvent,
    LockId,
    LockOpened,
    LockRefunded,
    LockState,
    LockTerms,
    Preimage,
    Refund,
    Withdraw,
    check_amount,
    check_hashlock,
)
from adapters.simulated.identity import lock_id_of
from adapters.spi import RejectionReason


@dataclass(frozen=True, slots=True)
class LockEntry:
    """What the state holds under a lock id; once settled it is the tombstone."""

    terms: LockTerms
    state: LockState
    preimage: Preimage | None = None


Key = tuple[str, LockId] | tuple[str, AccountId, AssetId]
Value = int | LockEntry
Read = Callable[[Key], Value | None]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an action cannot be done on a state, for people and by reason."""

    reason: RejectionReason
    sentence: str


def balance_key(account: AccountId, asset: AssetId) -> Key:
    return ("balance", account, asset)


def credit_key(account: AccountId, asset: AssetId) -> Key:
    return ("credit", account, asset)


def lock_key(lock_id: LockId) -> Key:
    return ("lock", lock_id)


@dataclass(frozen=True, slots=True)
class LockContract:
    """The contract of one chain. ``fee`` is in smallest units of the coin, per transaction."""

    chain: ChainId
    name: str
    coin: Asset
    assets: Mapping[AssetId, Asset]
    fee: int
    refusing: set[AccountId] = field(default_factory=set)
    """Accounts that refuse a push of coin; the chain's owner changes it."""

    def refusal(
        self, action: Action, account: AccountId, read: Read, time: int | None
    ) -> Refusal | None:
        """Why the action cannot be done on this state at this time; None where it can.

        ``time`` None leaves times out: they were checked when the transaction was endorsed.
        """
        fee = self.fee
        coins = number(read(balance_key(account, self.coin.id))) if fee else 0
        if coins < fee:
            return Refusal(
                RejectionReason.INSUFFICIENT_FEE, f"the fee is {fee}, the account has {coins}"
            )
        match action:
            case Lock(terms):
                return self._lock_refusal(terms, account, read, time)
            case Claim(lock_id, preimage):
                entry = read(lock_key(lock_id))
                refusal = _settling_refusal(entry)
                if refusal is not None:
                    return refusal
                assert isinstance(entry, LockEntry)
                if preimage.hashlock() != entry.terms.hashlock:
                    return Refusal(
                        RejectionReason.WRONG_PREIMAGE, "the preimage does not open the hashlock"
                    )
                if time is not None and time >= entry.terms.deadline:
                    return Refusal(
                        RejectionReason.DEADLINE_PASSED,
                        f"the deadline {entry.terms.deadline} has passed; it is {time}",
                    )
            case Refund(lock_id):
                entry = read(lock_key(lock_id))
                refusal = _settling_refusal(entry)
                if refusal is not None:
                    return refusal
                assert isinstance(entry, LockEntry)
                if time is not None and time < entry.terms.deadline:
                    return Refusal(
                        RejectionReason.DEADLINE_NOT_REACHED,
                        f"the deadline {entry.terms.deadline} is not reached; it is {time}",
                    )
            case Withdraw(asset):
                if number(read(credit_key(account, asset))) == 0:
                    return Refusal(
                        RejectionReason.INSUFFICIENT_BALANCE, "there is no credit to withdraw"
                    )
                if account in self.refusing:
                    return Refusal(RejectionReason.OTHER, "the account still refuses the coin")
            case Collect():
                return Refusal(RejectionReason.LOCK_SETTLED, "an ended lock owes nothing here")
            case _:
                assert_never(action)
        return None

    def _lock_refusal(
        self, terms: LockTerms, account: AccountId, read: Read, time: int | None
    ) -> Refusal | None:
        if terms.chain != self.chain or terms.contract != self.name:
            return Refusal(
                RejectionReason.BAD_TERMS,
                f"the terms are for {terms.contract} on {terms.chain}, not for this contract",
            )
        try:
            check_amount(terms.amount)
            check_hashlock(terms.hashlock)
        except InvalidValue as error:
            return Refusal(RejectionReason.BAD_TERMS, str(error))
        if terms.asset not in self.assets:
            return Refusal(RejectionReason.BAD_TERMS, f"there is no asset {terms.asset}")
        if terms.sender != account:
            return Refusal(
                RejectionReason.NOT_AUTHORISED, f"{account} cannot lock what {terms.sender} holds"
            )
        if read(lock_key(lock_id_of(terms))) is not None:
            return Refusal(RejectionReason.LOCK_EXISTS, "this lock was made before")
        if time is not None and time >= terms.deadline:
            return Refusal(
                RejectionReason.DEADLINE_PASSED,
                f"the deadline {terms.deadline} is not in the future; it is {time}",
            )
        held = number(read(balance_key(account, terms.asset)))
        if held < terms.amount:
            return Refusal(
                RejectionReason.INSUFFICIENT_BALANCE,
                f"the amount is {terms.amount}, the account has {held}",
            )
        if terms.asset == self.coin.id and held < terms.amount + self.fee:
            return Refusal(
                RejectionReason.INSUFFICIENT_FEE,
                f"the amount and the fee are {terms.amount + self.fee}, the account has {held}",
            )
        return None

    def apply(
        self, action: Action, account: AccountId, read: Read, writes: dict[Key, Value]
    ) -> LockEvent | None:
        match action:
            case Lock(terms):
                lock_id = lock_id_of(terms)
                add(read, writes, balance_key(terms.sender, terms.asset), -terms.amount)
                writes[lock_key(lock_id)] = LockEntry(terms, LockState.OPEN)
                return LockOpened(lock_id, terms)
            case Claim(lock_id, preimage):
                entry = read(lock_key(lock_id))
                assert isinstance(entry, LockEntry)
                self._push(entry.terms.recipient, entry.terms, read, writes)
                writes[lock_key(lock_id)] = LockEntry(entry.terms, LockState.CLAIMED, preimage)
                return LockClaimed(lock_id, entry.terms.hashlock, preimage)
            case Refund(lock_id):
                entry = read(lock_key(lock_id))
                assert isinstance(entry, LockEntry)
                self._push(entry.terms.sender, entry.terms, read, writes)
                writes[lock_key(lock_id)] = LockEntry(entry.terms, LockState.REFUNDED)
                return LockRefunded(lock_id, entry.terms.hashlock)
            case Withdraw(asset):
                credit = number(read(credit_key(account, asset)))
                writes[credit_key(account, asset)] = 0
                add(read, writes, balance_key(account, asset), credit)
                return None
            case Collect():
                return None
            case _:
                assert_never(action)

    def _push(self, to: AccountId, terms: LockTerms, read: Read, writes: dict[Key, Value]) -> None:
        refused = to in self.refusing and terms.asset == self.coin.id
        key = credit_key(to, terms.asset) if refused else balance_key(to, terms.asset)
        add(read, writes, key, terms.amount)


def _settling_refusal(entry: Value | None) -> Refusal | None:
    if not isinstance(entry, LockEntry):
        return Refusal(RejectionReason.LOCK_ABSENT, "there is no such lock")
    if entry.state is not LockState.OPEN:
        return Refusal(RejectionReason.LOCK_SETTLED, f"the lock is {entry.state} already")
    return None


def number(value: Value | None) -> int:
    return value if isinstance(value, int) else 0


def add(read: Read, writes: dict[Key, Value], key: Key, amount: int) -> None:
    writes[key] = number(read(key)) + amount
