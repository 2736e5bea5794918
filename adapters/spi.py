"""The adapter interface: what one chain gives to the rest of Isthmus. Version 1.

An adapter knows one chain and nothing of swaps between two. It is asynchronous and cancellable
throughout; it holds no hidden retry loop (a call that fails says so at once, with the class of
error that tells the caller what may be done); it starts no task that outlives its ``open`` context.

A third party registers a plugin under the entry point group ``isthmus.adapters``; see
``adapters/registry.py`` for how it is found and ``adapters/conformance`` for the promises it is
held to.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field

from adapters.model import (
    AccountId,
    Action,
    Asset,
    AssetId,
    Block,
    ChainId,
    ChainProfile,
    Cursor,
    Head,
    Header,
    LockId,
    LockRecord,
    LockTerms,
    Notice,
    Submission,
    Transaction,
)

INTERFACE_VERSION = 1
ENTRY_POINT_GROUP = "isthmus.adapters"


# --- errors, by what the caller can do -----------------------------------------------------------


class AdapterError(Exception):
    """The root. The message is one clear sentence that names the chain and the part."""


class Rejected(AdapterError):
    """The chain says no, and says why. The same call would be refused again: never retry it
    unchanged. ``reason`` is one of the names in RejectionReason where the chain's word maps to it.
    """

    def __init__(self, message: str, reason: RejectionReason | None = None) -> None:
        super().__init__(message)
        self.reason = reason if reason is not None else RejectionReason.OTHER


class NotSent(AdapterError):
    """Nothing reached the chain's order: safe to try again."""


class Unknown(AdapterError):
    """It may have been sent. Look the action up on the chain before anything else."""


class Unavailable(AdapterError):
    """The node does not answer, or answers what cannot be. Nothing is known to have been sent."""


class Misconfigured(AdapterError):
    """What the operator wrote and what the chain is do not fit. Stop and tell the operator."""


class RejectionReason(StrEnum):
    """Why a chain refused, in words common to all chains."""

    INSUFFICIENT_BALANCE = "insufficient_balance"
    INSUFFICIENT_FEE = "insufficient_fee"
    LOCK_EXISTS = "lock_exists"
    """The id is open or has a tombstone."""
    LOCK_ABSENT = "lock_absent"
    LOCK_SETTLED = "lock_settled"
    """Already claimed or refunded."""
    WRONG_PREIMAGE = "wrong_preimage"
    DEADLINE_PASSED = "deadline_passed"
    """Too late to claim, or a lock whose deadline is not in the future."""
    DEADLINE_NOT_REACHED = "deadline_not_reached"
    """Too early to refund."""
    BAD_TERMS = "bad_terms"
    """A refused hashlock, amount, asset or recipient."""
    NOT_AUTHORISED = "not_authorised"
    OTHER = "other"


# --- signing -------------------------------------------------------------------------------------


class Scheme(StrEnum):
    SECP256K1 = "secp256k1"
    P256 = "p256"


@runtime_checkable
class Signer(Protocol):
    """One private key behind a port; it may be in this process, a vault or an HSM."""

    @property
    def scheme(self) -> Scheme: ...

    @property
    def public_key(self) -> bytes:
        """Uncompressed SEC 1 point: 65 bytes, 0x04 first."""

    async def sign(self, digest: bytes) -> bytes:
        """Signs a 32-byte digest. Returns 65 bytes: r ‖ s ‖ recovery id (0 or 1), s low.

        P-256 signatures carry 0 as the recovery id. Raises SigningFailed.
        """


class SigningFailed(Exception):
    """The key could not be used; the message never holds key material."""


@dataclass(frozen=True, slots=True)
class Credential:
    """Who acts on a chain: an account and the key that speaks for it."""

    account: AccountId
    signer: Signer
    certificate: bytes | None = None
    """X.509 PEM, on chains where an identity is a certificate."""


# --- what doctor prints --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked. ``mend`` says what to do where ``ok`` is false."""

    check: str
    ok: bool
    seen: str
    mend: str = ""


# --- the adapter ---------------------------------------------------------------------------------


