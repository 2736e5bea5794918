"""The API for this organisation's own users: everything under /v1 needs the bearer token.

Health and metrics need none, so that a supervisor or Prometheus can ask; they tell no ids.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

from fastapi import Depends, FastAPI
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from gateway.api.authentication import bearer
from gateway.api.bodies import DoctorView, HealthView, PeerView
from gateway.api.body_limit import BodyLimit
from gateway.api.chains import chain_router
from gateway.api.description import REFUSALS, DescribedApi
from gateway.api.doctor import diagnosed
from gateway.api.events import event_router
from gateway.api.problems import handle_problems
from gateway.api.quarantine import quarantine_router
from gateway.api.swaps import swap_router
from gateway.services import Services
from gateway.telemetry.metrics import CONTENT_TYPE
from relayers.signing.secret import Secret

MAX_BODY: Final = 64 * 1024
"""Bytes of a request."""


def user_app(services: Services, token: Secret) -> FastAPI:
    app = DescribedApi(
        title="Isthmus",
        summary="Swaps between ledgers, from the side of one organisation's gateway.",
        version=version("isthmus"),
        docs_url=None,
        redoc_url=None,
        responses=REFUSALS,
    )
    app.add_middleware(BodyLimit, most=MAX_BODY)
    handle_problems(app)
    guarded = [Depends(bearer(token))]
    app.take(swap_router(services, guarded))
    app.take(event_router(services, guarded))
    app.take(chain_router(services, guarded))
    app.take(quarantine_router(services, guarded))

    @app.get("/v1/peers", tags=["gateway"], dependencies=guarded, operation_id="peers")
    async def peers() -> tuple[PeerView, ...]:
        """The configured peers."""
        return tuple(
            PeerView(
                name=peer.name,
                address="0x" + peer.address.hex(),
                url=peer.url,
                policy=peer.policy is not None,
            )
            for peer in services.dealing.peers
        )

    @app.get("/v1/doctor", tags=["gateway"], dependencies=guarded, operation_id="doctor")
    async def doctor() -> DoctorView:
        """Checks each chain, the journal, the clock and the peers, and says how to mend them."""
        return await diagnosed(services)

    @app.get("/healthz", tags=["health"], operation_id="healthz")
    async def healthz() -> HealthView:
        """Whether the process runs."""
        return HealthView(ok=True)

    @app.get(
        "/readyz",
        tags=["health"],
        operation_id="readyz",
        response_model=HealthView,
        responses={503: {"model": HealthView, "description": "Not now; it says why."}},
    )
    async def readyz() -> Response:
        """Whether swaps can be begun: every chain was seen and is neither stale nor frozen."""
        reasons = _unready(services)
        view = HealthView(ok=not reasons, reasons=reasons)
        return JSONResponse(view.model_dump(), 200 if view.ok else 503)

    @app.get("/metrics", tags=["health"], operation_id="metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Prometheus' text form."""
        return Response(services.metrics.text(), media_type=CONTENT_TYPE)

    return app


def _unready(services: Services) -> tuple[str, ...]:
    if services.stopping.is_set():
        return ("the gateway is stopping",)
    awaited = services.dealing.chains.awaited()
    reasons = [f"chain {name} is not open; isthmus doctor says why" for name in awaited]
    for chain in services.dealing.chains:
        view = services.engine.views().get(chain.id)
        if view is None:
            reasons.append(f"chain {chain.name} was not seen yet")
        elif view.frozen is not None:
            reasons.append(f"chain {chain.name} is frozen")
        elif services.clock() - view.head.time > chain.adapter.profile.stale_after:
            reasons.append(f"chain {chain.name} shows only an old block")
    return tuple(reasons)
