"""Submitting on the native ledger: a sequence number is taken, the operation signed, handed over.

A node keeps what it has taken until a block takes it, and this process hands nothing in twice. What
can still come late is a transaction that a node kept to itself, or one that a block has refused:
its number is not used by that, and whoever has seen the bytes may hand them in again. So a lock
that is abandoned has its number used up by an operation that moves nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from adapters.codec.secp256k1 import compress
from adapters.model import Submission
from adapters.native.answers import CheckAnswer, QueryAnswer, read_check, read_waiting
from adapters.native.app.canonical import Malformed
from adapters.native.app.codes import CODESPACE, Code
from adapters.native.app.records import Account, account_key
from adapters.native.app.transaction import (
    OpenLock,
    Operation,
    RotateKey,
    Unsigned,
    decode,
    rotation_digest,
    transaction_id,
)
from adapters.native.cometbft.block import base64_text
from adapters.native.errors import ALREADY_KNOWN, broadcast_failure, refusal
from adapters.native.rpc_client import RpcClient, RpcFailure
from adapters.native.sequences import SequenceBook, WindowFull
from adapters.spi import (
    Credential,
    Misconfigured,
    NotSent,
    Rejected,
    RejectionReason,
    Scheme,
    SigningFailed,
    Unavailable,
)

_MOST_SHOWN = 100
"""Waiting transactions that CometBFT shows at the most."""


class Submitter:
    """Submits for any number of accounts on one chain. ``query`` asks the application."""

    def __init__(
        self, label: str, client: RpcClient, query: Callable[[str, bytes], Awaitable[QueryAnswer]]
    ) -> None:
        self._label = label
        self._client = client
        self._query = query
        self._sequences = SequenceBook(self._pending)
        self._locks: dict[bytes, set[tuple[int, OpenLock]]] = {}
        """Each account's locks that were handed over, with the numbers that they had."""

    async def submit(
        self, genesis: bytes, account: bytes, operation: Operation, credential: Credential
    ) -> Submission:
        """Raises Rejected, NotSent, Unknown, Misconfigured."""
        self._check_key(credential)
        sent = self._locks.setdefault(account, set())
        async with self._sequences.turn(account) as turn:
            # The second time with a fresh copy of the chain's record, and no third.
            for last in (False, True):
                try:
                    sequence = await turn.next()
                except WindowFull as error:
                    raise NotSent(
                        f"{self._label}: too many transactions of the account wait; try later"
                    ) from error
                raw = await self._signed(
                    Unsigned(genesis, account, sequence, operation), credential
                )
                known = set(sent)
                # Remembered before it is sent: a call that is cancelled half-way may have sent it.
                if isinstance(operation, OpenLock):
                    sent.add((sequence, operation))
                try:
                    answer = await self._broadcast(raw)
                except BaseException:
                    turn.forget()
                    raise
                if answer.code == Code.OK:
                    turn.taken(sequence)
                    return Submission(transaction_id(raw))
                sent &= known
                stale = answer.codespace == CODESPACE and answer.code == Code.BAD_SEQUENCE
                if stale:
                    turn.forget()
                if last or not stale:
                    raise refusal(self._label, answer.code, answer.codespace, answer.log)
        raise AssertionError("the second try returns or raises")

    async def abandon(
        self, genesis: bytes, account: bytes, lock: OpenLock, credential: Credential
    ) -> bool:
        """See ``Adapter.abandon``. Raises Rejected, NotSent, Unknown, Unavailable, Misconfigured.

        A lock that waits in the node's pool is in the next block: nothing takes it out. One that
        does not, and whose number is not used, has it used up."""
        self._check_key(credential)
        sent = self._locks.setdefault(account, set())
        async with self._sequences.turn(account) as turn:
            # Those that another process sent: after a restart nothing is remembered.
            sent |= await self._waiting(account)
            on_chain = await self._account("/key", account)
            sent -= {one for one in sent if on_chain.has_used(one[0])}
            numbers = [number for number, one in sent if one == lock]
            if not numbers:
                return True
            pending = await self._account("/pending", account)
            for number in numbers:
                if pending.can_use(number):
                    turn.forget()
                    await self._use_up(genesis, account, number, credential)
            return False

    async def _use_up(
        self, genesis: bytes, account: bytes, number: int, credential: Credential
    ) -> None:
        """Gives the account the key that it has: that moves nothing, and is always valid."""
        key = compress(credential.signer.public_key)
        try:
            possession = await credential.signer.sign(
                rotation_digest(genesis, account, number, key)
            )
        except SigningFailed as error:
            raise NotSent(f"{self._label}: nothing was signed: {error}") from error
        nothing = Unsigned(genesis, account, number, RotateKey(key, possession))
        answer = await self._broadcast(await self._signed(nothing, credential))
        if answer.code != Code.OK:
            raise refusal(self._label, answer.code, answer.codespace, answer.log)

    def _check_key(self, credential: Credential) -> None:
        if credential.signer.scheme is not Scheme.SECP256K1:
            raise Misconfigured(f"{self._label}: the key must be secp256k1")

    async def _signed(self, unsigned: Unsigned, credential: Credential) -> bytes:
        try:
            signature = await credential.signer.sign(unsigned.digest())
        except SigningFailed as error:
            raise NotSent(f"{self._label}: nothing was signed: {error}") from error
        return unsigned.signed(signature).encode()

    async def _broadcast(self, raw: bytes) -> CheckAnswer:
        try:
            params = {"tx": base64_text(raw)}
            return await self._client.send("broadcast_tx_sync", params, read_check)
        except RpcFailure as failure:
            if failure.data == ALREADY_KNOWN:
                return CheckAnswer(Code.OK, CODESPACE, "", transaction_id(raw))
            raise broadcast_failure(self._label, failure) from failure

    async def _waiting(self, account: bytes) -> set[tuple[int, OpenLock]]:
        """The account's locks among what the node shows of its pool, with their numbers."""
        try:
            shown = await self._client.read(
                "unconfirmed_txs", {"limit": str(_MOST_SHOWN)}, read_waiting
            )
        except RpcFailure as failure:
            raise Unavailable(f"{self._label}: {failure}") from failure
        found = set()
        for raw in shown:
            try:
                unsigned = decode(raw).unsigned
            except Malformed:
                continue
            if unsigned.sender == account and isinstance(unsigned.operation, OpenLock):
                found.add((unsigned.sequence, unsigned.operation))
        return found

    async def _pending(self, account: bytes) -> Account:
        try:
            return await self._account("/pending", account)
        except Unavailable as error:
            raise NotSent(str(error)) from error

    async def _account(self, path: str, account: bytes) -> Account:
        answer = await self._query(path, account_key(account))
        try:
            record = None if answer.value is None else Account.decode(answer.value)
        except ValueError as error:
            raise Unavailable(f"{self._label}: the node shows no account but noise") from error
        if record is None:
            raise Rejected(
                f"{self._label}: account {account.hex()} is not on the chain; "
                "another account has to create it first",
                RejectionReason.NOT_AUTHORISED,
            )
        return record
