"""The native ledger's adapter: speaks CometBFT's RPC to embedded and to real nodes alike."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, TypeVar, assert_never

from adapters.codec.secp256k1 import compress
from adapters.model import (
    AccountId,
    Action,
    Asset,
    AssetId,
    Block,
    Bounds,
    Capability,
    ChainId,
    ChainProfile,
    Claim,
    Collect,
    Cursor,
    Head,
    Header,
    InvalidValue,
    Lock,
    LockId,
    LockRecord,
    LockState,
    LockTerms,
    Notice,
    Preimage,
    Refund,
    Submission,
    Transaction,
    Withdraw,
    check_amount,
    check_hashlock,
)
from adapters.native.answers import (
    Meta,
    QueryAnswer,
    read_block,
    read_info_height,
    read_metas,
    read_query,
)
from adapters.native.app.codes import Code
from adapters.native.app.genesis import NAMESPACE
from adapters.native.app.locks import identify
from adapters.native.app.names import LOCK_MODULE
from adapters.native.app.records import (
    HEAD_KEY,
    Account,
    AssetRecord,
    HeadRecord,
    LockEntry,
    Settlement,
    account_key,
    asset_key,
    balance_key,
    decode_balance,
    lock_key,
)
from adapters.native.app.transaction import (
    ClaimLock,
    OpenLock,
    Operation,
    RefundLock,
    transaction_id,
)
from adapters.native.diagnosis import diagnose
from adapters.native.identity import verify_node
from adapters.native.names import account_bytes, account_name, asset_name, asset_symbol
from adapters.native.rpc_client import Implausible, Node, Parse, RpcClient, RpcFailure
from adapters.native.settings import NativeSettings
from adapters.native.stream import LONGEST_STRETCH, EventStream, Place, head_of
from adapters.native.submitter import Submitter
from adapters.native.transaction_reader import TransactionReader
from adapters.native.wakeups import Wakeups
from adapters.spi import (
    Credential,
    Finding,
    Misconfigured,
    Rejected,
    RejectionReason,
    Scheme,
    Unavailable,
)
from adapters.stretch import Stretch

T = TypeVar("T")

_AT_ONCE = 16
"""Submissions of one account at once: far fewer than the window of sequence numbers holds, so that
those that wait for their block leave room for the next."""

_STATES = {
    Settlement.OPEN: LockState.OPEN,
    Settlement.CLAIMED: LockState.CLAIMED,
    Settlement.REFUNDED: LockState.REFUNDED,
}


class NativeAdapter:
    """Implements ``adapters.spi.Adapter``. Made by the plugin's ``open``, which calls ``start``."""

    def __init__(self, name: str, settings: NativeSettings, client: RpcClient) -> None:
        chain = settings.chain_id()
        self._settings = settings
        self._chain = chain
        self._label = client.label
        self._client = client
        self._client.verify = self._verify
        self._submitter = Submitter(self._label, self._client, self._query)
        self._genesis = b""
        self._highest = 0
        self._profile = ChainProfile(
            chain=chain,
            name=name,
            contract=settings.contract,
            bounds=Bounds(settings.inclusion, settings.finality, settings.clock),
            capabilities=frozenset(
                {Capability.HASH_LOCK, Capability.LEDGER_READS, Capability.TOKENS}
            ),
            stale_after=settings.stale_after or max(1, settings.inclusion + settings.clock),
            fee_asset=None,
            at_once=_AT_ONCE,
        )
        stretch = Stretch(LONGEST_STRETCH, self._profile.stale_after / 4)
        self._transactions = TransactionReader(self._label, self._client, self.head, self._meta)
        self._stream = EventStream(chain, self._client, self._newest, stretch)

    async def start(self) -> None:
        """Checks chain id, application and assets. Raises Misconfigured, Unavailable."""
        if self._chain.namespace != NAMESPACE:
            raise Misconfigured(
                f"{self._label}: chain must be {NAMESPACE}:… for the native adapter"
            )
        for symbol in self._settings.assets:
            try:
                await self.asset(asset_name(symbol, self._chain))
            except InvalidValue as error:
                raise Misconfigured(f"{self._label}: assets: {error}") from error
        await self.head()

    @property
    def profile(self) -> ChainProfile:
        return self._profile

    # --- reading ---------------------------------------------------------------------------------

    async def head(self) -> Head:
        return head_of(self._chain, await self._newest())

    async def events(self, cursor: Cursor | None) -> AsyncIterator[Notice]:
        settings = self._settings
        wakeups = Wakeups(self._client, settings.request_timeout, settings.poll_interval)
        notices = self._stream.notices(Place.of(cursor), wakeups)
        try:
            async for notice in notices:
                yield notice
        finally:
            await notices.aclose()  # type: ignore[attr-defined]

    def lock_id(self, terms: LockTerms) -> LockId:
        if terms.chain != self._chain or terms.contract != self._profile.contract:
            raise InvalidValue(
                f"these terms are for {terms.contract} on {terms.chain}, "
                f"not for {self._profile.contract} on {self._chain}"
            )
        sender = account_bytes(terms.sender, self._chain)
        return LockId(identify(self._genesis, sender, self._opening(terms)))

    async def lookup(self, lock_id: LockId) -> LockRecord:
        entry = await self._lock_entry(lock_id)
        if entry is None:
            return LockRecord(lock_id, LockState.ABSENT, final=True)
        terms = LockTerms(
            chain=self._chain,
            contract=LOCK_MODULE,
            sender=account_name(entry.sender, self._chain),
            recipient=account_name(entry.recipient, self._chain),
            asset=asset_name(entry.symbol, self._chain),
            amount=entry.amount,
            hashlock=check_hashlock(entry.hashlock),
            deadline=entry.deadline,
        )
        preimage = Preimage(entry.preimage) if entry.preimage else None
        return LockRecord(lock_id, _STATES[entry.settlement], True, terms, preimage)

    async def balance(self, account: AccountId, asset: AssetId) -> int:
        await self.asset(asset)
        symbol = asset_symbol(asset, self._chain)
        key = balance_key(symbol, account_bytes(account, self._chain))
        return await self._record(key, decode_balance)

    async def asset(self, asset: AssetId) -> Asset:
        symbol = asset_symbol(asset, self._chain)
        record = await self._record(
            asset_key(symbol), lambda raw: None if raw is None else AssetRecord.decode(raw)
        )
        if record is None:
            raise InvalidValue(f"asset {asset} is not registered on the chain")
        return Asset(asset, symbol, record.decimals)

    async def assets(self) -> Sequence[Asset]:
        return [await self.asset(asset_name(s, self._chain)) for s in self._settings.assets]

    async def header(self, height: int | None = None) -> Header:
        meta = await self._meta(await self._known_height(height))
        return _header(self._chain, meta)

    async def block(self, height: int | None = None) -> Block:
        asked = await self._known_height(height)
        found, block = await self._read("block", {"height": str(asked)}, read_block)
        meta = Meta(found, block.header, len(block.txs))
        return Block(_header(self._chain, meta), tuple(transaction_id(tx) for tx in block.txs))

    async def transaction(self, transaction: str) -> Transaction:
        return await self._transactions.read(transaction)

    # --- acting ----------------------------------------------------------------------------------

    async def submit(self, action: Action, credential: Credential) -> Submission:
        """Nothing of a claim leaves this process unless the lock is open, not past its deadline,
        and the preimage is the right one."""
        account = account_bytes(credential.account, self._chain)
        match action:
            case Lock(terms):
                self._own(terms, credential)
                operation: Operation = self._opening(terms)
            case Claim(lock_id, preimage):
                await self._check_claim(lock_id, preimage)
                operation = ClaimLock(lock_id, preimage.value)
            case Refund(lock_id):
                operation = RefundLock(lock_id)
            case Withdraw():
                raise Rejected(
                    f"{self._label}: this chain leaves no credit to withdraw",
                    RejectionReason.BAD_TERMS,
                )
            case Collect():
                raise Rejected(
                    f"{self._label}: an ended lock owes nothing on this chain",
                    RejectionReason.LOCK_SETTLED,
                )
            case _:
                assert_never(action)
        return await self._submitter.submit(self._genesis, account, operation, credential)

    async def abandon(self, terms: LockTerms, credential: Credential) -> bool:
        self._own(terms, credential)
        account = account_bytes(credential.account, self._chain)
        return await self._submitter.abandon(
            self._genesis, account, self._opening(terms), credential
        )

    async def objections(self, terms: LockTerms) -> Sequence[str]:
        try:
            identity = self.lock_id(terms)
        except InvalidValue as error:
            return [f"{error}."]
        found = []
        symbol = asset_symbol(terms.asset, self._chain)
        if await self._record(asset_key(symbol), lambda raw: raw) is None:
            found.append(f"The asset {symbol} is not registered on {self._chain}.")
        for role, party in (("sender", terms.sender), ("recipient", terms.recipient)):
            key = account_key(account_bytes(party, self._chain))
            if await self._record(key, lambda raw: raw) is None:
                found.append(f"The {role} {party} is not an account of the chain.")
        if await self._lock_entry(identity) is not None:
            found.append(f"Lock {identity.hex()} was opened before; its id is never used again.")
        head = await self.head()
        if terms.deadline <= head.time:
            found.append(
                f"The deadline {terms.deadline} is not after the chain's time {head.time}."
            )
        return found

    async def claim_obstacles(self, lock_id: LockId, credential: Credential) -> Sequence[str]:
        standing = await self._standing(lock_id)
        if standing is not None:
            return [standing[1]]
        key = account_key(account_bytes(credential.account, self._chain))
        record = await self._record(key, lambda raw: None if raw is None else Account.decode(raw))
        if record is None:
            return [f"{credential.account} is not an account of the chain"]
        if credential.signer.scheme is not Scheme.SECP256K1:
            return [f"the key of {credential.account} must be secp256k1"]
        if record.public_key != compress(credential.signer.public_key):
            return [f"{credential.account} has another key than the one that signs here"]
        return []

    # --- for operators ---------------------------------------------------------------------------

    async def diagnose(self, credential: Credential | None) -> Sequence[Finding]:
        return await diagnose(self._client, self._settings, credential)

    # --- inside ----------------------------------------------------------------------------------

    def _own(self, terms: LockTerms, credential: Credential) -> None:
        """Refuses a lock that is not the credential's to make. Raises Rejected, InvalidValue."""
        self.lock_id(terms)
        if terms.sender != credential.account:
            raise Rejected(
                f"{self._label}: the lock's sender is {terms.sender}, "
                f"but the key speaks for {credential.account}",
                RejectionReason.NOT_AUTHORISED,
            )

    def _opening(self, terms: LockTerms) -> OpenLock:
        """Raises InvalidValue for what has no encoding, even where terms were never checked."""
        check_hashlock(terms.hashlock)
        check_amount(terms.amount)
        if not 0 < terms.deadline < 2**63:
            raise InvalidValue(f"deadline {terms.deadline} is not a Unix time in seconds")
        return OpenLock(
            recipient=account_bytes(terms.recipient, self._chain),
            symbol=asset_symbol(terms.asset, self._chain),
            amount=terms.amount,
            hashlock=terms.hashlock,
            deadline=terms.deadline,
        )

    async def _check_claim(self, lock_id: LockId, preimage: Preimage) -> None:
        standing = await self._standing(lock_id, preimage)
        if standing is not None:
            reason, sentence = standing
            raise Rejected(f"{self._label}: {sentence}", reason)

    async def _standing(
        self, lock_id: LockId, preimage: Preimage | None = None
    ) -> tuple[RejectionReason, str] | None:
        """Why the chain would refuse a claim of this lock now, and with this preimage if it is
        given; None where the chain's state shows nothing against it."""
        entry = await self._lock_entry(lock_id)
        name = lock_id.hex()
        if entry is None:
            return RejectionReason.LOCK_ABSENT, f"there is no lock {name}"
        if entry.settlement is not Settlement.OPEN:
            word = entry.settlement.name.lower()
            return RejectionReason.LOCK_SETTLED, f"lock {name} was {word} before"
        if preimage is not None and preimage.hashlock() != entry.hashlock:
            return RejectionReason.WRONG_PREIMAGE, f"the preimage is not that of lock {name}"
        time = await self._record(HEAD_KEY, _head_seconds)
        if time >= entry.deadline:
            return (
                RejectionReason.DEADLINE_PASSED,
                f"the chain's time {time} is not before the deadline {entry.deadline} of "
                f"lock {name}",
            )
        return None

    async def _lock_entry(self, lock_id: LockId) -> LockEntry | None:
        return await self._record(
            lock_key(lock_id), lambda raw: None if raw is None else LockEntry.decode(raw)
        )

    async def _record(self, key: bytes, decode: Callable[[bytes | None], T]) -> T:
        answer = await self._query("/key", key)
        try:
            return decode(answer.value)
        except ValueError as error:
            raise Unavailable(f"{self._label}: the node shows no record but noise") from error

    async def _query(self, path: str, key: bytes) -> QueryAnswer:
        params = {"path": path, "data": key.hex(), "height": "0", "prove": False}
        answer = await self._read("abci_query", params, self._plausible_answer)
        if answer.code != Code.OK:
            raise Unavailable(f"{self._label}: the node refuses to read {path}: {answer.log[:200]}")
        return answer

    def _is_stale(self, meta: Meta) -> bool:
        """Whether the node may be behind, or cut off from the others; or the chain halts."""
        return time.time() - meta.header.time.seconds > self._profile.stale_after

    async def _known_height(self, height: int | None) -> int:
        newest = (await self.head()).height
        if height is None:
            return newest
        if not 0 < height <= newest:
            raise InvalidValue(f"height {height} is not between 1 and the newest, {newest}")
        return height

    async def _newest(self) -> Meta:
        """The newest block whose results can be read. Raises Unavailable, Misconfigured."""
        height = await self._read("abci_info", {}, self._plausible_height)
        meta = await self._meta(height)
        if self._is_stale(meta) and await self._client.prefer_furthest(self._plausible_height):
            height = await self._read("abci_info", {}, self._plausible_height)
            meta = await self._meta(height)
        self._highest = max(self._highest, height)
        return meta

    async def _meta(self, height: int) -> Meta:
        params = {"minHeight": str(height), "maxHeight": str(height)}
        (meta,) = await self._read("blockchain", params, lambda r: read_metas(r, height, height))
        return meta

    async def _read(self, method: str, params: dict[str, Any], parse: Parse[T]) -> T:
        try:
            return await self._client.read(method, params, parse)
        except RpcFailure as failure:
            raise Unavailable(f"{self._label}: {failure}") from failure

    def _plausible_height(self, result: Any) -> int:
        height = read_info_height(result)
        self._refuse_past(height)
        return height

    def _plausible_answer(self, result: Any) -> QueryAnswer:
        answer = read_query(result)
        self._refuse_past(answer.height)
        return answer

    def _refuse_past(self, height: int) -> None:
        if height < 1:
            raise Implausible("it has no block yet")
        if height < self._highest:
            raise Implausible(
                f"it is at height {height}, behind height {self._highest} that was seen before: "
                "it went back in time, or is still catching up"
            )

    async def _verify(self, node: Node) -> None:
        self._genesis = await verify_node(self._client, node, self._chain, self._label)


def _header(chain: ChainId, meta: Meta) -> Header:
    header = meta.header
    parent = header.last_block_id.hash or bytes(32)
    return Header(chain, header.height, meta.hash, parent, header.time.seconds)


def _head_seconds(raw: bytes | None) -> int:
    if raw is None:
        raise ValueError("the chain has no head")
    return HeadRecord.decode(raw).time.seconds
