"""What making, receiving and accepting offers have in common: who we are, and when it is."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import assert_never

from adapters.model import ChainId, Hashlock, LockId
from adapters.spi import Signer, SigningFailed
from relayers.clock import Clock
from relayers.offers import typed_data
from relayers.offers.chains import TradedChain, TradedChains
from relayers.offers.peers import Peers
from relayers.offers.ports import PutOutcome, Swaps
from relayers.offers.refusal import OfferRefused, Refusal
from relayers.offers.rules import OfferRules
from relayers.protocol import timelocks
from relayers.protocol.facts import FactBody
from relayers.protocol.offer import Acceptance, Offer, terms_a, terms_b
from relayers.protocol.state import Ignored, Phase, Role, Swap

_IGNORED = {
    Ignored.NO_SWAP: Refusal.UNKNOWN_SWAP,
    Ignored.NOT_NOW: Refusal.NOT_NOW,
    Ignored.TOO_LATE: Refusal.DEADLINE_UNSAFE,
    Ignored.NOT_AGREED: Refusal.OFFER_MISMATCH,
}


@dataclass(frozen=True, slots=True)
class Dealing:
    """One gateway's means to deal in offers."""

    signer: Signer
    chains: TradedChains
    peers: Peers
    swaps: Swaps
    clock: Clock
    rules: OfferRules

    @property
    def address(self) -> bytes:
        """The own gateway's address, 20 bytes."""
        return typed_data.gateway_address(self.signer)

    def swap(self, hashlock: Hashlock) -> Swap:
        """Raises OfferRefused (unknown_swap), Quarantined."""
        swap = self.swaps.swap(hashlock)
        if swap is None:
            raise OfferRefused(
                Refusal.UNKNOWN_SWAP, f"no swap is known under the hashlock 0x{hashlock.hex()}"
            )
        return swap

    async def now(self, *chains: TradedChain) -> int:
        """The latest time that the clock or a head, read now, claims. Raises OfferRefused
        (chain_unavailable; chain_stale; chain_frozen): no deal is begun on a chain in doubt."""
        heads = await asyncio.gather(*(chain.head() for chain in chains))
        clock = int(self.clock())
        for chain, head in zip(chains, heads, strict=True):
            behind = clock - head.time
            if behind > chain.adapter.profile.stale_after:
                raise OfferRefused(
                    Refusal.CHAIN_STALE,
                    f"the newest block of chain {chain.name} is {behind} s old, more than the "
                    f"{chain.adapter.profile.stale_after} s allowed; see to its node",
                )
            view = self.swaps.views().get(chain.id)
            if view is not None and view.frozen is not None:
                raise OfferRefused(
                    Refusal.CHAIN_FROZEN,
                    f"chain {chain.name} is frozen: {view.frozen}; an operator may resume it",
                )
        return timelocks.now(clock, heads)

    def refuse_deadlines(self, offer: Offer, at: int) -> None:
        """Raises OfferRefused (deadline_unsafe, deadline_too_far)."""
        a, b = self.chains.at(offer.a.chain, "a.chain"), self.chains.at(offer.b.chain, "b.chain")
        objection = timelocks.objection(
            self.chains.schedule(a, b), offer.a.deadline, offer.b.deadline, at
        )
        if objection is not None:
            raise OfferRefused(Refusal.DEADLINE_UNSAFE, objection, "deadline")
        if offer.valid_until > offer.b.deadline:
            # An offer that nobody takes up is kept until then.
            raise OfferRefused(
                Refusal.DEADLINE_TOO_FAR,
                f"valid_until ({offer.valid_until}) is after deadline t2 ({offer.b.deadline}), "
                "when the offer can no longer be taken up; make it valid for a shorter time",
                "valid_until",
            )
        if offer.a.deadline - at > self.rules.longest:
            raise OfferRefused(
                Refusal.DEADLINE_TOO_FAR,
                f"deadline t1 ({offer.a.deadline}) is {offer.a.deadline - at} s ahead; "
                f"this gateway allows {self.rules.longest}",
                "deadline",
            )

    def refuse_too_many(self, peer: bytes, claimed_on: TradedChain, but: Hashlock) -> None:
        """One more swap with a peer, ``but`` this one, that is to be claimed by us on this chain.
        Raises OfferRefused (too_many_swaps)."""
        profile = claimed_on.adapter.profile
        most = self.rules.swaps_per_peer
        if most is None:
            most = timelocks.claims_in_time(profile.bounds, self.chains.bounds, profile.at_once)
        found = sum(
            _claimed_on(swap, peer) == claimed_on.id
            for swap in self.swaps.swaps()
            if swap.hashlock != but
        )
        if found >= most:
            raise OfferRefused(
                Refusal.TOO_MANY_SWAPS,
                f"{found} swaps with this peer are open that this gateway claims on chain "
                f"{claimed_on.name}, and no more than {most} may be, so that all can be claimed in "
                "time; wait until one has ended",
            )

    async def lock_ids(self, offer: Offer, acceptance: Acceptance) -> tuple[LockId, LockId]:
        """Both lock ids, after both chains have said that they are unused and that they have no
        objection to the lock. Raises OfferRefused (lock_used, chain_objects, invalid_value,
        chain_unavailable)."""
        a, b = self.chains.at(offer.a.chain, "a.chain"), self.chains.at(offer.b.chain, "b.chain")
        first, second = terms_a(offer, acceptance), terms_b(offer, acceptance)
        lock_a, lock_b = a.lock_id(first, "a"), b.lock_id(second, "b")
        await asyncio.gather(a.refuse_used(lock_a, "a"), b.refuse_used(lock_b, "b"))
        await asyncio.gather(a.refuse_objections(first, "a"), b.refuse_objections(second, "b"))
        return lock_a, lock_b

    async def sign(self, digest: bytes) -> bytes:
        """Raises OfferRefused (signing_failed)."""
        try:
            return await typed_data.sign(self.signer, digest)
        except SigningFailed as error:
            raise OfferRefused(Refusal.SIGNING_FAILED, str(error)) from error

    async def put(self, key: Hashlock, body: FactBody, fact_id: str) -> Swap:
        """Puts a fact to the engine. Raises OfferRefused where it moved nothing."""
        outcome = await self.swaps.put(key, body, f"{key.hex()}:{fact_id}")
        return taken(outcome)


def _claimed_on(swap: Swap, peer: bytes) -> ChainId | None:
    """Where we claim, or may have to; None where nothing binds us, or it is another peer's."""
    if swap.ended:
        return None
    match swap.role:
        case Role.INITIATOR:
            return swap.offer.b.chain if swap.offer.responder == peer else None
        case Role.RESPONDER:
            bound = swap.phase is not Phase.RECEIVED and swap.offer.initiator == peer
            return swap.offer.a.chain if bound else None
        case _:
            assert_never(swap.role)


def taken(outcome: PutOutcome) -> Swap:
    """The swap after a fact that moved it. Raises OfferRefused."""
    if outcome.ignored is not None or outcome.state is None:
        code = Refusal.NOT_NOW if outcome.ignored is None else _IGNORED.get(outcome.ignored)
        raise OfferRefused(code or Refusal.NOT_NOW, outcome.detail or "nothing was changed")
    return outcome.state
