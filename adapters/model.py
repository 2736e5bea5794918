"""The words in which chains are spoken of: identifiers, amounts, locks, events, blocks.

Every value here is frozen. Identifiers are parsed once, at the edge, into these types; inside the
program no chain, account or asset travels as text. Amounts are integers in the asset's smallest
unit. Times are integers: Unix seconds. Hashes are 32 bytes.

Sources: CAIP-2 (chains), CAIP-10 (accounts), CAIP-19 (assets).
"""

from __future__ import annotations

import hashlib
import re
from enum import StrEnum
from typing import Annotated, Any, NewType

from adapters.values import dataclass

MAX_AMOUNT = 2**256 - 1
MAX_UINT64 = 2**64 - 1

Hashlock = NewType("Hashlock", bytes)
"""SHA-256 of a preimage; 32 bytes."""

LockId = NewType("LockId", bytes)
"""The deterministic id of a lock; 32 bytes. Each adapter computes it from the lock's terms."""

_ZERO_HASH = bytes(32)
_HASH_OF_ZEROS = hashlib.sha256(bytes(32)).digest()


class InvalidValue(ValueError):
    """A value from outside does not have the form it must have. The message names the field;
    ``field`` is its name alone, where whoever raised it was told one or knows it."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


def check_uint64(value: int, field: str) -> int:
    """The number itself, if chains can write it in 64 bits. Raises InvalidValue."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_UINT64:
        raise InvalidValue(f"{field} must be a whole number from 0 to 2^64 - 1", field)
    return value


# --- identifiers ---------------------------------------------------------------------------------

_CHAIN = re.compile(r"([-a-z0-9]{3,8}):([-_a-zA-Z0-9]{1,32})")
_ADDRESS = re.compile(r"[-.%a-zA-Z0-9]{1,128}")
_ASSET = re.compile(r"([-a-z0-9]{3,8}):([-.%a-zA-Z0-9]{1,128})")


@dataclass(frozen=True, slots=True, order=True)
class ChainId:
    """A chain, as CAIP-2 writes it: ``namespace:reference``."""

    namespace: str
    reference: str

    @classmethod
    def parse(cls, text: str) -> ChainId:
        match = _CHAIN.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise InvalidValue(
                f"chain {_shown(text)} is not a CAIP-2 id; write namespace:reference, "
                "for example eip155:1"
            )
        return cls(match[1], match[2])

    def __str__(self) -> str:
        return f"{self.namespace}:{self.reference}"


@dataclass(frozen=True, slots=True, order=True)
class AccountId:
    """An account on a chain, as CAIP-10 writes it: ``chain:address``."""

    chain: ChainId
    address: str

    @classmethod
    def parse(cls, text: str) -> AccountId:
        chain, _, address = text.rpartition(":") if isinstance(text, str) else ("", "", "")
        if _CHAIN.fullmatch(chain) is None or _ADDRESS.fullmatch(address) is None:
            raise InvalidValue(
                f"account {_shown(text)} is not a CAIP-10 id; write namespace:reference:address, "
                "for example eip155:1:0x52908400098527886E0F7030069857D2E4169EE7"
            )
        return cls(ChainId.parse(chain), address)

    def __str__(self) -> str:
        return f"{self.chain}:{self.address}"


@dataclass(frozen=True, slots=True, order=True)
class AssetId:
    """An asset on a chain, as CAIP-19 writes it: ``chain/namespace:reference``."""

    chain: ChainId
    namespace: str
    reference: str

    @classmethod
    def parse(cls, text: str) -> AssetId:
        chain, _, asset = text.partition("/") if isinstance(text, str) else ("", "", "")
        match = _ASSET.fullmatch(asset)
        if match is None or _CHAIN.fullmatch(chain) is None:
            raise InvalidValue(
                f"asset {_shown(text)} is not a CAIP-19 id; write chain/namespace:reference, "
                "for example eip155:1/slip44:60"
            )
        return cls(ChainId.parse(chain), match[1], match[2])

    def __str__(self) -> str:
        return f"{self.chain}/{self.namespace}:{self.reference}"


def _shown(text: object) -> str:
    """What was given, short enough and safe enough for one line of an error."""
    shown = repr(text)
    return shown if len(shown) <= 80 else shown[:77] + "..."


# --- assets and amounts --------------------------------------------------------------------------


class _DecimalText:
    """Marks integers that pydantic writes into JSON as decimal text: many readers of JSON keep no
    more than 53 bits of a number. Plain numbers are read as well."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.int_schema(
            serialization=core_schema.to_string_ser_schema(when_used="json")
        )


Amount = Annotated[int, _DecimalText()]
"""An integer in an asset's smallest unit."""


@dataclass(frozen=True, slots=True)
class Asset:
    """An asset as its chain describes it. ``decimals`` only matters where people read and write."""

    id: AssetId
    symbol: str
    decimals: int


