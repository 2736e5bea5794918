"""Submitting: an action becomes a call, is tried against the newest state, priced and sent.

What the chain's state alone can refuse is refused before anything that carries a preimage leaves
the process: estimating the gas of a claim shows the preimage to the node, so it comes last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import assert_never

from adapters.ethereum import erc20
from adapters.ethereum.account import Account
from adapters.ethereum.identity import NO_ADDRESS, checksummed
from adapters.ethereum.lock_contract import Call, LockContract
from adapters.ethereum.lock_records import LockRecords
from adapters.ethereum.node_errors import NodeRefused, rejection
from adapters.ethereum.quantities import fields, quantity, to_hex
from adapters.ethereum.rpc import Node, Rpc
from adapters.ethereum.settings import EthereumSettings
from adapters.model import (
    Action,
    ChainProfile,
    Claim,
    Collect,
    InvalidValue,
    Lock,
    LockId,
    LockState,
    LockTerms,
    Preimage,
    Refund,
    Submission,
    Withdraw,
)
from adapters.spi import (
    AdapterError,
    Credential,
    Misconfigured,
    NotSent,
    Rejected,
    RejectionReason,
    Scheme,
    SigningFailed,
    Unavailable,
)

_APPROVAL_WAIT = 0.25
"""Seconds between two looks at whether an approval is in a block."""


class Submitter:
    """Submits for any number of accounts on one chain."""

    def __init__(
        self,
        profile: ChainProfile,
        settings: EthereumSettings,
        rpc: Rpc,
        contract: LockContract,
        records: LockRecords,
    ) -> None:
        self._profile = profile
        self._settings = settings
        self._rpc = rpc
        self._contract = contract
        self._ids = contract.ids
        self._records = records
        self._accounts: dict[bytes, Account] = {}
        self._approving: dict[tuple[bytes, bytes], asyncio.Lock] = {}

    def accounts(self) -> Sequence[Account]:
        return list(self._accounts.values())

    async def submit(self, action: Action, credential: Credential) -> Submission:
        """Raises Rejected, NotSent, Unknown, Unavailable, Misconfigured, InvalidValue."""
        account = self._account(credential)
        try:
            return Submission(await self._submit(action, account))
        except SigningFailed as error:
            raise NotSent(f"{self._profile.name}: cannot sign: {error}") from None
        except NodeRefused as refused:
            raise Unavailable(
                f"{self._profile.name}: the node refuses what it must be able to do: {refused}"
            ) from None

    async def abandon(self, terms: LockTerms, credential: Credential) -> bool:
        """See ``Adapter.abandon``. An approval that was sent for the lock stays: it moves nothing.

        Raises Rejected, NotSent, Unavailable, Misconfigured, InvalidValue."""
        account = self._account(credential)
        self._own(terms, account)
        try:
            return await account.abandon(self._contract.lock(terms))
        except SigningFailed as error:
            raise NotSent(f"{self._profile.name}: cannot sign: {error}") from None
        except NodeRefused as refused:
            raise Unavailable(
                f"{self._profile.name}: the node refuses what it must be able to do: {refused}"
            ) from None

    def _account(self, credential: Credential) -> Account:
        address = self._ids.address_of(credential.account)
        if credential.signer.scheme is not Scheme.SECP256K1:
            raise Misconfigured(
                f"{self._profile.name}: a key of scheme {credential.signer.scheme} cannot sign; "
                "use a secp256k1 key"
            )
        if address not in self._accounts:
            self._accounts[address] = Account(
                self._rpc,
                self._ids.number,
                address,
                credential.signer,
                self._settings.fee_policy(),
                float(max(1, self._settings.inclusion)),
            )
        return self._accounts[address]

    async def _submit(self, action: Action, account: Account) -> str:
        match action:
            case Lock(terms):
                call = await self._lock(terms, account)
            case Claim(lock_id, preimage):
                terms = await self._open_terms(lock_id)
                if preimage.hashlock() != terms.hashlock:
                    raise self._rejected(
                        RejectionReason.WRONG_PREIMAGE, "the preimage does not fit the hashlock"
                    )
                if await self._block_time() >= terms.deadline:
                    raise self._rejected(
                        RejectionReason.DEADLINE_PASSED, f"the deadline {terms.deadline} has passed"
                    )
                call = self._contract.claim(terms, preimage)
            case Refund(lock_id):
                terms = await self._open_terms(lock_id)
                if await self._block_time() < terms.deadline:
                    raise self._rejected(
                        RejectionReason.DEADLINE_NOT_REACHED,
                        f"the deadline {terms.deadline} has not come",
                    )
                call = self._contract.refund(terms)
            case Withdraw(asset):
                if self._ids.token_of(asset) != NO_ADDRESS:
                    raise InvalidValue(
                        f"asset {asset}: only the coin, {self._ids.coin}, is credited"
                    )
                call = self._contract.withdraw_credit(account.address)
            case Collect():
                raise Rejected(
                    "an ended lock owes nothing on this chain: what could not be pushed is credit",
                    RejectionReason.LOCK_SETTLED,
                )
            case _:
                assert_never(action)
        secret = action.preimage if isinstance(action, Claim) else None
        return await self._send(call, account, secret)

    def _rejected(self, reason: RejectionReason, sentence: str) -> Rejected:
        return Rejected(f"{self._profile.name} refuses: {sentence}", reason)

    async def _send(self, call: Call, account: Account, secret: Preimage | None = None) -> str:
        try:
            waiting = await account.pursue(call)
            if waiting is not None:
                return waiting
            gas = await self._rpc.run(lambda node: self._gas(node, call, account.address))
            return await account.send(call, gas)
        except AdapterError as error:
            # A node that repeats the call in its refusal repeats the preimage.
            if secret is not None and secret.value.hex() in str(error).lower():
                raise _without_detail(error) from None
            raise

    # --- before sending ------------------------------------------------------------------------

    async def _block_time(self) -> int:
        async def ask(node: Node) -> int:
            block = fields(await node.call("eth_getBlockByNumber", "latest", False), "a block")
            return quantity(block.get("timestamp"), "the block time")

        return await self._rpc.run(ask)

    async def _coin_held(self, account: Account) -> int:
        async def ask(node: Node) -> int:
            held = await node.call("eth_getBalance", checksummed(account.address), "latest")
            return quantity(held, "a balance")

        return await self._rpc.run(ask)

    async def _open_terms(self, lock_id: LockId) -> LockTerms:
        record = await self._rpc.run(lambda node: self._records.lookup(node, lock_id))
        match record.state:
            case LockState.ABSENT:
                raise self._rejected(
                    RejectionReason.LOCK_ABSENT, f"there is no lock {lock_id.hex()}"
                )
            case LockState.CLAIMED | LockState.REFUNDED:
                raise self._rejected(
                    RejectionReason.LOCK_SETTLED, f"lock {lock_id.hex()} was {record.state} before"
                )
            case LockState.OPEN:
                assert record.terms is not None
                return record.terms
            case _:
                assert_never(record.state)

    def _own(self, terms: LockTerms, account: Account) -> LockId:
        """The id of a lock that is this account's to make. Raises Rejected, InvalidValue."""
        lock_id = self._ids.lock_id(terms)
        if self._ids.address_of(terms.sender, "sender") != account.address:
            raise self._rejected(
                RejectionReason.NOT_AUTHORISED,
                f"{checksummed(account.address)} cannot lock for {terms.sender.address}",
            )
        return lock_id

    async def _lock(self, terms: LockTerms, account: Account) -> Call:
        lock_id = self._own(terms, account)
        record = await self._rpc.run(lambda node: self._records.lookup(node, lock_id))
        if record.state is not LockState.ABSENT:
            raise self._rejected(
                RejectionReason.LOCK_EXISTS, f"lock {lock_id.hex()} is {record.state}"
            )
        token = self._ids.token_of(terms.asset)
        if token == NO_ADDRESS:
            held = await self._coin_held(account)
        else:
            held = await self._token_held(terms, token, account)
        if held < terms.amount:
            raise self._rejected(
                RejectionReason.INSUFFICIENT_BALANCE,
                f"{checksummed(account.address)} holds {held} of {terms.asset}, "
                f"{terms.amount} are to be locked",
            )
        if token != NO_ADDRESS:
            await self._approved(token, terms.amount, account)
        return self._contract.lock(terms)

    async def _token_held(self, terms: LockTerms, token: bytes, account: Account) -> int:
        try:
            return await self._rpc.run(
                lambda node: erc20.balance(node, token, account.address, str(terms.asset))
            )
        except InvalidValue as error:
            raise self._rejected(RejectionReason.BAD_TERMS, str(error)) from None

    async def _approved(self, token: bytes, amount: int, account: Account) -> None:
        """Sees to it that the contract may take the tokens, and returns when it may.

        An allowance without limit is safe here: the contract takes tokens from its caller only,
        and cannot be changed. What is left of a smaller one is taken back first: some tokens,
        USDT among them, change an allowance from zero or to zero only."""
        spender = self._contract.address

        def allowance() -> Awaitable[int]:
            return self._rpc.run(
                lambda node: erc20.allowance(node, token, account.address, spender)
            )

        async with self._approving.setdefault((token, account.address), asyncio.Lock()):
            left = await allowance()
            if left >= amount:
                return
            if self._settings.approve == "never":
                raise self._rejected(
                    RejectionReason.NOT_AUTHORISED,
                    f"{checksummed(account.address)} has not approved {checksummed(spender)} "
                    f"for {amount} of token {checksummed(token)}; do so, or set approve: automatic",
                )
            if left:
                await self._send(erc20.approval(token, spender, 0), account)
                await self._allowed(token, allowance, lambda allowed: allowed == 0)
            await self._send(erc20.approval(token, spender), account)
            await self._allowed(token, allowance, lambda allowed: allowed >= amount)

    async def _allowed(
        self, token: bytes, allowance: Callable[[], Awaitable[int]], fits: Callable[[int], bool]
    ) -> None:
        """Returns once the allowance fits. Raises NotSent where that takes too long."""
        try:
            async with asyncio.timeout(max(1, 2 * self._settings.inclusion)):
                while not fits(await allowance()):  # noqa: ASYNC110 - the chain sends no word
                    await asyncio.sleep(_APPROVAL_WAIT)
        except TimeoutError:
            raise NotSent(
                f"{self._profile.name}: the approval of token {checksummed(token)} is not in a "
                "block yet; the lock was not sent"
            ) from None

    async def _gas(self, node: Node, call: Call, sender: bytes) -> int:
        """A gas limit, a fifth above what the node estimates. For a claim this is the reveal."""
        request = {
            "from": checksummed(sender),
            "to": checksummed(call.to),
            "value": to_hex(call.value),
            "data": to_hex(call.data),
        }
        try:
            estimate = await node.call("eth_estimateGas", request, "latest")
        except NodeRefused as refused:
            known = rejection(refused)
            if known is None:
                raise NotSent(
                    f"{self._profile.name}: the node does not estimate the gas: {refused}"
                ) from None
            raise self._rejected(known[0], known[1]) from None
        return quantity(estimate, "the gas estimate") * 6 // 5


def _without_detail(error: AdapterError) -> AdapterError:
    sentence = "the node's words are left out, because they repeat the call"
    if isinstance(error, Rejected):
        return Rejected(f"refused as {error.reason}; {sentence}", error.reason)
    return type(error)(sentence)
