"""What the processes of gateways and commands are forked with: imports, and schemas that are drawn
once."""

# ruff: noqa: E402, F401

from gateway import garbage

garbage.begin()

import gc

import anyio._backends._asyncio
import certifi
import coincurve
import fastapi
import httpcore
import sniffio
import uvicorn.lifespan.on

import adapters.ethereum.plugin
import adapters.fabric.plugin
import adapters.native.plugin
import adapters.simulated.plugin
import gateway.cli.main
import gateway.client
import tests.e2e.mortal_gateway
from gateway.api.bodies import HealthView
from gateway.sections import Root, TowerRoot
from relayers.journal import records

for codec in (
    records.fact_codec,
    records.intent_codec,
    records.swap_codec,
    records.at_codec,
    records.view_codec,
    records.event_codec,
):
    codec()
for model in (Root, TowerRoot):
    model.model_rebuild()


@fastapi.FastAPI().get("/")
def _first_route() -> HealthView:
    """FastAPI imports with it what it imports with any process's first route."""
    return HealthView(ok=True)


# None of this is ever freed; each process would go through it, and so copy it, at its first
# collection.
gc.collect()
gc.freeze()