def check_amount(amount: int, field: str = "amount") -> int:
    """The amount itself, if it can be moved: an integer from 1 to 2^256 - 1 in smallest units.

    Raises InvalidValue.
    """
    if isinstance(amount, bool) or not isinstance(amount, int):
        raise InvalidValue(f"{field} must be an integer in the asset's smallest unit", field)
    if amount <= 0:
        raise InvalidValue(f"{field} is {amount}; it must be greater than zero", field)
    if amount > MAX_AMOUNT:
        raise InvalidValue(
            f"{field} is above 2^256 - 1, the most that any chain here can hold", field
        )
    return amount


_DECIMAL = re.compile(r"([0-9]+)(?:\.([0-9]+))?")


def parse_amount(text: str, decimals: int, field: str = "amount") -> int:
    """Reads a person's decimal text ("12.5") into smallest units. Raises InvalidValue."""
    match = _DECIMAL.fullmatch(text.strip()) if len(text) <= 200 else None
    if match is None:
        raise InvalidValue(
            f"{field} {_shown(text)} is not a positive decimal number such as 12.5", field
        )
    whole, fraction = match[1], match[2] or ""
    if len(fraction) > decimals:
        raise InvalidValue(
            f"{field} {_shown(text)} has {len(fraction)} decimals; the asset has {decimals}", field
        )
    return check_amount(int(whole + fraction.ljust(decimals, "0")), field)


def format_amount(amount: int, decimals: int) -> str:
    """The shortest decimal text for an amount in smallest units; the inverse of parse_amount."""
    if decimals == 0:
        return str(amount)
    sign, digits = ("-", str(-amount)) if amount < 0 else ("", str(amount))
    digits = digits.rjust(decimals + 1, "0")
    whole, fraction = digits[:-decimals], digits[-decimals:].rstrip("0")
    return sign + (f"{whole}.{fraction}" if fraction else whole)


# --- hashlocks and preimages ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True, repr=False)
class Preimage:
    """A secret of exactly 32 bytes. It never shows itself: not in repr, str, or a traceback."""

    value: bytes

    def __post_init__(self) -> None:
        if not isinstance(self.value, bytes) or len(self.value) != 32:
            raise InvalidValue("preimage must be exactly 32 bytes")

    def hashlock(self) -> Hashlock:
        return Hashlock(hashlib.sha256(self.value).digest())

    def __repr__(self) -> str:
        return "Preimage(<hidden>)"


def check_hashlock(value: bytes, field: str = "hashlock") -> Hashlock:
    """Refuses what is not 32 bytes, the zero hash, and the hash of 32 zero bytes (InvalidValue)."""
    if len(value) != 32:
        raise InvalidValue(f"{field} is {len(value)} bytes; it must be 32", field)
    if value in (_ZERO_HASH, _HASH_OF_ZEROS):
        raise InvalidValue(f"{field} is one that anybody can open; make a new one", field)
    return Hashlock(value)


# --- blocks, heads, bounds -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Head:
    """The newest block that a node shows. ``time`` is chain time; on a chain that makes no empty
    blocks it moves on while ``height`` stays. ``final_height`` is the newest irreversible block."""

    chain: ChainId
    height: int
    hash: bytes
    time: int
    final_height: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a chain is trusted to keep, in seconds (I, F, ε and L of the timelock arithmetic).

    inclusion  I: from submission to first inclusion in a block
    finality   F: from first inclusion to irreversible
    clock      ε: block time against real time, either way
    late       L: how long after its deadline a claim prepared before it can still land
    """

    inclusion: int
    finality: int
    clock: int
    late: int = 0

    def __post_init__(self) -> None:
        for name in ("inclusion", "finality", "clock", "late"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise InvalidValue(f"bound {name} must be a whole number of seconds, 0 or more")


class Capability(StrEnum):
    """What a chain can do, by name. The conformance kit reads them; a gateway and a watchtower open
    no chain without HASH_LOCK."""

    HASH_LOCK = "hash_lock"
    LEDGER_READS = "ledger_reads"
    TOKENS = "tokens"
    CREDIT = "credit"
    """A failed push of coin becomes credit that its owner withdraws."""


@dataclass(frozen=True, slots=True)
class ChainProfile:
    """What the rest of the program knows of a chain before it asks it anything."""

    chain: ChainId
    name: str
    """The operator's short name for it, unique in one configuration."""
    contract: str
    """The lock contract, as the chain writes it: an address, a chaincode's name, a module."""
    bounds: Bounds
    capabilities: frozenset[Capability]
    stale_after: int
    """Seconds by which the newest head's time may lag the gateway's clock before it is stale."""
    fee_asset: AssetId | None
    """What submitting costs, where it costs anything."""
    at_once: int = 1
    """How many calls of ``submit`` for one account may run at a time: so many transactions of it
    the chain takes without one waiting for another. 1 where they have to follow each other. Of
    locks only one is ever submitted at a time."""

    def __post_init__(self) -> None:
        if isinstance(self.at_once, bool) or self.at_once < 1:
            raise InvalidValue("at_once must be 1 or more", "at_once")


