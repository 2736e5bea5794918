"""The hash-time-lock: open, then claimed or refunded, once; the record stays as the tombstone.

One key per lock id. What a lock holds of a registered asset is in its record alone; what it holds
of another chaincode's token is in an escrow account of its own. So locks meet on no common key.

Nor may a claim or a refund meet with what others can write: whoever wrote it in every block would
have each claim committed as a conflict of versions, its preimage there for all to read, until the
deadline. A recipient's balance in another chaincode is such a key. So the end of a token's lock
only says whose it is now (``owed``), and ``collect`` moves it: that can be tried for ever.

    lock_id = lock id of adapters/codec/lock_id.py over the words
      chain      SHA-256 of the channel's genesis block header
      contract   SHA-256 of the lock chaincode's name
      sender     SHA-256 of the sender's address
      recipient  SHA-256 of the recipient's address
      asset      SHA-256 of "asset:<name>" or "token:<chaincode>"
    (texts in UTF-8, names and addresses as they are written here)
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from adapters.codec.lock_id import IdentityWords, lock_id
from adapters.fabric.chaincode import arguments, assets, holdings, tokens
from adapters.fabric.chaincode.clock import NANOSECONDS
from adapters.fabric.chaincode.configuration import Configuration
from adapters.fabric.chaincode.ledger import Event, Ledger, key_of
from adapters.fabric.chaincode.refusal import Reason, Refused
from adapters.model import Hashlock, LockId

OPENED = "isthmus.lock.opened"
CLAIMED = "isthmus.lock.claimed"
REFUNDED = "isthmus.lock.refunded"
OWED = "owed"
"""In a record, and in the event that tells an end: what the lock held is still in its escrow."""


@dataclass(frozen=True, slots=True)
class HeldAsset:
    """What is locked: ``asset:<name>`` of this chaincode or ``token:<chaincode>`` of another."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


def read_asset(text: str) -> HeldAsset:
    """Raises Refused."""
    kind, _, name = text.partition(":")
    match kind:
        case "asset":
            return HeldAsset(kind, arguments.asset_name(name))
        case "token":
            return HeldAsset(kind, arguments.chaincode_name(name, "token"))
        case _:
            raise arguments.bad("asset must be asset:NAME or token:CHAINCODE")


@dataclass(frozen=True, slots=True)
class Terms:
    sender: str
    recipient: str
    asset: HeldAsset
    amount: int
    hashlock: Hashlock
    deadline: int
    """Unix seconds."""

    def id(self, settings: Configuration) -> LockId:
        return id_of(
            settings.chain,
            settings.chaincode,
            self.sender,
            self.recipient,
            str(self.asset),
            self.amount,
            self.hashlock,
            self.deadline,
        )

    def fields(self) -> dict[str, Any]:
        """Amounts as text: readers in other languages have no integers of that size."""
        return {
            "amount": str(self.amount),
            "asset": str(self.asset),
            "deadline": self.deadline,
            "hashlock": self.hashlock.hex(),
            "recipient": self.recipient,
            "sender": self.sender,
        }


def id_of(
    chain: bytes,
    chaincode: str,
    sender: str,
    recipient: str,
    asset: str,
    amount: int,
    hashlock: Hashlock,
    deadline: int,
) -> LockId:
    """The lock id; the words are this module's."""
    return lock_id(
        IdentityWords(
            chain=chain,
            contract=_word(chaincode),
            sender=_word(sender),
            recipient=_word(recipient),
            asset=_word(asset),
        ),
        amount,
        hashlock,
        deadline,
    )


