"""The chains that this gateway trades on, and the questions that offers put to them.

Each question turns a chain's answer, or its silence, into one refusal that names the chain.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from adapters.model import (
    Asset,
    AssetId,
    ChainId,
    Head,
    InvalidValue,
    LockId,
    LockState,
    LockTerms,
)
from adapters.spi import AdapterError
from relayers.offers.refusal import OfferRefused, Refusal
from relayers.post import Post
from relayers.protocol.timelocks import GatewayBounds, Schedule

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TradedChain(Post):
    """A post, with the questions that offers put to its chain."""

    async def head(self) -> Head:
        """Read now. Raises OfferRefused (chain_unavailable)."""
        return await self._ask(self.adapter.head())

    async def asset(self, asset: AssetId, field: str) -> Asset:
        """Raises OfferRefused (unknown_asset, chain_unavailable)."""
        try:
            return await self._ask(self.adapter.asset(asset))
        except InvalidValue as error:
            raise OfferRefused(Refusal.UNKNOWN_ASSET, f"{field}: {error}", field) from error

    async def balance(self, asset: AssetId) -> int:
        """The own balance. Raises OfferRefused (unknown_asset, chain_unavailable)."""
        try:
            return await self._ask(self.adapter.balance(self.account, asset))
        except InvalidValue as error:
            raise OfferRefused(Refusal.UNKNOWN_ASSET, str(error)) from error

    def lock_id(self, terms: LockTerms, field: str) -> LockId:
        """Raises OfferRefused (invalid_value) for terms that this chain could never hold."""
        try:
            return self.adapter.lock_id(terms)
        except InvalidValue as error:
            raise OfferRefused(Refusal.INVALID_VALUE, f"{field}: {error}", field) from error

    async def refuse_objections(self, terms: LockTerms, field: str) -> None:
        """Raises OfferRefused (chain_objects) with all that the chain has against this lock."""
        try:
            objections = await self._ask(self.adapter.objections(terms))
        except InvalidValue as error:
            raise OfferRefused(Refusal.INVALID_VALUE, f"{field}: {error}", field) from error
        if objections:
            text = "; ".join(objections)
            raise OfferRefused(Refusal.CHAIN_OBJECTS, f"chain {self.name}: {text}", field)

    async def refuse_used(self, lock_id: LockId, field: str) -> None:
        """Raises OfferRefused (lock_used) where the chain has ever seen this lock id."""
        record = await self._ask(self.adapter.lookup(lock_id))
        if record.state is not LockState.ABSENT:
            raise OfferRefused(
                Refusal.LOCK_USED,
                f"the lock 0x{lock_id.hex()} on chain {self.name} is {record.state} already; "
                "ask for a new offer",
                field,
            )

    async def _ask(self, question: Awaitable[T]) -> T:
        try:
            return await question
        except AdapterError as error:
            raise OfferRefused(
                Refusal.CHAIN_UNAVAILABLE, f"chain {self.name} cannot be asked now: {error}"
            ) from error


class TradedChains:
    """Those that are open, by id and by the operator's name. ``awaited``: the names of those that
    are configured and not open yet; which chain ids they have is known when they are."""

    def __init__(
        self,
        chains: Iterable[TradedChain],
        bounds: GatewayBounds,
        awaited: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self._all: tuple[TradedChain, ...] = ()
        self._by_id: dict[ChainId, TradedChain] = {}
        self._by_name: dict[str, TradedChain] = {}
        self._awaited = awaited
        self.bounds = bounds
        for chain in chains:
            self.add(chain)

    def add(self, chain: TradedChain) -> None:
        """One that has just been opened."""
        self._all = (*self._all, chain)
        self._by_id[chain.id] = chain
        self._by_name[chain.name] = chain

    def awaited(self) -> tuple[str, ...]:
        return tuple(self._awaited())

    def __iter__(self) -> Iterator[TradedChain]:
        return iter(self._all)

    def named(self, name: str) -> TradedChain | None:
        return self._by_name.get(name)

    def at(self, chain: ChainId, field: str) -> TradedChain:
        """Raises OfferRefused (unknown_chain; chain_unavailable where it may be one that is not
        open yet)."""
        found = self._by_id.get(chain)
        awaited = self.awaited()
        if found is None and awaited:
            raise OfferRefused(
                Refusal.CHAIN_UNAVAILABLE,
                f"{field}: chain {chain} cannot be dealt with now: chains of this gateway are not "
                f"open yet ({', '.join(awaited)}); try again",
                field,
            )
        if found is None:
            known = ", ".join(str(chain.id) for chain in self._all)
            raise OfferRefused(
                Refusal.UNKNOWN_CHAIN,
                f"{field}: chain {chain} is not configured here; configured are {known}",
                field,
            )
        return found

    def schedule(self, a: TradedChain, b: TradedChain) -> Schedule:
        """The bounds under which this gateway judges a swap with leg A and leg B there."""
        return Schedule(
            a=a.adapter.profile.bounds,
            b=b.adapter.profile.bounds,
            gateway=self.bounds,
            stale_a=a.adapter.profile.stale_after,
            stale_b=b.adapter.profile.stale_after,
        )
