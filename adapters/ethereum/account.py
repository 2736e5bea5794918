"""One signer's transactions on one chain: nonces, gaps, replacement.

The nonce to use is what the chain says. What this process has sent and the chain does not know yet
is kept in memory, so that many submissions follow each other without waiting, so that a transaction
that got lost is handed in again, and so that one whose price has become too low is replaced. After
a restart the memory is empty: transactions of before that still wait are read back from the node,
as far as their signatures show them to be the account's, and the first nonce that is free fills
whatever gap there is. A call that stands behind a gap is sent once more, into it: every call does
its work once, however often it is in a block.

A nonce that a node says is taken, and does not show by what, is let be for as long as a transaction
may take; then it is filled with nothing. What it was is wanted still, or not: whoever wants it
submits it again.

Nothing here runs by itself. Each submission first looks after the account: whoever wanted the
first in line, all that follow wait for it, so it is replaced once it has waited too long. What a
node says of another call's transaction never fails the caller's own. Submitting an action again
while its transaction waits does not make a second one, but pursues the first.

A call that was abandoned is never handed in again. Its nonce is filled with an empty transfer of
the account to itself, at the price of a replacement: what follows it can go on, and a node that
still has the call drops it, or its copy is worth nothing once the nonce is used.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from dataclasses import dataclass, replace

from adapters.ethereum import fees as pricing
from adapters.ethereum.fees import FeePolicy, Market
from adapters.ethereum.identity import checksummed
from adapters.ethereum.lock_contract import Call
from adapters.ethereum.node_errors import NodeRefused
from adapters.ethereum.pool import Pool, Pooled
from adapters.ethereum.quantities import quantity, to_hex
from adapters.ethereum.rpc import Node, Rpc
from adapters.ethereum.signed_transaction import Fees, SignedTransaction, sign
from adapters.spi import NotSent, Rejected, Signer, SigningFailed, Unavailable, Unknown

log = logging.getLogger(__name__)

_MOST_READ_BACK = 64
"""Transactions that are read back after a restart; more are not ours to look after."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A transaction that was sent, or may have been, and is in no block that we know of."""

    nonce: int
    call: Call
    gas: int
    fees: Fees
    signed: SignedTransaction
    since: float
    """The loop's time of the newest broadcast."""
    unwanted: bool = False
    """Its call was abandoned, and nothing else has its nonce yet."""
    instead_of: Call | None = None
    """The abandoned call whose nonce this one fills."""

    @property
    def id(self) -> str:
        return self.signed.id


@dataclass(frozen=True, slots=True)
class _Obscure:
    """A nonce that a node says is taken, and nobody shows by what that the account has signed."""

    since: float
    refused: Fees | None = None
    """What a node did not take for its place."""


@dataclass(frozen=True, slots=True)
class _Counts:
    mined: int
    known: int
    """The nonce after the last one that the node's pool holds without a gap."""
    market: Market


