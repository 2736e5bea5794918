"""A counterparty that does as it likes: it has keys and a peer listener, and no gateway.

It speaks the gateways' own protocol and signs what it says, so nothing in the honest gateways knows
that this one is played. What it does on the ledgers it does through the same adapters.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import assert_never, cast

from fastapi import FastAPI, Request

from adapters.model import (
    AccountId,
    AssetId,
    Claim,
    Hashlock,
    Lock,
    LockId,
    LockState,
    LockTerms,
    Notice,
    Preimage,
    Refund,
)
from adapters.spi import (
    Adapter,
    Credential,
    NotSent,
    Rejected,
    RejectionReason,
    Signer,
    Unavailable,
    Unknown,
)
from gateway.compose import Keys, open_credentials
from gateway.demo.scenarios import Flaw
from gateway.listener import Listener, bind
from gateway.settings import GatewaySettings
from relayers.offers.peer_messenger import PeerMessenger, open_messenger
from relayers.offers.peers import Peers
from relayers.offers.typed_data import (
    acceptance_digest,
    gateway_address,
    offer_digest,
    sign,
)
from relayers.offers.wire import (
    AcceptanceMessage,
    Hello,
    OfferMessage,
    Receipt,
    acceptance_of,
    offer_of,
    parse,
    to_hex,
)
from relayers.protocol.intents import SendAcceptance, SendOffer
from relayers.protocol.offer import PROTOCOL_VERSIONS, Acceptance, Offer

PAUSE = 0.5
"""Seconds until something that did not go through is tried again."""


_PASSING = (
    RejectionReason.LOCK_EXISTS,
    RejectionReason.LOCK_SETTLED,
    RejectionReason.DEADLINE_NOT_REACHED,
)
"""A try before this one, or somebody else, has done it; or it is a moment too early."""


class Cheat:
    """Made by `open_cheat`."""

    def __init__(
        self,
        address: bytes,
        signer: Signer,
        messenger: PeerMessenger,
        adapters: Mapping[str, Adapter],
        credentials: Mapping[str, Credential],
        chance: random.Random,
    ) -> None:
        self.address = address
        self.adapters = adapters
        self._signer = signer
        self._messenger = messenger
        self._credentials = credentials
        self._chance = chance
        self._offers: dict[str, Offer] = {}
        self._acceptances: dict[Hashlock, Acceptance] = {}
        self._changed = asyncio.Condition()

    def account(self, ledger: str) -> AccountId:
        return self._credentials[ledger].account

    # --- offers ----------------------------------------------------------------------------------

    async def hear_offer(self, offer: Offer) -> None:
        async with self._changed:
            self._offers[offer.reference] = offer
            self._changed.notify_all()

    async def hear_acceptance(self, acceptance: Acceptance) -> None:
        async with self._changed:
            self._acceptances[acceptance.hashlock] = acceptance
            self._changed.notify_all()

    async def offered(self, reference: str) -> Offer:
        """Waits for an offer with this reference."""
        async with self._changed:
            await self._changed.wait_for(lambda: reference in self._offers)
            return self._offers[reference]

    async def accept(self, offer: Offer) -> Acceptance:
        """Accepts an offer, and means it or not."""
        ledgers = {adapter.profile.chain: name for name, adapter in self.adapters.items()}
        acceptance = Acceptance(
            offer=offer_digest(offer),
            hashlock=offer.hashlock,
            recipient_a=self.account(ledgers[offer.a.chain]),
            sender_b=self.account(ledgers[offer.b.chain]),
        )
        signature = await sign(self._signer, acceptance_digest(acceptance))
        intent = SendAcceptance("", offer.initiator, acceptance, signature)
        await self._sent(intent)
        return acceptance

    def secret(self) -> tuple[bytes, Preimage]:
        """A salt for an offer, and a preimage."""
        return self._chance.randbytes(32), Preimage(self._chance.randbytes(32))

    async def offer(self, offer: Offer) -> Acceptance:
        """Sends an offer and waits until it is accepted."""
        signature = await sign(self._signer, offer_digest(offer))
        await self._sent(SendOffer("", offer, signature))
        async with self._changed:
            await self._changed.wait_for(lambda: offer.hashlock in self._acceptances)
            return self._acceptances[offer.hashlock]

    async def _sent(self, intent: SendOffer | SendAcceptance) -> None:
        """Until it has arrived: the other gateway may just be down."""
        while True:
            try:
                await self._messenger.send(intent)
            except (NotSent, Unknown, Unavailable):
                await asyncio.sleep(PAUSE)
            else:
                return

    # --- on the ledgers --------------------------------------------------------------------------

    async def lock(self, ledger: str, terms: LockTerms) -> LockId:
        """Locks, and returns once the chain shows it as final."""
        lock_id = self.adapters[ledger].lock_id(terms)
        await self._until(ledger, Lock(terms), lock_id, LockState.OPEN)
        return lock_id

    async def claim(self, ledger: str, lock_id: LockId, preimage: Preimage) -> None:
        """Claims, and returns once the chain shows it as final."""
        await self._until(ledger, Claim(lock_id, preimage), lock_id, LockState.CLAIMED)

    async def refund(self, ledger: str, lock_id: LockId, deadline: int) -> None:
        """Takes a lock back as soon as the chain's time allows."""
        adapter = self.adapters[ledger]
        async with aclosing(cast("AsyncGenerator[Notice, None]", adapter.events(None))) as notices:
            async for notice in notices:
                if notice.head.time >= deadline:
                    break
        await self._until(ledger, Refund(lock_id), lock_id, LockState.REFUNDED)

    async def _until(
        self, ledger: str, action: Lock | Claim | Refund, lock_id: LockId, state: LockState
    ) -> None:
        """Until the chain finally shows the lock in this state, whoever brought it there."""
        adapter, credential = self.adapters[ledger], self._credentials[ledger]
        bounds = adapter.profile.bounds
        while True:
            try:
                await adapter.submit(action, credential)
            except Rejected as error:
                if error.reason not in _PASSING:
                    raise
            except (NotSent, Unknown, Unavailable):
                pass
            with suppress(TimeoutError):
                async with asyncio.timeout(bounds.inclusion + bounds.finality + 2):
                    await self._shown(adapter, lock_id, state)
                    return

    async def _shown(self, adapter: Adapter, lock_id: LockId, state: LockState) -> None:
        while True:
            with suppress(Unavailable):
                record = await adapter.lookup(lock_id)
                if record.state is state and record.final:
                    return
            await asyncio.sleep(PAUSE)


