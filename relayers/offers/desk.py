"""The desk at which this gateway's users make, accept and decline offers.

Whatever is refused is refused before anything is signed, written or sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from adapters.model import (
    AssetId,
    Hashlock,
    InvalidValue,
    LockTerms,
    check_amount,
    format_amount,
    parse_amount,
)
from adapters.spi import AdapterError, Rejected, SigningFailed
from relayers.offers.chains import TradedChain
from relayers.offers.dealing import Dealing, taken
from relayers.offers.peers import Peer
from relayers.offers.ports import Chance, Greeter
from relayers.offers.refusal import OfferRefused, Refusal
from relayers.offers.typed_data import acceptance_digest, offer_digest
from relayers.offers.wire import from_hex
from relayers.protocol import timelocks
from relayers.protocol.facts import OfferAccepted, OfferDeclined, OfferMade
from relayers.protocol.offer import (
    MAX_REASON,
    PROTOCOL_VERSIONS,
    Acceptance,
    Offer,
    OfferedLeg,
)
from relayers.protocol.state import Ignored, Phase, Role, Swap
from relayers.signing.swap_key import SwapKey

_ASKED: Final[Mapping[str | None, str]] = {
    "reference": "reference",
    "Offer.reference": "reference",
}
"""Which field of a request it was, by the name of the offer's field in an InvalidValue."""


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a request. ``amount``: an integer in smallest units, or a person's decimal text
    in whole units ("12.5")."""

    asset: AssetId
    amount: int | str


@dataclass(frozen=True, slots=True)
class Deadlines:
    """``a``: t1, until when our lock stands; ``b``: t2, until when theirs does. Unix seconds."""

    a: int
    b: int


@dataclass(frozen=True, slots=True)
class OfferRequest:
    """What a user asks for. ``valid_for``: seconds (None: the gateway's rule); ``deadlines`` None:
    the earliest that the arithmetic allows, with the gateway's slack."""

    peer: str
    give: Side
    get: Side
    valid_for: int | None = None
    deadlines: Deadlines | None = None
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Made:
    """An offer that was made. ``warnings`` are sentences for the user; they stop nothing."""

    swap: Swap
    warnings: tuple[str, ...]


class OfferDesk:
    """See the module. ``chance`` makes the salt; the preimage is made from it by the swap key and
    dropped as soon as its hash is known."""

    def __init__(
        self, dealing: Dealing, swap_key: SwapKey, greeter: Greeter, chance: Chance
    ) -> None:
        self._dealing = dealing
        self._swap_key = swap_key
        self._greeter = greeter
        self._chance = chance
        self._taking_on = asyncio.Lock()
        """Held from the count of open swaps until there is one more."""

    # --- making ----------------------------------------------------------------------------------

    async def make(self, request: OfferRequest, salt: bytes | None = None) -> Made:
        """Checks, signs and puts an offer; its delivery follows. ``salt``: 32 random bytes, where
        the caller must have the same offer made again by a second try. Raises OfferRefused."""
        dealing = self._dealing
        peer = dealing.peers.named(request.peer)
        if peer is None:
            known = ", ".join(peer.name for peer in dealing.peers) or "none"
            raise OfferRefused(
                Refusal.UNKNOWN_PEER,
                f"peer: no peer is named {request.peer!r}; configured are {known}",
                "peer",
            )
        a = dealing.chains.at(request.give.asset.chain, "give.asset")
        b = dealing.chains.at(request.get.asset.chain, "get.asset")
        if a is b:
            raise OfferRefused(
                Refusal.SAME_CHAIN,
                f"get.asset: both assets are on chain {a.name}; a swap needs two chains",
                "get.asset",
            )
        valid_for = request.valid_for if request.valid_for is not None else dealing.rules.valid_for
        if not 0 < valid_for <= dealing.rules.longest:
            raise OfferRefused(
                Refusal.INVALID_VALUE,
                f"valid_for is {valid_for}; it must be from 1 to {dealing.rules.longest} seconds",
                "valid_for",
            )
        (give, given), (get, got) = await asyncio.gather(
            _read(a, request.give, "give"), _read(b, request.get, "get")
        )
        version = await self._version(peer)
        now = await dealing.now(a, b)
        valid_until = now + valid_for
        deadlines = request.deadlines or Deadlines(
            *timelocks.deadlines(dealing.chains.schedule(a, b), valid_until, dealing.rules.slack)
        )
        if salt is None:
            salt = self._chance(32)
        hashlock = await self.hashlock(salt)
        try:
            offer = Offer(
                version=version,
                initiator=dealing.address,
                responder=peer.address,
                salt=salt,
                hashlock=hashlock,
                a=_leg(a, give, given, deadlines.a),
                b=_leg(b, get, got, deadlines.b),
                valid_until=valid_until,
                reference=request.reference,
            )
            # First: a number that no offer could even be written with is out of bounds here too.
            dealing.refuse_deadlines(offer, now)
            digest = offer_digest(offer)
        except InvalidValue as error:
            raise OfferRefused(
                Refusal.INVALID_VALUE, str(error), _ASKED.get(error.field)
            ) from error
        await self._refuse_objections(a, b, offer)
        warnings = await _shortages(a, b, offer)
        async with self._taking_on:
            dealing.refuse_too_many(peer.address, b, offer.hashlock)
            body = OfferMade(offer, await dealing.sign(digest), dealing.chains.schedule(a, b))
            outcome = await dealing.swaps.put(
                offer.hashlock, body, f"{offer.hashlock.hex()}:offer_made"
            )
        if outcome.ignored is Ignored.KNOWN_ALREADY:
            raise OfferRefused(Refusal.HASHLOCK_SEEN, "an offer with this hashlock was made before")
        return Made(taken(outcome), warnings)

    async def hashlock(self, salt: bytes) -> Hashlock:
        """The hashlock that an offer with this salt has; the preimage is not kept. Raises
        OfferRefused (signing_failed)."""
        try:
            return (await self._swap_key.preimage(salt)).hashlock()
        except SigningFailed as error:
            raise OfferRefused(Refusal.SIGNING_FAILED, str(error)) from error

    async def _version(self, peer: Peer) -> int:
        """The newest version of the offer protocol that both gateways speak."""
        try:
            hello = await self._greeter.hello(peer)
        except Rejected as error:
            raise OfferRefused(Refusal.VERSION_UNSUPPORTED, str(error), "peer") from error
        except AdapterError as error:
            raise OfferRefused(Refusal.PEER_UNAVAILABLE, str(error), "peer") from error
        if from_hex(hello.address) != peer.address:
            raise OfferRefused(
                Refusal.PEER_KEY_MISMATCH,
                f"peer {peer.name} says that its key is {hello.address}, but "
                f"0x{peer.address.hex()} is pinned; ask the peer which is right",
                "peer",
            )
        both = [version for version in PROTOCOL_VERSIONS if version in hello.versions]
        if not both:
            raise OfferRefused(
                Refusal.VERSION_UNSUPPORTED,
                f"peer {peer.name} speaks versions {list(hello.versions)} of the offer protocol, "
                f"this gateway {list(PROTOCOL_VERSIONS)}",
                "peer",
            )
        return both[0]

    async def _refuse_objections(self, a: TradedChain, b: TradedChain, offer: Offer) -> None:
        """What the chains have against the locks as far as they are known: the other side's
        accounts are not, so that each lock is judged with our own in their place; both gateways
        judge the whole locks when the offer is accepted."""
        for chain, leg, field in ((a, offer.a, "give"), (b, offer.b, "get")):
            try:
                terms = LockTerms(
                    chain=leg.chain,
                    contract=leg.contract,
                    sender=leg.account,
                    recipient=leg.account,
                    asset=leg.asset,
                    amount=leg.amount,
                    hashlock=offer.hashlock,
                    deadline=leg.deadline,
                )
            except InvalidValue as error:
                raise OfferRefused(Refusal.INVALID_VALUE, f"{field}: {error}", field) from error
            await chain.refuse_objections(terms, field)

    # --- accepting -------------------------------------------------------------------------------

    async def accept(self, hashlock: Hashlock) -> Swap:
        """Accepts a received offer with this gateway's accounts. Raises OfferRefused."""
        dealing = self._dealing
        swap = self._received(hashlock)
        offer = swap.offer
        a = dealing.chains.at(offer.a.chain, "a.chain")
        b = dealing.chains.at(offer.b.chain, "b.chain")
        # Before any chain is asked, because a policy tries again and again; and once more below.
        dealing.refuse_too_many(offer.initiator, a, hashlock)
        now = await dealing.now(a, b)
        if now >= offer.valid_until:
            raise OfferRefused(
                Refusal.OFFER_EXPIRED,
                f"the offer was valid until {offer.valid_until}, and it is {now}",
            )
        dealing.refuse_deadlines(offer, now)
        balance = await b.balance(offer.b.asset)
        if balance < offer.b.amount:
            raise OfferRefused(
                Refusal.INSUFFICIENT_BALANCE,
                f"{b.account} holds {balance} of {offer.b.asset}, the offer asks for "
                f"{offer.b.amount} (smallest units); fund the account and accept then",
            )
        await _refuse_without_fees(a, b, offer)
        acceptance = Acceptance(offer_digest(offer), offer.hashlock, a.account, b.account)
        lock_a, lock_b = await dealing.lock_ids(offer, acceptance)
        digest = acceptance_digest(acceptance)
        async with self._taking_on:
            dealing.refuse_too_many(offer.initiator, a, hashlock)
            body = OfferAccepted(acceptance, await dealing.sign(digest), lock_a, lock_b)
            return await dealing.put(hashlock, body, f"accepted:{digest.hex()}")

    async def decline(self, hashlock: Hashlock, reason: str) -> Swap:
        """Declines a received offer; ``reason`` is told to the peer. Raises OfferRefused."""
        if len(reason) > MAX_REASON or not reason.isprintable():
            raise OfferRefused(
                Refusal.INVALID_VALUE,
                f"reason must be at most {MAX_REASON} printable characters",
                "reason",
            )
        self._received(hashlock)
        return await self._dealing.put(
            hashlock, OfferDeclined(reason or "no reason was given"), "declined"
        )

    def _received(self, hashlock: Hashlock) -> Swap:
        swap = self._dealing.swap(hashlock)
        if swap.role is not Role.RESPONDER:
            raise OfferRefused(
                Refusal.NOT_NOW, "the offer is our own: only the peer can accept or reject it"
            )
        if swap.phase is not Phase.RECEIVED:
            raise OfferRefused(Refusal.NOT_NOW, f"the swap is {swap.phase}, no longer received")
        return swap


async def _read(chain: TradedChain, side: Side, field: str) -> tuple[AssetId, int]:
    """The asset as its chain spells it, whatever way the user did, and the amount."""
    asset = await chain.asset(side.asset, f"{field}.asset")
    try:
        if isinstance(side.amount, str):
            return asset.id, parse_amount(side.amount, asset.decimals, f"{field}.amount")
        return asset.id, check_amount(side.amount, f"{field}.amount")
    except InvalidValue as error:
        raise OfferRefused(Refusal.INVALID_VALUE, str(error), f"{field}.amount") from error


def _leg(chain: TradedChain, asset: AssetId, amount: int, deadline: int) -> OfferedLeg:
    return OfferedLeg(
        chain=chain.id,
        contract=chain.adapter.profile.contract,
        asset=asset,
        amount=amount,
        account=chain.account,
        deadline=deadline,
    )


async def _refuse_without_fees(a: TradedChain, b: TradedChain, offer: Offer) -> None:
    """Who gives on B and cannot pay for the claim on A loses what was given: so our account needs
    coin on both, on B beyond the coin that is itself given. How much fees will be nobody knows
    now, but nothing is too little. Raises OfferRefused (insufficient_balance)."""
    for chain, given in ((a, None), (b, offer.b)):
        fee_asset = chain.adapter.profile.fee_asset
        if fee_asset is None:
            continue
        spent = given.amount if given is not None and given.asset == fee_asset else 0
        held = await chain.balance(fee_asset)
        if held <= spent:
            beyond = f" beyond the {spent} that the offer asks for" if spent else ""
            raise OfferRefused(
                Refusal.INSUFFICIENT_BALANCE,
                f"{chain.account} holds {held} of {fee_asset} (smallest units), nothing{beyond} to "
                f"pay the fees of chain {chain.name} with; fund the account and accept then",
            )


async def _shortages(a: TradedChain, b: TradedChain, offer: Offer) -> tuple[str, ...]:
    """What the own accounts lack for this swap, as sentences."""
    found: list[str] = []
    asset = await a.asset(offer.a.asset, "give.asset")
    held = await a.balance(offer.a.asset)
    if held < offer.a.amount:
        found.append(
            f"{a.account} holds {format_amount(held, asset.decimals)} {asset.symbol}, less than "
            f"the {format_amount(offer.a.amount, asset.decimals)} offered: fund it before the "
            "peer accepts, or the lock will fail"
        )
    for chain in (a, b):
        fee_asset = chain.adapter.profile.fee_asset
        if fee_asset is not None and await chain.balance(fee_asset) == 0:
            found.append(
                f"{chain.account} holds nothing to pay the fees of chain {chain.name} with"
            )
    return tuple(found)
