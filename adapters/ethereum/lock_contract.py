"""HashTimeLock's calls and events, byte for byte.

All its arguments are single words, so the encoding is their concatenation (Solidity's ABI).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adapters.codec.keccak import keccak256
from adapters.ethereum.identity import NO_ADDRESS, Identities, checksummed
from adapters.ethereum.node_errors import NodeFailed, selector
from adapters.ethereum.quantities import data, fields, items, quantity
from adapters.model import (
    Hashlock,
    InvalidValue,
    LockClaimed,
    LockEvent,
    LockId,
    LockOpened,
    LockRefunded,
    LockState,
    LockTerms,
    Preimage,
)

_TERMS = "(address,address,address,uint256,bytes32,uint256)"
LOCK_COIN = selector("lockCoin(address,bytes32,uint40)")
LOCK_TOKEN = selector("lockToken(address,address,uint256,bytes32,uint40)")
CLAIM = selector(f"claim({_TERMS})")
REFUND = selector(f"refund({_TERMS})")
WITHDRAW_CREDIT = selector("withdrawCredit(address)")
LOOKUP = selector("lookup(bytes32)")
CREDIT_OF = selector("creditOf(address)")
BALANCE_OF = selector("balanceOf(address)")
ALLOWANCE = selector("allowance(address,address)")
APPROVE = selector("approve(address,uint256)")
TRANSFER = selector("transfer(address,uint256)")
SYMBOL = selector("symbol()")
DECIMALS = selector("decimals()")

OPENED = keccak256(b"LockOpened(bytes32,bytes32,address,address,address,uint256,uint40)")
CLAIMED = keccak256(b"LockClaimed(bytes32,bytes32,bytes32)")
REFUNDED = keccak256(b"LockRefunded(bytes32,bytes32)")


# How many topics and words of data each has. A refund's hashlock is data, which costs less.
_TOPICS = {OPENED: 3, CLAIMED: 3, REFUNDED: 2}
_WORDS = {OPENED: 5, CLAIMED: 1, REFUNDED: 1}


@dataclass(frozen=True, slots=True, repr=False)
class Call:
    """What a transaction does: to whom, with how much coin, with what data.

    Two submissions of one action are the same call. It never shows its data: a claim's holds the
    preimage."""

    to: bytes
    value: int
    data: bytes

    def __repr__(self) -> str:
        return f"Call(to={checksummed(self.to)}, {self.data[:4].hex()}…)"


def word(value: int | bytes) -> bytes:
    """One argument: a number, an address or 32 bytes, in 32 bytes."""
    return value.to_bytes(32, "big") if isinstance(value, int) else value.rjust(32, b"\0")


def encode(function: bytes, *arguments: int | bytes) -> bytes:
    """A call's data."""
    return function + b"".join(word(argument) for argument in arguments)


class LockContract:
    """The lock contract of one chain: its calls encoded, its answers and events read."""

    def __init__(self, ids: Identities) -> None:
        self.ids = ids
        self.address = ids.contract

    def lock(self, terms: LockTerms) -> Call:
        recipient = self.ids.address_of(terms.recipient, "recipient")
        token = self.ids.token_of(terms.asset)
        if token == NO_ADDRESS:
            encoded = encode(LOCK_COIN, recipient, terms.hashlock, terms.deadline)
            return Call(self.address, terms.amount, encoded)
        encoded = encode(LOCK_TOKEN, token, recipient, terms.amount, terms.hashlock, terms.deadline)
        return Call(self.address, 0, encoded)

    def claim(self, terms: LockTerms, preimage: Preimage) -> Call:
        return Call(self.address, 0, self._settle(CLAIM, terms, preimage.value))

    def refund(self, terms: LockTerms) -> Call:
        return Call(self.address, 0, self._settle(REFUND, terms, terms.hashlock))

    def _settle(self, function: bytes, terms: LockTerms, secret_or_hash: bytes) -> bytes:
        return encode(
            function,
            self.ids.address_of(terms.sender, "sender"),
            self.ids.address_of(terms.recipient, "recipient"),
            self.ids.token_of(terms.asset),
            terms.amount,
            secret_or_hash,
            terms.deadline,
        )

    def withdraw_credit(self, to: bytes) -> Call:
        return Call(self.address, 0, encode(WITHDRAW_CREDIT, to))

    def read_lookup(self, answer: bytes) -> tuple[LockState, int, int]:
        """State, and the blocks of the opening and of the settling (0: not yet)."""
        if len(answer) != 96:
            raise NodeFailed(f"answered {len(answer)} bytes where lookup() has 96")
        states = (LockState.ABSENT, LockState.OPEN, LockState.CLAIMED, LockState.REFUNDED)
        state, opened, settled = (
            int.from_bytes(answer[start : start + 32], "big") for start in (0, 32, 64)
        )
        if state >= len(states):
            raise NodeFailed(f"answered a lock state {state}, which there is not")
        return states[state], opened, settled


