"""What other gateways send: each message is checked against the pinned key, the offer and the
chains before it becomes a fact. A peer's word is never taken for what a chain can say.
"""

from __future__ import annotations

import asyncio

from adapters.model import InvalidValue, LockTerms
from relayers.offers.dealing import Dealing
from relayers.offers.peers import Peer
from relayers.offers.refusal import OfferRefused, Refusal
from relayers.offers.typed_data import (
    Decline,
    acceptance_digest,
    decline_digest,
    offer_digest,
    signed_by,
)
from relayers.protocol.facts import AcceptanceReceived, DeclineReceived, OfferReceived
from relayers.protocol.offer import PROTOCOL_VERSIONS, Acceptance, Offer, terms_a, terms_b
from relayers.protocol.state import Phase, Role, Swap


class OfferIntake:
    """The receiving end of `PeerMessenger`. ``received`` is set with each offer that was taken, for
    whoever applies the acceptance policies."""

    def __init__(self, dealing: Dealing, received: asyncio.Event) -> None:
        self._dealing = dealing
        self._received = received

    async def offer(self, offer: Offer, signature: bytes) -> Swap:
        """Takes a peer's offer in. Raises OfferRefused; nothing is changed then."""
        dealing = self._dealing
        if offer.version not in PROTOCOL_VERSIONS:
            raise OfferRefused(
                Refusal.VERSION_UNSUPPORTED,
                f"offer.version is {offer.version}; this gateway speaks {list(PROTOCOL_VERSIONS)}",
                "offer.version",
            )
        peer = self._peer(offer.initiator, "offer.initiator")
        if offer.responder != dealing.address:
            raise OfferRefused(
                Refusal.NOT_ADDRESSED_TO_US,
                f"offer.responder is 0x{offer.responder.hex()}; "
                f"this gateway is 0x{dealing.address.hex()}",
                "offer.responder",
            )
        try:
            digest = offer_digest(offer)
        except InvalidValue as error:
            raise OfferRefused(Refusal.INVALID_VALUE, str(error), "offer") from error
        _verify(peer, digest, signature)
        self._refuse_seen(offer)
        a = dealing.chains.at(offer.a.chain, "offer.a.chain")
        b = dealing.chains.at(offer.b.chain, "offer.b.chain")
        for chain, leg, field in ((a, offer.a, "offer.a"), (b, offer.b, "offer.b")):
            if leg.contract != chain.adapter.profile.contract:
                raise OfferRefused(
                    Refusal.CONTRACT_MISMATCH,
                    f"{field}.contract is {leg.contract[:80]!r}; this gateway uses "
                    f"{chain.adapter.profile.contract} on chain {chain.name}",
                    f"{field}.contract",
                )
        now = await dealing.now(a, b)
        if now >= offer.valid_until:
            raise OfferRefused(
                Refusal.OFFER_EXPIRED,
                f"offer.valid_until is {offer.valid_until}, and it is {now}",
                "offer.valid_until",
            )
        dealing.refuse_deadlines(offer, now)
        await asyncio.gather(
            a.asset(offer.a.asset, "offer.a.asset"), b.asset(offer.b.asset, "offer.b.asset")
        )
        # Refuses accounts that the chains cannot read, before anybody is asked to accept them.
        ours = Acceptance(digest, offer.hashlock, a.account, b.account)
        a.lock_id(_terms(offer, ours, "a"), "offer.a")
        b.lock_id(_terms(offer, ours, "b"), "offer.b")
        self._refuse_flood(peer)
        outcome = await dealing.swaps.put(
            offer.hashlock,
            OfferReceived(offer, signature, dealing.chains.schedule(a, b)),
            f"{offer.hashlock.hex()}:offer_received:{digest.hex()}",
        )
        if outcome.ignored is not None or outcome.state is None:
            # Another message under this hashlock was faster.
            self._refuse_seen(offer)
            raise OfferRefused(Refusal.NOT_NOW, outcome.detail or "the offer was not taken")
        self._received.set()
        return outcome.state

    async def acceptance(self, acceptance: Acceptance, signature: bytes) -> Swap:
        """Takes a peer's acceptance of an own offer in; our lock follows. Raises OfferRefused."""
        dealing = self._dealing
        swap = dealing.swap(acceptance.hashlock)
        peer = self._peer(swap.offer.responder, "acceptance.hashlock")
        try:
            digest = acceptance_digest(acceptance)
        except InvalidValue as error:
            raise OfferRefused(Refusal.INVALID_VALUE, str(error), "acceptance") from error
        _verify(peer, digest, signature)
        if swap.role is not Role.INITIATOR or acceptance.offer != offer_digest(swap.offer):
            raise OfferRefused(
                Refusal.OFFER_MISMATCH,
                "acceptance.offer is not the digest of the offer made under this hashlock",
                "acceptance.offer",
            )
        if swap.acceptance == acceptance:
            raise OfferRefused(
                Refusal.ACCEPTANCE_KNOWN, "this acceptance was received before; nothing was changed"
            )
        if swap.phase is not Phase.OFFERED:
            raise OfferRefused(Refusal.NOT_NOW, f"the swap is {swap.phase}, no longer offered")
        offer = swap.offer
        a = dealing.chains.at(offer.a.chain, "offer.a.chain")
        b = dealing.chains.at(offer.b.chain, "offer.b.chain")
        _terms(offer, acceptance, "a")
        _terms(offer, acceptance, "b")
        now = await dealing.now(a, b)
        if now >= offer.valid_until:
            raise OfferRefused(
                Refusal.OFFER_EXPIRED, f"the offer was valid until {offer.valid_until}; it is {now}"
            )
        dealing.refuse_deadlines(offer, now)
        lock_a, lock_b = await dealing.lock_ids(offer, acceptance)
        body = AcceptanceReceived(acceptance, signature, lock_a, lock_b)
        return await dealing.put(offer.hashlock, body, f"acceptance_received:{digest.hex()}")

    async def decline(self, decline: Decline, signature: bytes) -> Swap:
        """Takes a peer's decline of an own offer in. Raises OfferRefused."""
        dealing = self._dealing
        swap = dealing.swap(decline.hashlock)
        peer = self._peer(swap.offer.responder, "decline.hashlock")
        try:
            digest = decline_digest(decline)
        except InvalidValue as error:
            raise OfferRefused(Refusal.INVALID_VALUE, str(error), "decline.reason") from error
        _verify(peer, digest, signature)
        if (
            swap.role is not Role.INITIATOR
            or decline.initiator != swap.offer.initiator
            or decline.responder != swap.offer.responder
        ):
            raise OfferRefused(
                Refusal.OFFER_MISMATCH,
                "the decline does not name the gateways of the offer made under this hashlock",
                "decline.initiator",
            )
        if swap.phase is Phase.DECLINED:
            return swap
        reason = "".join(c for c in decline.reason if c.isprintable())
        body = DeclineReceived(reason or "no reason was given")
        return await dealing.put(decline.hashlock, body, f"decline_received:{digest.hex()}")

    def _peer(self, address: bytes, field: str) -> Peer:
        peer = self._dealing.peers.at(address)
        if peer is None:
            raise OfferRefused(
                Refusal.UNKNOWN_PEER,
                f"{field}: 0x{address.hex()} is not the key of any configured peer",
                field,
            )
        return peer

    def _refuse_seen(self, offer: Offer) -> None:
        known = self._dealing.swaps.swap(offer.hashlock)
        if known is None:
            return
        if known.offer == offer:
            raise OfferRefused(
                Refusal.OFFER_KNOWN,
                "this offer was received before; nothing was changed",
                "offer.hashlock",
            )
        raise OfferRefused(
            Refusal.HASHLOCK_SEEN,
            "offer.hashlock was used by another offer before; make a new one",
            "offer.hashlock",
        )

    def _refuse_flood(self, peer: Peer) -> None:
        rules = self._dealing.rules
        an_hour_ago = int(self._dealing.clock()) - 3600
        taken = [
            swap
            for swap in self._dealing.swaps.swaps()
            if swap.role is Role.RESPONDER and swap.offer.initiator == peer.address
        ]
        waiting = sum(swap.phase is Phase.RECEIVED for swap in taken)
        if waiting >= rules.open_per_peer:
            raise OfferRefused(
                Refusal.TOO_MANY_OFFERS,
                f"{waiting} offers of this peer wait to be accepted or rejected; "
                f"no more than {rules.open_per_peer} may",
            )
        recent = sum(swap.begun > an_hour_ago for swap in taken)
        if recent >= rules.hourly:
            raise OfferRefused(
                Refusal.TOO_MANY_OFFERS,
                f"{recent} offers of this peer were taken in within the last hour; "
                f"no more than {rules.hourly} may; try later",
            )


def _verify(peer: Peer, digest: bytes, signature: bytes) -> None:
    if not signed_by(peer.address, digest, signature):
        raise OfferRefused(
            Refusal.SIGNATURE_INVALID,
            "signature: what arrived is not what the pinned key "
            f"0x{peer.address.hex()} signed; it was altered, or signed with another key",
            "signature",
        )


def _terms(offer: Offer, acceptance: Acceptance, leg: str) -> LockTerms:
    try:
        return terms_a(offer, acceptance) if leg == "a" else terms_b(offer, acceptance)
    except InvalidValue as error:
        raise OfferRefused(Refusal.INVALID_VALUE, f"leg {leg}: {error}", leg) from error
