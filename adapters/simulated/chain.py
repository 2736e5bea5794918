"""A chain in memory: blocks, a mempool, balances, locks. Pure and deterministic.

There is no clock, thread, task or chance in here. The owner steps it: ``produce_block(time)`` takes
what is due from the mempool, ``reorg`` replaces the newest blocks, ``tick`` moves chain time on
without a block. Listeners are called after each change. Reading is possible as of any block, one
on a vanished fork included, because a node may show an old or an orphaned head.

Two behaviours, by ``Rules``: like an EVM chain, a transaction is checked when it is submitted and
again, with the block's time, when it is included, and is final some blocks later; with ``late``,
like Fabric, times are checked only when it is submitted (endorsed), so that a claim endorsed before
the deadline lands after it unless the refund has landed first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping

from adapters.model import (
    AccountId,
    Action,
    Asset,
    AssetId,
    ChainId,
    InvalidValue,
    LockEvent,
    LockId,
    LockState,
    Observation,
    Position,
    Stage,
    check_amount,
)
from adapters.simulated.contract import (
    Key,
    LockContract,
    LockEntry,
    Read,
    Refusal,
    Value,
    add,
    balance_key,
    credit_key,
    lock_key,
    number,
)
from adapters.values import dataclass


@dataclass(frozen=True, slots=True)
class Rules:
    """How a chain behaves.

    depth  blocks on top of a block that make it final; 0: final at once
    late   times are checked at submission only (Fabric), not again at inclusion (EVM)
    fee    what each included transaction costs its account, in smallest units of the coin
    """

    depth: int = 2
    late: bool = False
    fee: int = 0


@dataclass(frozen=True, slots=True)
class PooledTransaction:
    """A submission that waits for a block whose time is at least ``not_before``."""

    id: str
    account: AccountId
    action: Action
    not_before: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """A transaction in a block. ``refusal`` is None where it succeeded."""

    transaction: PooledTransaction
    refusal: Refusal | None
    fee: int


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedBlock:
    """A block; two are the same only if they are the same object. ``writes`` is what it changed."""

    height: int
    hash: bytes
    parent: SimulatedBlock | None
    time: int
    receipts: tuple[Receipt, ...]
    events: tuple[tuple[Position, LockEvent], ...]
    writes: Mapping[Key, Value]

    def observations(self, chain: ChainId, stage: Stage) -> tuple[Observation, ...]:
        return tuple(Observation(chain, event, stage, place) for place, event in self.events)


class SimulatedChain:
    """One chain, seen by any number of adapters. ``coin`` is the asset that fees are paid in."""

    def __init__(
        self,
        chain: ChainId,
        *,
        coin: Asset,
        tokens: Iterable[Asset] = (),
        rules: Rules | None = None,
        contract: str = "locks",
        genesis_time: int = 0,
    ) -> None:
        self.id = chain
        self.rules = rules if rules is not None else Rules()
        self.contract = contract
        self.coin = coin
        self.assets: dict[AssetId, Asset] = {asset.id: asset for asset in (coin, *tokens)}
        for asset in self.assets:
            if asset.chain != chain:
                raise InvalidValue(f"asset {asset} is not on {chain}")
        self.locks = LockContract(chain, contract, coin, self.assets, self.rules.fee)
        self.vetoing: set[AccountId] = set()
        """Parties that can veto an endorsement; the adapters' objections name them."""
        self.time = genesis_time
        """Chain time: that of the newest block, or of a later ``tick``."""
        genesis = SimulatedBlock(
            0, hashlib.sha256(f"genesis {chain} {contract}".encode()).digest(), None, genesis_time,
            (), (), {},
        )  # fmt: skip
        self._blocks = [genesis]
        self._by_hash = {genesis.hash: genesis}
        self._history: dict[Key, list[tuple[int, Value]]] = {}
        self._mempool: list[PooledTransaction] = []
        self._places: dict[str, int] = {}
        self._submitted = 0
        self._forks = 0
        self._listeners: dict[int, Callable[[], None]] = {}
        self._listeners_made = 0

    # --- reading -----------------------------------------------------------------------------

    @property
    def newest(self) -> SimulatedBlock:
        return self._blocks[-1]

    @property
    def mempool(self) -> tuple[PooledTransaction, ...]:
        return tuple(self._mempool)

    def at(self, height: int) -> SimulatedBlock:
        """The canonical block at a height from 0 to the newest. Raises InvalidValue."""
        if not 0 <= height < len(self._blocks):
            raise InvalidValue(
                f"{self.id} has no block {height}; its newest is {len(self._blocks) - 1}"
            )
        return self._blocks[height]

    def by_hash(self, block_hash: bytes) -> SimulatedBlock | None:
        """A block by hash, one on a vanished fork included."""
        return self._by_hash.get(block_hash)

    def place_of(self, transaction: str) -> int | None:
        """The height of the canonical block that holds a transaction."""
        return self._places.get(transaction)

    def canonical(self, block: SimulatedBlock) -> bool:
        return block.height < len(self._blocks) and self._blocks[block.height] is block

    def read(self, key: Key, block: SimulatedBlock) -> tuple[int, Value] | None:
        """A value as of a block, with the height at which it was written."""
        at = block
        while not self.canonical(at):
            if key in at.writes:
                return at.height, at.writes[key]
            assert at.parent is not None, "genesis is canonical"
            at = at.parent
        for height, value in reversed(self._history.get(key, ())):
            if height <= at.height:
                return height, value
        return None

    def _reader(self, block: SimulatedBlock) -> Read:
        def read(key: Key) -> Value | None:
            found = self.read(key, block)
            return found[1] if found is not None else None

        return read

    def balance(
        self, account: AccountId, asset: AssetId, block: SimulatedBlock | None = None
    ) -> int:
        return number(self._reader(block or self.newest)(balance_key(account, asset)))

    def credit(
        self, account: AccountId, asset: AssetId, block: SimulatedBlock | None = None
    ) -> int:
        """What failed pushes of coin have left for the account to withdraw."""
        return number(self._reader(block or self.newest)(credit_key(account, asset)))

    def lock(
        self, lock_id: LockId, block: SimulatedBlock | None = None
    ) -> tuple[int, LockEntry] | None:
        """A lock as of a block, with the height at which it came into its present state."""
        found = self.read(lock_key(lock_id), block or self.newest)
        if found is None:
            return None
        height, entry = found
        assert isinstance(entry, LockEntry)
        return height, entry

    def escrowed(self, asset: AssetId) -> int:
        """The sum of all open locks of an asset, as of the newest block."""
        total = 0
        for versions in self._history.values():
            entry = versions[-1][1] if versions else None
            if isinstance(entry, LockEntry) and entry.state is LockState.OPEN:
                total += entry.terms.amount if entry.terms.asset == asset else 0
        return total

    @property
    def refusing(self) -> set[AccountId]:
        """Accounts that refuse a push of coin, as a contract without a receive function does."""
        return self.locks.refusing

    # --- being told ----------------------------------------------------------------------------

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Calls the listener after each change; returns what ends that."""
        self._listeners_made += 1
        token = self._listeners_made
        self._listeners[token] = listener

        def end() -> None:
            self._listeners.pop(token, None)

        return end

    @property
    def listeners(self) -> int:
        """How many listen now; a stream that was closed must not."""
        return len(self._listeners)

    def _changed(self) -> None:
        for listener in tuple(self._listeners.values()):
            listener()

    # --- stepping, by the owner ------------------------------------------------------------------

    def fund(self, account: AccountId, asset: AssetId, amount: int) -> None:
        """Gives an account a balance in genesis. Raises InvalidValue once there are blocks."""
        if len(self._blocks) > 1:
            raise InvalidValue(f"{self.id} has blocks already; fund accounts before the first one")
        if asset not in self.assets or account.chain != self.id:
            raise InvalidValue(f"asset {asset} or account {account} is not on {self.id}")
        held = self.balance(account, asset)
        self._history[balance_key(account, asset)] = [(0, held + check_amount(amount))]

    def tick(self, time: int) -> None:
        """Moves chain time on without a block, as on a chain that makes no empty ones."""
        if time < self.time:
            raise InvalidValue(f"time {time} is before {self.id}'s time {self.time}")
        if time > self.time:
            self.time = time
            self._changed()

    def produce_block(self, time: int) -> SimulatedBlock:
        """Adds a block with all that is due. Raises InvalidValue if time would go back."""
        if time < self.time:
            raise InvalidValue(f"time {time} is before {self.id}'s time {self.time}")
        block = self._append(time)
        self._changed()
        return block

    def reorg(
        self,
        depth: int,
        *,
        loses: Callable[[PooledTransaction], bool] = lambda transaction: False,
        delay: int = 0,
        extra: int = 0,
    ) -> tuple[SimulatedBlock, ...]:
        """Replaces the newest ``depth`` blocks by as many others of the same times, plus ``extra``
        ones; returns what vanished, oldest first.

        Transactions of the vanished blocks are submitted again unless ``loses`` says otherwise;
        they may be included from their old block's time plus ``delay`` seconds on.
        """
        if not 1 <= depth < len(self._blocks):
            raise InvalidValue(
                f"{self.id} cannot reorganise {depth} of {len(self._blocks) - 1} blocks"
            )
        vanished = tuple(self._blocks[-depth:])
        again: list[PooledTransaction] = []
        for block in reversed(vanished):
            for key in block.writes:
                versions = self._history[key]
                versions.pop()
                if not versions:
                    del self._history[key]
            self._blocks.pop()
        for block in vanished:
            for receipt in block.receipts:
                old = receipt.transaction
                del self._places[old.id]
                if not loses(old):
                    again.append(
                        PooledTransaction(old.id, old.account, old.action, block.time + delay)
                    )
        self._mempool[:0] = again
        self._forks += 1
        for block in vanished:
            self._append(block.time)
        for _ in range(extra):
            self._append(self.time)
        self._changed()
        return vanished

    def _append(self, time: int) -> SimulatedBlock:
        parent = self._blocks[-1]
        height = parent.height + 1
        due = [waiting for waiting in self._mempool if waiting.not_before <= time]
        if due:
            self._mempool = [waiting for waiting in self._mempool if waiting.not_before > time]
        digest = hashlib.sha256(parent.hash)
        digest.update(b"%d %d %d" % (height, time, self._forks))
        for waiting in due:
            digest.update(waiting.id.encode())
        block_hash = digest.digest()
        writes: dict[Key, Value] = {}
        receipts: list[Receipt] = []
        events: list[tuple[Position, LockEvent]] = []
        latest = self._history

        def read(key: Key) -> Value | None:
            if key in writes:
                return writes[key]
            versions = latest.get(key)
            return versions[-1][1] if versions else None

        for waiting in due:
            refusal = self.locks.refusal(
                waiting.action, waiting.account, read, None if self.rules.late else time
            )
            fee = min(self.rules.fee, number(read(balance_key(waiting.account, self.coin.id))))
            if fee:
                add(read, writes, balance_key(waiting.account, self.coin.id), -fee)
            if refusal is None:
                event = self.locks.apply(waiting.action, waiting.account, read, writes)
                if event is not None:
                    place = Position(height, block_hash, len(events), waiting.id)
                    events.append((place, event))
            receipts.append(Receipt(waiting, refusal, fee))
            self._places[waiting.id] = height
        block = SimulatedBlock(
            height, block_hash, parent, time, tuple(receipts), tuple(events), writes
        )
        for key, value in writes.items():
            latest.setdefault(key, []).append((height, value))
        self._blocks.append(block)
        self._by_hash[block_hash] = block
        self.time = max(self.time, time)
        return block

    # --- transactions --------------------------------------------------------------------------

    def refusal(
        self, action: Action, account: AccountId, block: SimulatedBlock, time: int
    ) -> Refusal | None:
        """Why a node that stands at this block and time would not take the action."""
        return self.locks.refusal(action, account, self._reader(block), time)

    def next_transaction(self) -> str:
        """The id of the next transaction, 64 hexadecimal digits."""
        self._submitted += 1
        return hashlib.sha256(f"{self.id} transaction {self._submitted}".encode()).hexdigest()

    def submit(self, transaction: PooledTransaction) -> None:
        """Puts a transaction into the mempool, unchecked: that is the node's part."""
        self._mempool.append(transaction)

    def withdraw(self, action: Action, account: AccountId) -> None:
        """Takes what an account has submitted, and is in no block, out of the mempool."""
        self._mempool = [
            waiting
            for waiting in self._mempool
            if (waiting.action, waiting.account) != (action, account)
        ]