@dataclass(frozen=True, slots=True)
class LockLog:
    """A log of the contract: an event, and its place on the chain."""

    event: LockEvent
    height: int
    block_hash: bytes
    index: int
    transaction: str


def read_log(contract: LockContract, log: object) -> LockLog | None:
    """A log as a node gives it; None for the contract's other events. Raises NodeFailed."""
    raw = fields(log, "a log")
    if raw.get("removed") is True:
        raise NodeFailed("answered a log that it says is removed")
    if data(raw.get("address"), "a log's address", 20) != contract.address:
        raise NodeFailed("answered a log of another contract")
    topics = [data(topic, "a topic", 32) for topic in items(raw.get("topics"), "a log's topics")]
    if not topics or topics[0] not in _TOPICS:
        return None
    expected = _TOPICS[topics[0]]
    if len(topics) != expected:
        raise NodeFailed(f"answered a lock's log with {len(topics)} topics, not {expected}")
    body = data(raw.get("data"), "a log's data")
    event = _read_event(contract.ids, topics, body)
    return LockLog(
        event=event,
        height=quantity(raw.get("blockNumber"), "a log's block number"),
        block_hash=data(raw.get("blockHash"), "a log's block hash", 32),
        index=quantity(raw.get("logIndex"), "a log's index"),
        transaction=_transaction_id(raw),
    )


def _transaction_id(raw: Mapping[str, Any]) -> str:
    return "0x" + data(raw.get("transactionHash"), "a log's transaction", 32).hex()


def _read_event(ids: Identities, topics: list[bytes], body: bytes) -> LockEvent:
    words = [body[start : start + 32] for start in range(0, len(body), 32)]
    if len(words) != _WORDS[topics[0]] or len(body) % 32:
        raise NodeFailed(f"answered a lock's log with {len(body)} bytes of data")
    lock_id = LockId(topics[1])
    hashlock = Hashlock(words[0] if topics[0] == REFUNDED else topics[2])
    if topics[0] == CLAIMED:
        event = LockClaimed(lock_id, hashlock, Preimage(words[0]))
        if event.preimage.hashlock() != hashlock:
            raise NodeFailed("answered a claim whose preimage does not fit its hashlock")
        return event
    if topics[0] == REFUNDED:
        return LockRefunded(lock_id, hashlock)
    try:
        terms = LockTerms(
            chain=ids.chain,
            contract=checksummed(ids.contract),
            sender=ids.account(words[0][12:]),
            recipient=ids.account(words[1][12:]),
            asset=ids.asset(words[2][12:]),
            amount=int.from_bytes(words[3], "big"),
            hashlock=hashlock,
            deadline=int.from_bytes(words[4], "big"),
        )
        computed = ids.lock_id(terms)
    except InvalidValue as error:
        raise NodeFailed(f"answered a lock that cannot be: {error}") from None
    if computed != lock_id:
        raise NodeFailed("answered a lock whose terms do not hash to its id")
    return LockOpened(lock_id, terms)
