"""The lock module: lock, claim, refund. One of the last two, once, and the id never again.

A claim is good only while block time < deadline; a refund only when block time >= deadline.
Block times have nanoseconds, deadlines do not: whole seconds of the block time decide both.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from adapters.codec.lock_id import IdentityWords, lock_id
from adapters.model import InvalidValue, check_hashlock
from adapters.native.app.abci import Event, event
from adapters.native.app.codes import Code, Refused
from adapters.native.app.ledger import Ledger
from adapters.native.app.names import LOCK_MODULE, name_word
from adapters.native.app.records import LockEntry, Settlement
from adapters.native.app.timestamp import Timestamp
from adapters.native.app.transaction import ClaimLock, OpenLock, RefundLock

OPENED = "isthmus.lock.opened"
CLAIMED = "isthmus.lock.claimed"
REFUNDED = "isthmus.lock.refunded"


def identify(genesis_hash: bytes, sender: bytes, terms: OpenLock) -> bytes:
    """The lock id, by the formula of ``codec/lock_id.py`` with the words of ``names.py``."""
    words = IdentityWords(
        chain=genesis_hash,
        contract=name_word(LOCK_MODULE),
        sender=sender,
        recipient=terms.recipient,
        asset=name_word(terms.symbol),
    )
    return lock_id(words, terms.amount, check_hashlock(terms.hashlock), terms.deadline)


def open_lock(ledger: Ledger, sender: bytes, terms: OpenLock, time: Timestamp) -> Event:
    try:
        check_hashlock(terms.hashlock)
    except InvalidValue as error:
        raise Refused(Code.BAD_TERMS, str(error)) from error
    if not 0 < terms.deadline < 2**63:
        raise Refused(Code.BAD_TERMS, "deadline is not a Unix time in seconds")
    identity = identify(ledger.genesis_hash(), sender, terms)
    if ledger.lock(identity) is not None:
        raise Refused(Code.LOCK_EXISTS, f"lock {identity.hex()} was opened before")
    if terms.deadline <= time.seconds:
        raise Refused(
            Code.DEADLINE_PASSED,
            f"deadline {terms.deadline} is not after the block time {time.seconds}",
        )
    if ledger.asset(terms.symbol) is None:
        raise Refused(Code.UNKNOWN_ASSET, f"asset {terms.symbol} is not registered")
    if ledger.account(terms.recipient) is None:
        raise Refused(
            Code.UNKNOWN_RECIPIENT, f"recipient {terms.recipient.hex()} is not an account"
        )
    ledger.debit(terms.symbol, sender, terms.amount)
    entry = LockEntry(
        settlement=Settlement.OPEN,
        sender=sender,
        recipient=terms.recipient,
        symbol=terms.symbol,
        amount=terms.amount,
        hashlock=terms.hashlock,
        deadline=terms.deadline,
    )
    ledger.put_lock(identity, entry)
    return event(
        OPENED,
        lock_id=identity.hex(),
        sender=sender.hex(),
        recipient=terms.recipient.hex(),
        asset=terms.symbol,
        amount=str(terms.amount),
        hashlock=terms.hashlock.hex(),
        deadline=str(terms.deadline),
    )


def claim_lock(ledger: Ledger, claim: ClaimLock, time: Timestamp) -> Event:
    entry = _open_entry(ledger, claim.lock_id)
    if hashlib.sha256(claim.preimage).digest() != entry.hashlock:
        raise Refused(Code.WRONG_PREIMAGE, "the preimage does not hash to the lock's hashlock")
    if time.seconds >= entry.deadline:
        raise Refused(
            Code.DEADLINE_PASSED,
            f"block time {time.seconds} is not before the deadline {entry.deadline}",
        )
    settled = replace(entry, settlement=Settlement.CLAIMED, preimage=claim.preimage)
    ledger.put_lock(claim.lock_id, settled)
    ledger.credit(entry.symbol, entry.recipient, entry.amount)
    return event(
        CLAIMED,
        lock_id=claim.lock_id.hex(),
        hashlock=entry.hashlock.hex(),
        preimage=claim.preimage.hex(),
    )


def refund_lock(ledger: Ledger, refund: RefundLock, time: Timestamp) -> Event:
    entry = _open_entry(ledger, refund.lock_id)
    if time.seconds < entry.deadline:
        raise Refused(
            Code.DEADLINE_NOT_REACHED,
            f"block time {time.seconds} has not reached the deadline {entry.deadline}",
        )
    ledger.put_lock(refund.lock_id, replace(entry, settlement=Settlement.REFUNDED))
    ledger.credit(entry.symbol, entry.sender, entry.amount)
    return event(REFUNDED, lock_id=refund.lock_id.hex(), hashlock=entry.hashlock.hex())


def _open_entry(ledger: Ledger, identity: bytes) -> LockEntry:
    entry = ledger.lock(identity)
    if entry is None:
        raise Refused(Code.LOCK_ABSENT, f"there is no lock {identity.hex()}")
    if entry.settlement is not Settlement.OPEN:
        word = entry.settlement.name.lower()
        raise Refused(Code.LOCK_SETTLED, f"lock {identity.hex()} was {word} before")
    return entry