# --- locks ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LockTerms:
    """All that a lock says; the lock id is a hash over exactly this.

    ``deadline`` is Unix seconds of chain time: claim strictly before it, refund from it on.
    """

    chain: ChainId
    contract: str
    sender: AccountId
    recipient: AccountId
    asset: AssetId
    amount: Amount
    hashlock: Hashlock
    deadline: int

    def __post_init__(self) -> None:
        check_amount(self.amount)
        check_hashlock(self.hashlock)
        for field in ("sender", "recipient", "asset"):
            chain = getattr(self, field).chain
            if chain != self.chain:
                raise InvalidValue(f"{field} is on {chain}, but the lock is on {self.chain}", field)
        if not 0 < self.deadline < 2**63:
            raise InvalidValue(
                f"deadline {self.deadline} is not a Unix time in seconds", "deadline"
            )


class LockState(StrEnum):
    """Where a lock stands. CLAIMED and REFUNDED are the tombstones: the id is never used again."""

    ABSENT = "absent"
    OPEN = "open"
    CLAIMED = "claimed"
    REFUNDED = "refunded"


@dataclass(frozen=True, slots=True)
class LockRecord:
    """What the chain says of a lock id. ``final``: this state itself can no longer be reverted, and
    nothing is owed."""

    lock_id: LockId
    state: LockState
    final: bool
    terms: LockTerms | None = None
    preimage: Preimage | None = None
    """Known once claimed."""
    owed: bool = False
    """It is ended, and what it held has not reached whose it is now: ``Collect`` brings it there.
    Until then its end is told as PENDING."""


# --- actions: what can be asked of a chain -------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lock:
    """Lock the sender's asset. The credential's account must be the sender."""

    terms: LockTerms


@dataclass(frozen=True, slots=True)
class Claim:
    """Send a lock to its recipient. Anyone may. This call carries the preimage out: a reveal."""

    lock_id: LockId
    preimage: Preimage


@dataclass(frozen=True, slots=True)
class Refund:
    """Send a lock back to its sender, from its deadline on. Anyone may."""

    lock_id: LockId


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Take out the credit that a failed push of coin left (capability CREDIT)."""

    asset: AssetId


@dataclass(frozen=True, slots=True)
class Collect:
    """Bring what an ended lock still owes (``LockRecord.owed``) to whose it is. Anyone may, at any
    time; nobody can take it elsewhere."""

    lock_id: LockId


Action = Lock | Claim | Refund | Withdraw | Collect


@dataclass(frozen=True, slots=True)
class Submission:
    """A transaction was handed to the chain; its fate is told by events and by lookup."""

    transaction: str
    """The chain's own id of it."""


# --- events --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LockOpened:
    lock_id: LockId
    terms: LockTerms


@dataclass(frozen=True, slots=True)
class LockClaimed:
    lock_id: LockId
    hashlock: Hashlock
    preimage: Preimage


@dataclass(frozen=True, slots=True)
class LockRefunded:
    lock_id: LockId
    hashlock: Hashlock


LockEvent = LockOpened | LockClaimed | LockRefunded


def hashlock_of(event: LockEvent) -> Hashlock:
    match event:
        case LockOpened():
            return event.terms.hashlock
        case LockClaimed() | LockRefunded():
            return event.hashlock


class Stage(StrEnum):
    """How sure a chain is of an event: PENDING may still be RETRACTED; FINAL stays."""

    PENDING = "pending"
    FINAL = "final"
    RETRACTED = "retracted"


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Where on its chain an event stands. ``index`` orders events within a block."""

    height: int
    block_hash: bytes
    index: int
    transaction: str


@dataclass(frozen=True, slots=True)
class Observation:
    """One event, at one stage. The same event comes again as its stage changes."""

    chain: ChainId
    event: LockEvent
    stage: Stage
    position: Position


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where to resume an event stream. Opaque outside the adapter that made it."""

    text: str


@dataclass(frozen=True, slots=True)
class FinalityViolation:
    """A block that was final has vanished: the chain broke its finality rule."""

    height: int
    expected: bytes
    seen: bytes


@dataclass(frozen=True, slots=True)
class Notice:
    """One step of an event stream: the head as it is now, what came to light since the notice
    before, and the cursor that resumes after it. ``observations`` is often empty: heads move."""

    head: Head
    observations: tuple[Observation, ...]
    cursor: Cursor
    violation: FinalityViolation | None = None


# --- ledger reads --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Header:
    chain: ChainId
    height: int
    hash: bytes
    parent_hash: bytes
    time: int
    """Unix seconds; 0 on a chain whose blocks carry no time (Fabric)."""


@dataclass(frozen=True, slots=True)
class Block:
    header: Header
    transactions: tuple[str, ...]
    """Transaction ids, in the block's order."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction and its receipt. ``raw`` is the chain's own encoding."""

    id: str
    height: int
    block_hash: bytes
    index: int
    succeeded: bool
    status: str
    """The chain's own word for the outcome: "1", "VALID", "code 5: deadline has passed"."""
    fee: int
    """In smallest units of the fee asset; 0 where submitting is free."""
    raw: bytes
    payer: AccountId | None = None
    """Who paid the fee; None where submitting is free."""