def _word(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


async def open_lock(
    ledger: Ledger,
    settings: Configuration,
    now: int,
    terms: Terms,
    spend: assets.Spend,
) -> bytes:
    """Locks the sender's asset. ``now``: the transaction's time in nanoseconds. Raises Refused."""
    if terms.deadline * NANOSECONDS <= now:
        raise Refused(
            Reason.DEADLINE_PASSED,
            f"deadline {terms.deadline} is not after the transaction's time {now // NANOSECONDS}",
        )
    lock = terms.id(settings)
    key = key_of("lock", lock.hex())
    if await ledger.get(key) is not None:
        raise Refused(Reason.LOCK_EXISTS, f"lock {lock.hex()} has been used; ids are used once")
    match terms.asset.kind:
        case "asset":
            await assets.registered(ledger, terms.asset.name)
            await holdings.take(
                ledger,
                terms.asset.name,
                terms.sender,
                terms.amount,
                spend.named,
                spend.parts,
            )
        case _:
            await tokens.deposit(ledger, settings, terms.asset.name, lock, terms.amount)
    record = terms.fields() | {"lock_id": lock.hex(), "state": "open"}
    await ledger.put(key, arguments.encode(record))
    ledger.emit(Event(OPENED, arguments.encode(terms.fields() | {"lock_id": lock.hex()})))
    return arguments.encode(record)


async def claim(ledger: Ledger, now: int, lock: LockId, preimage: bytes) -> bytes:
    """Gives a lock to its recipient; anyone may. Raises Refused."""
    record, terms = await _open_record(ledger, lock)
    if now >= terms.deadline * NANOSECONDS:
        raise Refused(
            Reason.DEADLINE_PASSED,
            f"lock {lock.hex()} could be claimed before {terms.deadline}; the transaction's time "
            f"is {now // NANOSECONDS}",
        )
    if hashlib.sha256(preimage).digest() != terms.hashlock:
        raise Refused(
            Reason.WRONG_PREIMAGE, f"the preimage does not open the hashlock of lock {lock.hex()}"
        )
    return await _settle(ledger, record, terms, CLAIMED, {"preimage": preimage.hex()})


async def refund(ledger: Ledger, now: int, lock: LockId) -> bytes:
    """Gives a lock back to its sender, from its deadline on; anyone may. Raises Refused."""
    record, terms = await _open_record(ledger, lock)
    if now < terms.deadline * NANOSECONDS:
        raise Refused(
            Reason.DEADLINE_NOT_REACHED,
            f"lock {lock.hex()} can be refunded from {terms.deadline} on; the transaction's time "
            f"is {now // NANOSECONDS}",
        )
    return await _settle(ledger, record, terms, REFUNDED, {})


async def collect(ledger: Ledger, settings: Configuration, lock: LockId) -> bytes:
    """Moves what an ended lock still owes, to whom it owes it; anyone may. The end is told again,
    as paid. Raises Refused."""
    record = await _record(ledger, lock)
    if OWED not in record:
        raise Refused(Reason.LOCK_SETTLED, f"lock {lock.hex()} is {record['state']}, and owes none")
    terms = _terms(record)
    del record[OWED]
    if record["state"] == _state(CLAIMED):
        event, to, more = CLAIMED, terms.recipient, {"preimage": record["preimage"]}
    else:
        event, to, more = REFUNDED, terms.sender, {}
    await tokens.pay_out(ledger, settings, terms.asset.name, lock, to, terms.amount)
    return await _end(ledger, record, event, more)


async def record_of(ledger: Ledger, lock: LockId) -> bytes:
    """The record of a lock id, as JSON; ``null`` where it has never been used."""
    return await ledger.get(key_of("lock", lock.hex())) or b"null"


async def _record(ledger: Ledger, lock: LockId) -> dict[str, Any]:
    value = await ledger.get(key_of("lock", lock.hex()))
    if value is None:
        raise Refused(Reason.LOCK_ABSENT, f"there is no lock {lock.hex()}")
    record: dict[str, Any] = arguments.decode(value)
    return record


async def _open_record(ledger: Ledger, lock: LockId) -> tuple[dict[str, Any], Terms]:
    record = await _record(ledger, lock)
    if record["state"] != "open":
        raise Refused(Reason.LOCK_SETTLED, f"lock {lock.hex()} is {record['state']} already")
    return record, _terms(record)


def _terms(record: dict[str, Any]) -> Terms:
    return Terms(
        record["sender"],
        record["recipient"],
        read_asset(record["asset"]),
        int(record["amount"]),
        Hashlock(bytes.fromhex(record["hashlock"])),
        record["deadline"],
    )


async def _settle(
    ledger: Ledger, record: dict[str, Any], terms: Terms, event: str, more: dict[str, Any]
) -> bytes:
    match terms.asset.kind:
        case "asset":
            to = terms.recipient if event == CLAIMED else terms.sender
            await holdings.give(ledger, terms.asset.name, to, terms.amount, holdings.RECEIVED)
        case _:
            more = more | {OWED: True}
    return await _end(ledger, record | {"state": _state(event)} | more, event, more)


async def _end(ledger: Ledger, record: dict[str, Any], event: str, more: dict[str, Any]) -> bytes:
    ended = arguments.encode(record)
    await ledger.put(key_of("lock", record["lock_id"]), ended)
    told = {"hashlock": record["hashlock"], "lock_id": record["lock_id"]} | more
    ledger.emit(Event(event, arguments.encode(told)))
    return ended


def _state(event: str) -> str:
    return event.rpartition(".")[2]
