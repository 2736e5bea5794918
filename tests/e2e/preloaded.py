"""What the processes of gateways are forked with: imports, and schemas that are drawn once."""

# ruff: noqa: F401

import anyio._backends._asyncio
import certifi
import coincurve
import httpcore
import sniffio
import uvicorn.lifespan.on

import adapters.ethereum.plugin
import adapters.fabric.plugin
import adapters.native.plugin
import tests.e2e.mortal_gateway
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