@asynccontextmanager
async def open_cheat(
    settings: GatewaySettings, adapters: Mapping[str, Adapter], chance: random.Random
) -> AsyncIterator[Cheat]:
    """``settings``: those that its gateway would have. ``adapters``: by chain name."""
    root = settings.root
    keys = Keys(settings.folder, prompt=None)
    signer = await keys.signer(root.gateway.key, "gateway.key")
    credentials = await open_credentials(keys, settings.chains)
    async with AsyncExitStack() as stack:
        messenger = await stack.enter_async_context(open_messenger(Peers(settings.peers), signer))
        cheat = Cheat(gateway_address(signer), signer, messenger, adapters, credentials, chance)
        peer_api = root.peer_api
        listener = Listener(
            _app(cheat, root.gateway.organisation),
            bind(peer_api.host, peer_api.port, "peer_api"),
            (peer_api.tls_certificate, peer_api.tls_key),
            peer_api.limits,
        )
        serving = asyncio.create_task(listener.run_until_stopped())
        try:
            yield cheat
        finally:
            listener.stop()
            await serving


def _app(cheat: Cheat, organisation: str) -> FastAPI:
    app = FastAPI(openapi_url=None)

    @app.get("/peer/v1/hello")
    async def hello() -> Hello:
        return Hello(
            organisation=organisation, address=to_hex(cheat.address), versions=PROTOCOL_VERSIONS
        )

    @app.post("/peer/v1/offers", status_code=202)
    async def offers(request: Request) -> Receipt:
        offer, _ = offer_of(parse(OfferMessage, await request.body()))
        await cheat.hear_offer(offer)
        return Receipt(hashlock=to_hex(offer.hashlock), phase="received")

    @app.post("/peer/v1/acceptances", status_code=202)
    async def acceptances(request: Request) -> Receipt:
        acceptance, _ = acceptance_of(parse(AcceptanceMessage, await request.body()))
        await cheat.hear_acceptance(acceptance)
        return Receipt(hashlock=to_hex(acceptance.hashlock), phase="offered")

    return app


@dataclass(frozen=True, slots=True)
class Instead:
    """What a false lock has in the place of what was agreed."""

    asset: AssetId
    recipient: AccountId
    deadline: int


def false_terms(terms: LockTerms, flaw: Flaw, instead: Instead) -> LockTerms:
    """The agreed terms with one flaw."""
    match flaw:
        case Flaw.AMOUNT:
            return replace(terms, amount=terms.amount - 1)
        case Flaw.ASSET:
            return replace(terms, asset=instead.asset)
        case Flaw.HASHLOCK:
            return replace(terms, hashlock=Hashlock(hashlib.sha256(terms.hashlock).digest()))
        case Flaw.DEADLINE:
            return replace(terms, deadline=instead.deadline)
        case Flaw.RECIPIENT:
            return replace(terms, recipient=instead.recipient)
        case _:
            assert_never(flaw)
