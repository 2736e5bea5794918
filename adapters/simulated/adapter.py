"""The adapter interface over a simulated chain: one adapter is one node's view of the chain.

Several adapters on one chain may lag behind it by some blocks, freeze at an old head, or be down,
each for itself. An adapter runs no task and never polls: its event streams wait for the chain.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from adapters.model import (
    AccountId,
    Action,
    Asset,
    AssetId,
    Block,
    Bounds,
    Capability,
    ChainProfile,
    Claim,
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
    Refund,
    Submission,
    Transaction,
    Withdraw,
)
from adapters.simulated.accounts import account_of
from adapters.simulated.chain import PooledTransaction, SimulatedBlock, SimulatedChain
from adapters.simulated.faults import FaultPlan
from adapters.simulated.follower import Follower, head_of
from adapters.simulated.identity import lock_id_of
from adapters.spi import (
    Credential,
    Finding,
    NotSent,
    Rejected,
    RejectionReason,
    SigningFailed,
    Unavailable,
)


class SimulatedAdapter:
    """A view of a simulated chain. Satisfies ``adapters.spi.Adapter``."""

    def __init__(
        self,
        chain: SimulatedChain,
        *,
        bounds: Bounds,
        name: str = "simulated",
        stale_after: int | None = None,
        faults: FaultPlan | None = None,
        lag: int = 0,
        at_once: int = 1,
    ) -> None:
        self._chain = chain
        self._faults = faults if faults is not None else FaultPlan()
        self._lag = lag
        self._frozen: SimulatedBlock | None = None
        self._down = False
        self._wakers: set[asyncio.Event] = set()
        self.profile = ChainProfile(
            chain=chain.id,
            name=name,
            contract=chain.contract,
            bounds=bounds,
            capabilities=frozenset(Capability),
            stale_after=stale_after if stale_after is not None else bounds.inclusion + bounds.clock,
            fee_asset=chain.coin.id if chain.rules.fee else None,
            at_once=at_once,
        )

    # --- what the view shows, set by the simulation ----------------------------------------------

    @property
    def lag(self) -> int:
        """By how many blocks this view is behind the chain."""
        return self._lag

    @lag.setter
    def lag(self, blocks: int) -> None:
        self._lag = blocks
        self._wake()

    def freeze(self, height: int | None = None) -> None:
        """Shows the block at this height (None: the one shown now) as the head until ``thaw``.

        A block shown stays shown after a reorg has taken it off the chain.
        """
        self._frozen = self._block() if height is None else self._chain.at(height)
        self._wake()

    def thaw(self) -> None:
        self._frozen = None
        self._wake()

    @property
    def down(self) -> bool:
        """While down, every call and every stream raises Unavailable."""
        return self._down

    @down.setter
    def down(self, down: bool) -> None:
        self._down = down
        self._wake()

    def _wake(self) -> None:
        for waker in self._wakers:
            waker.set()

    def _block(self) -> SimulatedBlock:
        if self._frozen is not None:
            return self._frozen
        newest = self._chain.newest
        return newest if self._lag == 0 else self._chain.at(max(0, newest.height - self._lag))

    def _time(self, block: SimulatedBlock) -> int:
        # A tick without a block is seen only by a view that is up to date.
        return self._chain.time if block is self._chain.newest else block.time

    def _reach(self, call: str) -> SimulatedBlock:
        if self._down:
            raise Unavailable(f"{self.profile.name}: the node does not answer ({call})")
        error = self._faults.reading(self.profile.name, call)
        if error is not None:
            raise error
        return self._block()

    # --- reading -----------------------------------------------------------------------------

    async def head(self) -> Head:
        block = self._reach("head")
        return head_of(self._chain, block, self._time(block))

    async def events(self, cursor: Cursor | None) -> AsyncIterator[Notice]:
        follower = Follower(self._chain, cursor)
        waker = asyncio.Event()
        stop_listening = self._chain.listen(waker.set)
        self._wakers.add(waker)
        try:
            while True:
                waker.clear()
                block = self._reach("events")
                notice = follower.step(block, self._time(block))
                if notice is None:
                    await waker.wait()
                    continue
                yield notice
                if notice.observations and self._faults.repeats(self.profile.name):
                    yield notice
        finally:
            stop_listening()
            self._wakers.discard(waker)

    def lock_id(self, terms: LockTerms) -> LockId:
        if terms.chain != self._chain.id:
            raise InvalidValue(f"the terms are for {terms.chain}; this chain is {self._chain.id}")
        return lock_id_of(terms)

    async def lookup(self, lock_id: LockId) -> LockRecord:
        block = self._reach("lookup")
        found = self._chain.lock(lock_id, block)
        if found is None:
            return LockRecord(lock_id, LockState.ABSENT, final=False)
        height, entry = found
        final = height <= block.height - self._chain.rules.depth
        return LockRecord(lock_id, entry.state, final, entry.terms, entry.preimage)

    async def balance(self, account: AccountId, asset: AssetId) -> int:
        block = self._reach("balance")
        if account.chain != self._chain.id:
            raise InvalidValue(f"account {account} is not on {self._chain.id}")
        self._known(asset)
        return self._chain.balance(account, asset, block)

    def _known(self, asset: AssetId) -> Asset:
        found = self._chain.assets.get(asset)
        if found is None:
            raise InvalidValue(f"{self._chain.id} has no asset {asset}")
        return found

    async def asset(self, asset: AssetId) -> Asset:
        self._reach("asset")
        return self._known(asset)

    async def assets(self) -> Sequence[Asset]:
        self._reach("assets")
        return tuple(self._chain.assets.values())

    def _visible(self, head: SimulatedBlock, height: int | None) -> SimulatedBlock:
        """The block at a height on the branch that this view shows."""
        if height is None:
            return head
        if not 0 <= height <= head.height:
            raise InvalidValue(
                f"{self._chain.id} has no block {height}; its newest is {head.height}"
            )
        block = head
        while not self._chain.canonical(block) and block.height > height:
            assert block.parent is not None, "genesis is canonical"
            block = block.parent
        return block if block.height == height else self._chain.at(height)

    async def header(self, height: int | None = None) -> Header:
        return self._header_of(self._visible(self._reach("header"), height))

    def _header_of(self, block: SimulatedBlock) -> Header:
        parent_hash = block.parent.hash if block.parent is not None else bytes(32)
        return Header(self._chain.id, block.height, block.hash, parent_hash, block.time)

    async def block(self, height: int | None = None) -> Block:
        block = self._visible(self._reach("block"), height)
        return Block(
            self._header_of(block), tuple(receipt.transaction.id for receipt in block.receipts)
        )

    async def transaction(self, transaction: str) -> Transaction:
        head = self._reach("transaction")
        height = self._chain.place_of(transaction)
        if height is not None and height <= head.height:
            block = self._visible(head, height)
            for index, receipt in enumerate(block.receipts):
                if receipt.transaction.id == transaction:
                    refusal = receipt.refusal
                    return Transaction(
                        id=transaction,
                        height=height,
                        block_hash=block.hash,
                        index=index,
                        succeeded=refusal is None,
                        status="ok" if refusal is None else f"{refusal.reason}: {refusal.sentence}",
                        fee=receipt.fee,
                        raw=_encode(receipt.transaction.account, receipt.transaction.action),
                        payer=receipt.transaction.account if receipt.fee else None,
                    )
        raise InvalidValue(f"{self._chain.id} has no transaction {transaction[:80]!r}")

    # --- acting ------------------------------------------------------------------------------

    async def submit(self, action: Action, credential: Credential) -> Submission:
        name, chain = self.profile.name, self._chain
        if self._down:
            raise NotSent(f"{name}: the node does not answer (submit)")
        account = credential.account
        if account != account_of(chain.id, credential.signer.public_key):
            raise Rejected(
                f"{name}: the key does not speak for {account}", RejectionReason.NOT_AUTHORISED
            )
        block = self._block()
        refusal = chain.refusal(action, account, block, self._time(block))
        if refusal is not None:
            raise Rejected(f"{name}: {refusal.sentence}", refusal.reason)
        transaction = chain.next_transaction()
        try:
            await credential.signer.sign(bytes.fromhex(transaction))
        except SigningFailed as error:
            raise NotSent(f"{name}: not signed: {error}") from error
        # From here on nothing is awaited: a cancelled call has sent nothing.
        fate = self._faults.submission(name, action, account, chain.time)
        not_before = chain.time + fate.delay
        for copy in range(fate.copies):
            copy_id = transaction if copy == 0 else chain.next_transaction()
            chain.submit(PooledTransaction(copy_id, account, action, not_before))
        if fate.error is not None:
            raise fate.error
        return Submission(transaction)

    async def abandon(self, terms: LockTerms, credential: Credential) -> bool:
        self._reach("abandon")
        self.lock_id(terms)
        if terms.sender != credential.account:
            raise Rejected(
                f"{self.profile.name}: {credential.account} cannot lock for {terms.sender}",
                RejectionReason.NOT_AUTHORISED,
            )
        self._chain.withdraw(Lock(terms), credential.account)
        return True

    async def objections(self, terms: LockTerms) -> Sequence[str]:
        self._reach("objections")
        chain = self._chain
        if terms.chain != chain.id or terms.contract != chain.contract:
            return (f"the lock is for {terms.contract} on {terms.chain}, not for this contract",)
        found = []
        if terms.asset not in chain.assets:
            found.append(f"{chain.id} has no asset {terms.asset}")
        found.extend(
            f"{party} can veto an endorsement, so it could stop the other side's claim"
            for party in (terms.sender, terms.recipient)
            if party in chain.vetoing
        )
        return tuple(found)

    async def claim_obstacles(self, lock_id: LockId, credential: Credential) -> Sequence[str]:
        block = self._reach("claim_obstacles")
        fee = self._chain.rules.fee
        held = self._chain.balance(credential.account, self._chain.coin.id, block) if fee else 0
        if held < fee:
            return (f"{credential.account} holds {held}, and a transaction costs {fee}",)
        return ()

    # --- for operators -------------------------------------------------------------------------

    async def diagnose(self, credential: Credential | None) -> Sequence[Finding]:
        try:
            block = self._reach("diagnose")
        except Unavailable as error:
            return (Finding("reachability", False, str(error), "bring the node back"),)
        behind = self._chain.newest.height - block.height
        findings = [
            Finding("reachability", True, f"block {block.height}"),
            Finding("chain id", True, str(self._chain.id)),
            Finding("contract", True, self._chain.contract),
            Finding(
                "head",
                behind == 0,
                f"{behind} blocks behind the chain",
                "" if behind == 0 else "thaw the view or set its lag to 0",
            ),
        ]
        if credential is not None and self.profile.fee_asset is not None:
            held = self._chain.balance(credential.account, self.profile.fee_asset, block)
            findings.append(
                Finding(
                    "signer balance",
                    held >= self._chain.rules.fee,
                    f"{held} smallest units; one transaction costs {self._chain.rules.fee}",
                    "" if held >= self._chain.rules.fee else f"fund {credential.account}",
                )
            )
        return tuple(findings)


def _encode(account: AccountId, action: Action) -> bytes:
    """The chain's own encoding of a transaction: words of text. What is on a chain is public, so
    that of a claim holds the preimage."""
    words: tuple[object, ...]
    match action:
        case Lock(terms):
            words = (
                "lock", terms.contract, terms.sender, terms.recipient, terms.asset, terms.amount,
                terms.hashlock.hex(), terms.deadline,
            )  # fmt: skip
        case Claim(lock_id, preimage):
            words = ("claim", lock_id.hex(), preimage.value.hex())
        case Refund(lock_id):
            words = ("refund", lock_id.hex())
        case Withdraw(asset):
            words = ("withdraw", asset)
    return " ".join(str(word) for word in (account, *words)).encode()
