"""The API for other gateways, on a TLS listener of its own.

Nothing here is authenticated by the connection: each message is signed, and is checked against the
pinned key of the peer that it claims to be from.
"""

from __future__ import annotations

from typing import Final, TypeVar

from fastapi import FastAPI, Request
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from adapters.model import Hashlock
from gateway.api.body_limit import BodyLimit
from gateway.api.commands import carried_out
from gateway.api.problems import handle_problems
from gateway.services import Services
from relayers.offers.wire import (
    MAX_BODY,
    AcceptanceMessage,
    DeclineMessage,
    Hello,
    OfferMessage,
    Receipt,
    acceptance_of,
    decline_of,
    offer_of,
    parse,
    to_hex,
)
from relayers.protocol.offer import PROTOCOL_VERSIONS
from relayers.protocol.state import Swap
from relayers.quarantine import Quarantined

_M = TypeVar("_M", bound=BaseModel)
UNKNOWN: Final = "peer:unknown"


def peer_app(services: Services) -> FastAPI:
    app = FastAPI(title="Isthmus peers", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(BodyLimit, most=MAX_BODY)
    handle_problems(app)

    def actor(address: bytes) -> str:
        name = services.peer_name(address)
        return f"peer:{name}" if name is not None else UNKNOWN

    def responder(hashlock: Hashlock) -> str:
        try:
            swap = services.engine.swap(hashlock)
        except Quarantined:
            return UNKNOWN
        return actor(swap.offer.responder) if swap is not None else UNKNOWN

    @app.get("/peer/v1/hello")
    async def hello() -> Hello:
        return Hello(
            organisation=services.organisation,
            address=to_hex(services.dealing.address),
            versions=PROTOCOL_VERSIONS,
        )

    @app.post("/peer/v1/offers", status_code=202)
    async def offers(request: Request) -> Receipt:
        offer, signature = offer_of(await _message(request, OfferMessage))
        work = services.intake.offer(offer, signature)
        who = actor(offer.initiator)
        return _receipt(await carried_out(services, who, "offer", work, to_hex(offer.hashlock)))

    @app.post("/peer/v1/acceptances", status_code=202)
    async def acceptances(request: Request) -> Receipt:
        acceptance, signature = acceptance_of(await _message(request, AcceptanceMessage))
        who = responder(acceptance.hashlock)
        work = services.intake.acceptance(acceptance, signature)
        swap_id = to_hex(acceptance.hashlock)
        return _receipt(await carried_out(services, who, "accept", work, swap_id))

    @app.post("/peer/v1/declines", status_code=202)
    async def declines(request: Request) -> Receipt:
        decline, signature = decline_of(await _message(request, DeclineMessage))
        work = services.intake.decline(decline, signature)
        who = actor(decline.responder)
        return _receipt(await carried_out(services, who, "decline", work, to_hex(decline.hashlock)))

    return app


async def _message(request: Request, model: type[_M]) -> _M:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(415, "the body must be application/json")
    return parse(model, await request.body())


def _receipt(swap: Swap) -> Receipt:
    return Receipt(hashlock=to_hex(swap.hashlock), phase=swap.phase.value)
