"""Carries offers, acceptances and declines to the other gateway, over TLS that is pinned.

A delivery is one request: it is never retried here. The executor tries again, and the other gateway
recognises what it has already (offer_known, acceptance_known), so that a second try is harmless.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, assert_never

import httpx
from pydantic import BaseModel, ValidationError

from adapters.http_body import PLAIN, UnreadableBody, read_body
from adapters.spi import AdapterError, NotSent, Rejected, Signer, SigningFailed, Unavailable
from adapters.spi import Unknown as MaybeSent
from relayers.offers import typed_data
from relayers.offers.peers import Peer, Peers, tls_context
from relayers.offers.refusal import Refusal
from relayers.offers.typed_data import Decline
from relayers.offers.wire import (
    Hello,
    acceptance_message,
    decline_message,
    offer_message,
)
from relayers.protocol.intents import SendAcceptance, SendDecline, SendOffer
from relayers.protocol.offer import MAX_REASON

MAX_ANSWER: Final = 16 * 1024
MOST_SECONDS: Final = 30
"""For a whole request: an answer that drips is no answer."""
TIMEOUT: Final = httpx.Timeout(10.0, connect=5.0)
AT_ONCE: Final = 8
"""Requests to one peer at once. Others wait here, in turn, and never for a connection of the
client's: httpcore 1.0 keeps for good the connection that it assigns to a request whose waiting has
just run out, so a peer that stands still for seconds would use them all up."""

ERRORS: Final[tuple[tuple[type[httpx.HTTPError], type[AdapterError]], ...]] = (
    (httpx.ConnectError, NotSent),
    (httpx.ConnectTimeout, NotSent),
    (httpx.UnsupportedProtocol, NotSent),
    (httpx.HTTPError, MaybeSent),
)
"""What the HTTP client raises, and what it means; the first that fits."""

DELIVERED_ALREADY: Final = frozenset({Refusal.OFFER_KNOWN, Refusal.ACCEPTANCE_KNOWN})
RETRY_STATUS: Final = frozenset({408, 425, 429})


class PeerMessenger:
    """Satisfies the executor's port. Made by `open_messenger`, which owns the connections."""

    def __init__(
        self, peers: Peers, clients: Mapping[bytes, httpx.AsyncClient], signer: Signer
    ) -> None:
        self._peers = peers
        self._clients = clients
        self._turns = {address: asyncio.Semaphore(AT_ONCE) for address in clients}
        self._signer = signer
        self._address = typed_data.gateway_address(signer)

    async def send(self, intent: SendOffer | SendAcceptance | SendDecline) -> None:
        """Returns once the peer has the message. Raises Rejected where it refuses it for good,
        NotSent, Unknown or Unavailable where a later try may succeed."""
        message: BaseModel
        match intent:
            case SendOffer(offer=offer, signature=signature):
                peer, path = self._peer(offer.responder), "offers"
                message = offer_message(offer, signature)
            case SendAcceptance(peer=address, acceptance=acceptance, signature=signature):
                peer, path = self._peer(address), "acceptances"
                message = acceptance_message(acceptance, signature)
            case SendDecline(peer=address, hashlock=hashlock, reason=reason):
                peer, path = self._peer(address), "declines"
                decline = Decline(address, self._address, hashlock, reason[:MAX_REASON])
                try:
                    signature = await typed_data.sign(
                        self._signer, typed_data.decline_digest(decline)
                    )
                except SigningFailed as error:
                    raise NotSent(f"the decline could not be signed: {error}") from error
                message = decline_message(decline, signature)
            case _:
                assert_never(intent)
        await self._request(peer, "POST", f"/peer/v1/{path}", message.model_dump_json().encode())

    async def hello(self, peer: Peer) -> Hello:
        """Who answers at the peer's URL. Raises the same errors as ``send``."""
        answer = await self._request(peer, "GET", "/peer/v1/hello", None)
        try:
            return Hello.model_validate_json(answer)
        except ValidationError:
            raise Unavailable(
                f"peer {peer.name}: what answers at {peer.url} is not an Isthmus gateway"
            ) from None

    def _peer(self, address: bytes) -> Peer:
        peer = self._peers.at(address)
        if peer is None:
            raise Rejected(f"no peer with the address 0x{address.hex()} is configured any more")
        return peer

    async def _request(self, peer: Peer, method: str, path: str, body: bytes | None) -> bytes:
        client = self._clients[peer.address]
        headers = dict(PLAIN)
        if body is not None:
            headers["content-type"] = "application/json"
        try:
            async with (
                self._turns[peer.address],
                asyncio.timeout(MOST_SECONDS),
                client.stream(method, path, content=body, headers=headers) as response,
            ):
                answer = await read_body(response.headers, response.aiter_raw(), MAX_ANSWER)
        except UnreadableBody as error:
            raise Unavailable(f"peer {peer.name} at {peer.url} {error}") from None
        except TimeoutError as error:
            raise MaybeSent(
                f"peer {peer.name} at {peer.url}: no whole answer within {MOST_SECONDS} s"
            ) from error
        except httpx.HTTPError as error:
            meaning = next(meaning for kind, meaning in ERRORS if isinstance(error, kind))
            what = str(error) or type(error).__name__
            raise meaning(f"peer {peer.name} at {peer.url}: {what}") from error
        if response.status_code in (200, 202):
            return answer
        code, detail = _problem(answer)
        if code in DELIVERED_ALREADY:
            return answer
        text = f"peer {peer.name}: {detail or f'status {response.status_code}'}"
        if response.status_code in RETRY_STATUS or not 400 <= response.status_code < 500:
            raise Unavailable(text)
        raise Rejected(text)


def _problem(answer: bytes) -> tuple[str, str]:
    """Code and detail of an application/problem+json; both empty where it is none.

    The detail is another's text: it is cut, and what is not printable is left out, before it goes
    into a log or an event.
    """
    try:
        problem = json.loads(answer)
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(problem, dict):
        return "", ""
    code, detail = problem.get("code"), problem.get("detail")
    shown = "".join(c for c in detail if c.isprintable())[:300] if isinstance(detail, str) else ""
    return (code if isinstance(code, str) else ""), shown


@asynccontextmanager
async def open_messenger(peers: Peers, signer: Signer) -> AsyncIterator[PeerMessenger]:
    """Holds one client per peer. Raises Misconfigured for TLS files that cannot be used."""
    async with AsyncExitStack() as stack:
        clients: dict[bytes, httpx.AsyncClient] = {}
        for peer in peers:
            client = httpx.AsyncClient(
                base_url=peer.url,
                verify=tls_context(peer),
                timeout=TIMEOUT,
                follow_redirects=False,
                trust_env=False,
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=2),
            )
            clients[peer.address] = await stack.enter_async_context(client)
        yield PeerMessenger(peers, clients, signer)
