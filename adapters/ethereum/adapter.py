"""The Ethereum adapter: the interface's methods, put together from the driver's parts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from adapters.ethereum import cursor as cursors
from adapters.ethereum import erc20
from adapters.ethereum.account import Account
from adapters.ethereum.artifact import lock_code_hashes
from adapters.ethereum.claim_cost import claim_cost_obstacles
from adapters.ethereum.claim_standing import claim_standing_obstacles
from adapters.ethereum.diagnosis import diagnose
from adapters.ethereum.follower import Follower
from adapters.ethereum.heads import Heads
from adapters.ethereum.identity import NO_ADDRESS, Identities, parse_address
from adapters.ethereum.ledger_reads import read_block, read_transaction
from adapters.ethereum.lock_contract import LockContract
from adapters.ethereum.lock_records import LockRecords
from adapters.ethereum.log_reader import LogReader
from adapters.ethereum.node_errors import NodeRefused
from adapters.ethereum.quantities import quantity
from adapters.ethereum.rpc import Node, Rpc
from adapters.ethereum.settings import EthereumSettings
from adapters.ethereum.submitter import Submitter
from adapters.model import (
    AccountId,
    Action,
    Asset,
    AssetId,
    Block,
    Bounds,
    Capability,
    ChainProfile,
    Cursor,
    Head,
    Header,
    InvalidValue,
    LockId,
    LockRecord,
    LockTerms,
    Notice,
    Submission,
    Transaction,
)
from adapters.spi import Credential, Finding, Unavailable
from adapters.stretch import Stretch

T = TypeVar("T")

_AT_ONCE = 16
"""Waiting transactions of one account that a node's pool keeps whatever else comes in: the default
of go-ethereum (``--txpool.accountslots``). Their nonces are given out one after the other."""


def profile_of(name: str, settings: EthereumSettings, ids: Identities) -> ChainProfile:
    return ChainProfile(
        chain=ids.chain,
        name=name,
        contract=settings.contract,
        bounds=Bounds(settings.inclusion, settings.finality, settings.clock),
        capabilities=frozenset(
            {
                Capability.HASH_LOCK,
                Capability.LEDGER_READS,
                Capability.TOKENS,
                Capability.CREDIT,
            }
        ),
        stale_after=settings.stale_after or max(1, settings.inclusion + settings.clock),
        # Where gas is free an account needs no coin.
        fee_asset=None if settings.gas_price == 0 else ids.coin,
        at_once=_AT_ONCE,
    )


class EthereumAdapter:
    """One Ethereum chain, through one or several nodes."""

    def __init__(self, name: str, settings: EthereumSettings, rpc: Rpc) -> None:
        self._settings = settings
        self._rpc = rpc
        self._ids = settings.identities()
        self._contract = LockContract(self._ids)
        self._profile = profile_of(name, settings, self._ids)
        self._heads = Heads(self._ids.chain, settings.final_by)
        # One for all: what one stream has learnt of its nodes, the next must not learn again.
        stretch = Stretch(settings.log_range, self._profile.stale_after / 4)
        self._logs = LogReader(self._contract, stretch)
        self._records = LockRecords(self._contract, self._heads, self._logs, settings.deployed_at)
        self._submitter = Submitter(self._profile, settings, rpc, self._contract, self._records)
        self._assets: dict[AssetId, Asset] = {}

    def __repr__(self) -> str:
        return f"EthereumAdapter({self._profile.name}, {self._profile.chain})"

    @property
    def profile(self) -> ChainProfile:
        return self._profile

    async def _run(self, operation: Callable[[Node], Awaitable[T]]) -> T:
        try:
            return await self._rpc.run(operation)
        except NodeRefused as refused:
            raise Unavailable(
                f"{self._profile.name}: the node refuses what it must be able to do: {refused}"
            ) from None

    # --- reading -------------------------------------------------------------------------------

    async def head(self) -> Head:
        async def newest(node: Node) -> Head:
            return (await self._heads.newest(node)).head

        return await self._run(newest)

    async def events(self, cursor: Cursor | None) -> AsyncIterator[Notice]:
        mark = cursors.read(cursor, self._ids) if cursor is not None else None
        follower = Follower(
            self._ids.chain, self._heads, self._logs, self._settings.deployed_at, mark
        )
        while True:
            notice = await self._run(follower.step)
            if notice is not None:
                yield notice
            if follower.caught_up:
                await asyncio.sleep(self._settings.poll_interval)

    def lock_id(self, terms: LockTerms) -> LockId:
        return self._ids.lock_id(terms)

    async def lookup(self, lock_id: LockId) -> LockRecord:
        if len(lock_id) != 32:
            raise InvalidValue(f"lock id is {len(lock_id)} bytes; it must be 32")
        return await self._run(lambda node: self._records.lookup(node, lock_id))

    async def balance(self, account: AccountId, asset: AssetId) -> int:
        holder = self._ids.address_of(account)
        token = self._ids.token_of(asset)
        if token != NO_ADDRESS:
            return await self._run(lambda node: erc20.balance(node, token, holder, str(asset)))

        async def coin(node: Node) -> int:
            answer = await node.call("eth_getBalance", self._ids.account(holder).address, "latest")
            return quantity(answer, "a balance")

        return await self._run(coin)

    async def asset(self, asset: AssetId) -> Asset:
        own = self._ids.read_asset(asset)
        token = self._ids.token_of(own)
        if token == NO_ADDRESS:
            return Asset(own, self._settings.coin_symbol, self._settings.coin_decimals)
        if own not in self._assets:
            self._assets[own] = await self._run(lambda node: erc20.describe(node, token, own))
        return self._assets[own]

    async def assets(self) -> Sequence[Asset]:
        coin = await self.asset(self._ids.coin)
        tokens = [parse_address(text, "tokens") for text in self._settings.tokens]
        return [coin, *[await self.asset(self._ids.asset(token)) for token in tokens]]

    async def header(self, height: int | None = None) -> Header:
        return (await self.block(height)).header

    async def block(self, height: int | None = None) -> Block:
        return await self._run(lambda node: read_block(node, self._ids.chain, height))

    async def transaction(self, transaction: str) -> Transaction:
        return await self._run(lambda node: read_transaction(node, self._ids.chain, transaction))

    # --- acting --------------------------------------------------------------------------------

    async def submit(self, action: Action, credential: Credential) -> Submission:
        return await self._submitter.submit(action, credential)

    async def abandon(self, terms: LockTerms, credential: Credential) -> bool:
        return await self._submitter.abandon(terms, credential)

    async def objections(self, terms: LockTerms) -> Sequence[str]:
        try:
            self.lock_id(terms)
            recipient = self._ids.address_of(terms.recipient, "recipient")
            token = self._ids.token_of(terms.asset)
        except InvalidValue as error:
            return [str(error)]
        found = []
        if recipient in (NO_ADDRESS, self._contract.address):
            found.append(f"recipient {terms.recipient.address} cannot be paid by the contract")
        if token != NO_ADDRESS:
            try:
                await self._run(
                    lambda node: erc20.balance(node, token, recipient, str(terms.asset))
                )
            except InvalidValue as error:
                found.append(str(error))
        return found

    async def claim_obstacles(self, lock_id: LockId, credential: Credential) -> Sequence[str]:
        policy = self._settings.fee_policy()
        holder = self._ids.address_of(credential.account)

        async def seen(node: Node) -> Sequence[str]:
            record = await self._records.lookup(node, lock_id)
            time = (await self._heads.newest(node)).head.time
            return [
                *await claim_standing_obstacles(node, self._ids, record, time),
                *await claim_cost_obstacles(node, holder, policy),
            ]

        return await self._run(seen)

    # --- for operators -------------------------------------------------------------------------

    def accounts(self) -> Sequence[Account]:
        """Those for which something was submitted."""
        return self._submitter.accounts()

    async def diagnose(self, credential: Credential | None) -> Sequence[Finding]:
        expected = expected_code(self._settings)
        return await diagnose(
            self._rpc, self._settings, self._contract, self._heads, expected, credential
        )


def expected_code(settings: EthereumSettings) -> frozenset[bytes]:
    """Hashes of the codes that the lock contract may have."""
    if settings.code_hash is not None:
        return frozenset({bytes.fromhex(settings.code_hash[2:])})
    return lock_code_hashes()