class Account:
    """One signer on one chain. ``patience``: seconds after which a waiting transaction that is
    pursued, or the first in line, is replaced."""

    def __init__(
        self,
        rpc: Rpc,
        chain_id: int,
        address: bytes,
        signer: Signer,
        policy: FeePolicy,
        patience: float,
    ) -> None:
        self._rpc = rpc
        self._chain_id = chain_id
        self.address = address
        self._signer = signer
        self._policy = policy
        self._patience = patience
        self._pool = Pool(chain_id, address)
        self._nothing = Call(address, 0, b"")
        """The empty transfer of the account to itself."""
        self._turn = asyncio.Lock()
        self._waiting: dict[int, Waiting] = {}
        self._obscure: dict[int, _Obscure] = {}

    async def pursue(self, call: Call) -> str | None:
        """The id of the transaction that carries this call, if one waits: handed in again if it
        was lost, replaced if it has waited too long. None if none waits.

        Raises Unavailable, NotSent, Unknown, Rejected, SigningFailed."""
        async with self._turn:
            # Whoever submits it again wants it again.
            self._mark(call, unwanted=False)
            counts = await self._look_after()
            return await self._pursue(call, counts)

    async def send(self, call: Call, gas: int) -> str:
        """Signs and sends a call, once, in its turn. Returns the transaction's id.

        Raises Unavailable, NotSent, Unknown, Rejected, SigningFailed."""
        async with self._turn:
            self._mark(call, unwanted=False)
            counts = await self._look_after()
            found = await self._pursue(call, counts)
            if found is not None:
                return found
            nonce = self._first_free(counts)
            price = pricing.capped(counts.market, self._policy)
            signed = await sign(self._signer, self._chain_id, nonce, gas, price, call)
            waiting = Waiting(nonce, call, gas, price, signed, self._now())
            await self._broadcast(waiting, None)
            return signed.id

    async def abandon(self, call: Call) -> bool:
        """Fills the nonce of whatever transaction carries this call and is in no block. True where
        none is known to wait, nor one that fills its nonce, nor one that nobody shows: there is
        nothing to fill any more.

        From here on nobody's turn hands the call in again, though this turn may fail. Asking again
        does no harm. Raises Unavailable, SigningFailed."""

        def concerns(one: Waiting) -> bool:
            # An empty transfer of which it is not known what it replaces may replace this.
            unknown = one.call == self._nothing and one.instead_of is None
            return unknown or call in (one.call, one.instead_of)

        async with self._turn:
            # Marked before anything can fail; what is read back from the node is marked after it.
            self._mark(call, unwanted=True)
            counts = await self._look_after()
            if not any(call in (one.call, one.instead_of) for one in self._waiting.values()):
                # After a restart: behind a gap, where a node keeps what must wait for another.
                await self._rpc.run(lambda node: self._read_queued(node, call, counts))
            self._mark(call, unwanted=True)
            for waiting in list(self._waiting.values()):
                if waiting.unwanted and waiting.call == call:
                    await self._fill(waiting, counts.market)
            # What has taken a nonce, and nobody shows, may be this very call.
            return not self._obscure and not any(map(concerns, self._waiting.values()))

    # --- within one's turn ---------------------------------------------------------------------

    def _mark(self, call: Call, *, unwanted: bool) -> None:
        for nonce, waiting in self._waiting.items():
            if waiting.call == call:
                self._waiting[nonce] = replace(waiting, unwanted=unwanted)

    async def _fill(self, unwanted: Waiting, market: Market) -> None:
        """Puts an empty transfer in the place of an abandoned call. Where it is not taken, the call
        stays as it is, marked."""
        # Where the cap leaves no room for a higher price, or gas is free and the account has no
        # coin for any, a node that has lost the call takes the transfer all the same.
        higher = pricing.raised(unwanted.fees, market, self._policy)
        prices = [higher or unwanted.fees]
        if higher is not None and unwanted.fees.cap == 0:
            prices.append(unwanted.fees)
        for price in prices:
            # The gas of the call is enough for an empty transfer on every chain; the rest is not
            # paid.
            signed = await sign(
                self._signer, self._chain_id, unwanted.nonce, unwanted.gas, price, self._nothing
            )
            filling = Waiting(
                unwanted.nonce,
                self._nothing,
                unwanted.gas,
                price,
                signed,
                self._now(),
                instead_of=unwanted.call,
            )
            await self._broadcast(filling, unwanted)
            if self._waiting[unwanted.nonce] is filling:
                return

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def _look_after(self) -> _Counts:
        """Forgets what is in a block, reads back what is not remembered, hands in again what the
        node has lost, and raises the price of the first in line where no block takes it."""
        counts = await self._rpc.run(self._counts)
        for nonce in [nonce for nonce in self._waiting if nonce < counts.mined]:
            del self._waiting[nonce]
        # Lazily: a node may name any number.
        missing = list(
            itertools.islice(
                (n for n in range(counts.mined, counts.known) if n not in self._waiting),
                _MOST_READ_BACK,
            )
        )
        if missing:
            await self._rpc.run(lambda node: self._read_back(node, missing))
        self._obscure = {
            nonce: self._obscure.get(nonce) or _Obscure(self._now())
            for nonce in missing
            if nonce not in self._waiting
        }
        # The first in line, and the first that the node has lost, hold up all that follow them.
        for nonce in sorted({counts.mined, counts.known}):
            waiting = self._waiting.get(nonce)
            if waiting is not None:
                await self._move_on(waiting, counts)
            elif nonce in self._obscure:
                await self._clear(nonce, counts.market)
        return counts

    async def _clear(self, nonce: int, market: Market) -> None:
        """Fills the first nonce in line where nobody has shown for long what has taken it. Like
        ``_move_on``, it does not fail the caller's own."""
        obscure = self._obscure[nonce]
        if self._now() - obscure.since < self._patience:
            return
        log.warning(
            "nonce %d of 0x%s is taken, no node shows by what that it has signed, and it holds up "
            "those after it: it is filled with an empty transfer",
            nonce,
            self.address.hex(),
        )
        try:
            price = pricing.capped(market, self._policy)
            if obscure.refused is not None:
                price = pricing.raised(obscure.refused, market, self._policy) or obscure.refused
            gas = await self._rpc.run(self._gas_of_nothing)
            signed = await sign(self._signer, self._chain_id, nonce, gas, price, self._nothing)
            self._obscure[nonce] = replace(obscure, refused=price)
            await self._broadcast(
                Waiting(nonce, self._nothing, gas, price, signed, self._now()), None
            )
        except (Rejected, NotSent, Unknown, Unavailable, SigningFailed, NodeRefused) as error:
            log.warning("nonce %d cannot be filled: %s", nonce, type(error).__name__)

    async def _gas_of_nothing(self, node: Node) -> int:
        own = checksummed(self.address)
        request = {"from": own, "to": own, "value": to_hex(0)}
        estimate = await node.call("eth_estimateGas", request, "latest")
        return quantity(estimate, "the gas estimate") * 6 // 5

    def _first_free(self, counts: _Counts) -> int:
        """The nonce to use next. A gap would hold up all that follow it, so it comes first."""
        return next(n for n in itertools.count(counts.known) if n not in self._waiting)

    async def _move_on(self, waiting: Waiting, counts: _Counts) -> None:
        """Does what can be done for a transaction that holds up others, most often not the
        caller's own. If it fails, the caller's goes on: it is better sent and waiting than not."""
        stuck = waiting.nonce == counts.mined and self._has_waited(waiting)
        try:
            if waiting.unwanted:
                await self._fill(waiting, counts.market)
            elif stuck or pricing.too_low(waiting.fees, counts.market):
                await self._replace(waiting, counts.market)
            elif waiting.nonce == counts.known:
                await self._again(waiting, counts.market)
        except (NotSent, Unknown, Unavailable, SigningFailed) as error:
            # The type only: a node's words may repeat a call, and with it a preimage.
            log.warning(
                "transaction %s (nonce %d) holds up those after it and cannot be moved on: %s",
                waiting.id,
                waiting.nonce,
                type(error).__name__,
            )

    def _has_waited(self, waiting: Waiting) -> bool:
        return self._now() - waiting.since >= self._patience

    async def _counts(self, node: Node) -> _Counts:
        address = checksummed(self.address)
        mined, known, market = await asyncio.gather(
            node.call("eth_getTransactionCount", address, "latest"),
            node.call("eth_getTransactionCount", address, "pending"),
            pricing.market(node, self._policy),
        )
        first = quantity(mined, "the transaction count")
        return _Counts(first, max(first, quantity(known, "the transaction count")), market)

    async def _read_back(self, node: Node, nonces: list[int]) -> None:
        for pooled in await self._pool.at(node, nonces):
            self._waiting[pooled.nonce] = self._remembered(pooled)

    async def _read_queued(self, node: Node, call: Call, counts: _Counts) -> None:
        for pooled in await self._pool.queued(node):
            known = pooled.nonce < counts.known or pooled.nonce in self._waiting
            if not known and pooled.call == call:
                self._waiting[pooled.nonce] = self._remembered(pooled)

    def _remembered(self, pooled: Pooled) -> Waiting:
        return Waiting(
            pooled.nonce, pooled.call, pooled.gas, pooled.fees, pooled.signed, self._now()
        )

    async def _pursue(self, call: Call, counts: _Counts) -> str | None:
        carrying = [sent for sent in self._waiting.values() if sent.call == call]
        if not carrying:
            return None
        waiting = min(carrying, key=lambda sent: sent.nonce)
        if self._first_free(counts) < waiting.nonce:
            # It waits for nothing that is to come: another node named a nonce that is not reached,
            # or what stood before it was refused for good.
            return None
        if self._has_waited(waiting):
            return await self._replace(waiting, counts.market)
        if waiting.nonce >= counts.known:
            return await self._again(waiting, counts.market)
        return waiting.id

    async def _replace(self, old: Waiting, market: Market) -> str:
        """Raises the price of what has waited too long, as far as the cap leaves room, and shows
        it to all nodes: it may not have been the price."""
        price = pricing.raised(old.fees, market, self._policy)
        taken = price is not None and await self._raise_price(old, price)
        if price is None or (not taken and old.fees.cap == 0):
            # Of what is free a dearer one may be refused because the account has no coin at all.
            await self._hand_in(old)
        now = self._waiting.get(old.nonce, old)
        await self._rpc.spread(now.signed.raw)
        return now.id

    async def _raise_price(self, old: Waiting, price: Fees) -> bool:
        """Whether a dearer one stands in its place; if not, the one before still stands."""
        signed = await sign(self._signer, self._chain_id, old.nonce, old.gas, price, old.call)
        new = replace(old, fees=price, signed=signed, since=self._now())
        await self._broadcast(new, old)
        return self._waiting[old.nonce] is new

    async def _again(self, lost: Waiting, market: Market) -> str:
        """Hands a lost transaction in again; at a higher price where the node does not take it
        back at the old one. Returns the id of the one that waits now."""
        try:
            await self._hand_in(lost)
        except NotSent:
            price = pricing.raised(lost.fees, market, self._policy)
            if price is None or not await self._raise_price(lost, price):
                raise
            return self._waiting[lost.nonce].id
        return lost.id

    async def _hand_in(self, lost: Waiting) -> None:
        try:
            await self._rpc.broadcast(lost.signed.raw)
        except Rejected:
            # It will never be taken: its nonce is free again.
            del self._waiting[lost.nonce]

    async def _broadcast(self, new: Waiting, old: Waiting | None) -> None:
        # Remembered before it is sent: a call that is cancelled half-way may have sent it.
        self._waiting[new.nonce] = new
        try:
            await self._rpc.broadcast(new.signed.raw)
        except (Rejected, NotSent, Unavailable):
            if old is not None:
                # The one before still stands.
                self._waiting[new.nonce] = old
                return
            del self._waiting[new.nonce]
            raise
        except Unknown:
            if old is None:
                raise
