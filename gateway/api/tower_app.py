"""Health and metrics of a watchtower: figures only, for Prometheus and a supervisor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from adapters.model import ChainId
from gateway.api.bodies import HealthView
from gateway.api.problems import handle_problems
from gateway.services import ChainTrouble
from gateway.telemetry.metrics import CONTENT_TYPE, chains_open
from relayers.clock import Clock
from relayers.watchtower import Watchtower

Closed = Callable[[], Mapping[str, ChainTrouble]]
"""Why the chains that are not open are not, by the operator's names."""


class _Live(Collector):
    def __init__(
        self, tower: Watchtower, names: Mapping[ChainId, str], closed: Closed, clock: Clock
    ) -> None:
        self._tower = tower
        self._names = names
        self._closed = closed
        self._clock = clock

    def collect(self) -> Iterable[Metric]:
        tower = self._tower.tower
        yield GaugeMetricFamily(
            "isthmus_tower_locks", "Locks that are looked after.", value=len(tower.locks)
        )
        yield GaugeMetricFamily(
            "isthmus_tower_secrets", "Preimages that were seen.", value=len(tower.secrets)
        )
        closed = self._closed()
        yield chains_open((name, name not in closed) for name in self._names.values())
        height = GaugeMetricFamily(
            "isthmus_chain_head_height", "Height of the newest block known.", labels=["chain"]
        )
        lag = GaugeMetricFamily(
            "isthmus_chain_head_lag_seconds",
            "This machine's clock less the newest block's time.",
            labels=["chain"],
        )
        for watcher in self._tower.watchers:
            head = watcher.state.head
            if head is not None:
                name = [self._names[watcher.chain]]
                height.add_metric(name, head.height)
                lag.add_metric(name, self._clock() - head.time)
        yield from (height, lag)


def tower_app(
    tower: Watchtower, names: Mapping[ChainId, str], closed: Closed, clock: Clock
) -> FastAPI:
    """``names``: of every configured chain, open or not."""
    app = FastAPI(title="Isthmus watchtower", docs_url=None, redoc_url=None, openapi_url=None)
    handle_problems(app)
    registry = CollectorRegistry()
    registry.register(_Live(tower, names, closed, clock))

    @app.get("/healthz")
    async def healthz() -> HealthView:
        return HealthView(ok=True)

    @app.get("/readyz")
    async def readyz() -> Response:
        reasons = (
            *(f"chain {name} is not open: {why.problem}" for name, why in closed().items()),
            *(
                f"chain {names[watcher.chain]}: "
                f"{watcher.state.error or 'not seen yet, or only an old block'}"
                for watcher in tower.watchers
                if not watcher.state.connected or watcher.state.stale
            ),
        )
        view = HealthView(ok=not reasons, reasons=reasons)
        return JSONResponse(view.model_dump(), 200 if view.ok else 503)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE)

    return app