class Adapter(Protocol):
    """One chain. Every method may raise Unavailable; what else it raises is said with it."""

    @property
    def profile(self) -> ChainProfile: ...

    # reading

    async def head(self) -> Head:
        """The newest head, asked for now."""

    def events(self, cursor: Cursor | None) -> AsyncIterator[Notice]:
        """Lock events of the profile's contract after the cursor (None: from the contract's
        beginning), each as PENDING, then FINAL; RETRACTED if a reorg takes a pending one back.
        A chain whose blocks are final at once sends FINAL only.

        Endless. Events of one stage come in the chain's order. Yields a notice whenever the head
        or its time moves. A cursor on a vanished fork is noticed by its hash and rewound. After a
        notice with a violation the stream goes on. Raises Unavailable when the node fails; the
        caller resumes with the newest cursor that it has stored.

        Where there is much to read, it reads stretch by stretch and yields a notice for each: that
        is progress, though the events are old. A caller may break off (cancel) a stream in which
        nothing has come for the profile's ``stale_after``. So a stretch should be read well within
        that time, and of one that was broken off the next stream should ask for less at a time
        (``adapters/stretch.py`` keeps count).
        """

    def lock_id(self, terms: LockTerms) -> LockId:
        """The id that this chain will give these terms. Pure. Raises InvalidValue.

        It commits to every term: locks are told apart by it alone. Where a contract, an account or
        an asset can be spelled in several ways, one of them is canonical: the adapter tells of it
        in that one, and refuses every other here. Two terms never have one id.
        """

    async def lookup(self, lock_id: LockId) -> LockRecord:
        """What the chain's newest state says of a lock id; ABSENT where it has never been."""

    async def balance(self, account: AccountId, asset: AssetId) -> int:
        """In smallest units. Raises InvalidValue for an account or asset not of this chain."""

    async def asset(self, asset: AssetId) -> Asset:
        """Symbol and decimals, with the id in its canonical spelling: an asset that a user wrote is
        brought to it here. Raises InvalidValue where the chain has no such asset."""

    async def assets(self) -> Sequence[Asset]:
        """The assets that are known without being asked for: the coin and those configured."""

    async def header(self, height: int | None = None) -> Header:
        """The header at a height (None: the newest). Raises InvalidValue where there is none."""

    async def block(self, height: int | None = None) -> Block: ...

    async def transaction(self, transaction: str) -> Transaction:
        """A transaction with its receipt. Raises InvalidValue where there is none."""

    # acting

    async def submit(self, action: Action, credential: Credential) -> Submission:
        """Checks, signs and hands one transaction to the chain; returns when the chain's node (or
        ordering service) has taken it, not when it is final. Called for one account by so many at
        a time as the profile's ``at_once`` says; at most one of them locks.

        Raises Rejected; NotSent, also where the signer raises SigningFailed; Unknown; Misconfigured
        for a credential that this chain cannot use; InvalidValue for what could never be an action
        on it, such as a lock on another chain; and nothing else. Of these only Unknown may have
        been sent. No message quotes a preimage.

        No write that others can make may stop a claim or a refund: where paying out could meet
        with one, the end says whose the amount is (``LockRecord.owed``), and Collect pays it out.
        """

    async def abandon(self, terms: LockTerms, credential: Credential) -> bool:
        """Sees to it, as far as the chain lets it, that a lock which was submitted and is in no
        block does not go out any more: it is handed in by nobody's later submission, and what its
        transaction would have used up (a nonce, a sequence number) is used up by one that moves no
        asset. True where nothing is left to do: no transaction of this lock, nor one that takes
        its place, is known to wait.

        The chain is the authority: a lock that is in a block stays what it is, and ``lookup`` tells
        of it. A copy of the transaction on a node that cannot be reached may still come in. May be
        called again, also for a lock that was never submitted, and after a restart, of which it is
        to make the best: what the node still shows of the lock counts as submitted. Only locks are
        ever abandoned: a claim or a refund is always wanted. To submit the lock again is to want it
        again. Raises Rejected where the credential's account is not the sender, NotSent.
        """

    async def objections(self, terms: LockTerms) -> Sequence[str]:
        """Why this chain should not hold this lock: sentences for people; empty where all is well.

        For example: an endorsement policy that lets a party veto the other's claim, an asset that
        is not there, a recipient that cannot be paid.
        """

    async def claim_obstacles(self, lock_id: LockId, credential: Credential) -> Sequence[str]:
        """Why a claim of this open lock, submitted now by this account, would not be taken:
        sentences for people; empty where nothing that can be seen stands against it.

        Asked before the preimage is let out for the first time, and tells nobody anything of it.
        May commit a transaction that changes nothing. For example: no coin for the fee, a fee above
        the configured cap, an account that the chain does not know, orderers that serve nobody.
        """

    # for operators

    async def diagnose(self, credential: Credential | None) -> Sequence[Finding]:
        """Reachability, chain id, contract code, clock, the signer's balance. Never raises for
        what it finds wrong: that is what findings are for."""


# --- plugins -------------------------------------------------------------------------------------


class ChainSettings(BaseModel):
    """What every chain's block of configuration has; an adapter's settings derive from it."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    adapter: str = Field(description="Name of the adapter plugin, for example ethereum.")
    chain: str = Field(description="CAIP-2 id that the node must report, for example eip155:1.")
    inclusion: int = Field(ge=0, description="I: seconds from submission to first inclusion.")
    finality: int = Field(ge=0, description="F: seconds from first inclusion to irreversible.")
    clock: int = Field(ge=0, description="ε: seconds between block time and real time, either way.")
    stale_after: int | None = Field(
        default=None,
        ge=1,
        description="Seconds after which a head that does not move is stale. Default: I + ε.",
    )

    def chain_id(self) -> ChainId:
        return ChainId.parse(self.chain)

    def canonical_account(self, account: AccountId) -> AccountId:
        """An account of this chain that an operator wrote, in the one spelling in which the adapter
        tells of it. Override it where people spell one account in several ways. Raises
        InvalidValue, for example where a checksum is wrong."""
        return account

    def canonical_asset(self, asset: AssetId) -> AssetId:
        """The same for an asset."""
        return asset


class AdapterPlugin(Protocol):
    """What an entry point of the group ``isthmus.adapters`` resolves to."""

    @property
    def name(self) -> str: ...

    @property
    def interface(self) -> int:
        """The version of this interface that the plugin was written for."""

    @property
    def settings(self) -> type[ChainSettings]:
        """The pydantic model of its block of configuration."""

    def open(self, name: str, settings: Any) -> AbstractAsyncContextManager[Adapter]:
        """Connects and checks chain id and contract. ``name`` is the operator's name for the
        chain; ``settings`` is an instance of ``settings``. Raises Misconfigured, Unavailable."""

    def credential(self, settings: Any, signer: Signer) -> Credential:
        """The account for which this key speaks under these settings. Raises Misconfigured."""
