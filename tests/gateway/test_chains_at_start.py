"""A gateway whose chains cannot all be opened starts with the others; the rest follow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from adapters.simulated.plugin import SimulatedPlugin, SimulatedSettings
from adapters.spi import Adapter, Misconfigured, Unavailable
from gateway.compose import open_gateway
from tests.gateway.two_gateways import TOKEN, both_running, make_world, offer_body

OPEN = SimulatedPlugin._open


class Fault:
    """What opening one chain meets, until it is mended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, chain: str) -> None:
        self.error: Exception | None = None
        fault = self

        @asynccontextmanager
        async def opening(
            plugin: SimulatedPlugin, name: str, settings: SimulatedSettings
        ) -> AsyncIterator[Adapter]:
            if name == chain and fault.error is not None:
                raise fault.error
            async with OPEN(plugin, name, settings) as adapter:
                yield adapter

        monkeypatch.setattr(SimulatedPlugin, "_open", opening)


async def answered(
    http: httpx.AsyncClient, path: str, enough: Callable[[httpx.Response], bool]
) -> None:
    while True:
        if enough(await http.get(path)):
            return
        await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    "error", [Unavailable("alpha: no node answers"), Misconfigured("alpha: another chain id")]
)
async def test_a_chain_that_cannot_be_opened_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    world = make_world(tmp_path, block_interval=0.2)
    fault = Fault(monkeypatch, "alpha")
    async with both_running(world) as (alice, _):
        # The offer is still open when the gateway is started again.
        made = await alice.http.post("/v1/swaps", json=offer_body(world))
        assert made.status_code == 201, made.text
    fault.error = error
    headers = {"authorization": f"Bearer {TOKEN}"}
    base = f"http://127.0.0.1:{world.alice.api_port}"
    async with asyncio.timeout(40), open_gateway(world.alice.settings()) as gateway:
        work = asyncio.create_task(gateway.run())
        async with httpx.AsyncClient(base_url=base, headers=headers, trust_env=False) as http:
            ready = await http.get("/readyz")
            assert ready.status_code == 503
            assert "chain alpha is not open; isthmus doctor says why" in ready.json()["reasons"]
            chains = (await http.get("/v1/chains")).json()
            assert [chain["name"] for chain in chains] == ["beta"]
            await answered(http, "/v1/chains/beta", lambda one: not one.json()["stale"])
            alpha = await http.get("/v1/chains/alpha")
            assert alpha.status_code == 503
            assert str(error) in alpha.json()["detail"]
            findings = (await http.get("/v1/doctor")).json()["findings"]
            closed = [one for one in findings if one["check"] == "open"]
            assert [(one["part"], one["ok"], one["seen"]) for one in closed] == [
                ("chain alpha", False, str(error))
            ]
            refused = await http.post("/v1/swaps", json=offer_body(world))
            assert refused.json()["code"] == "chain_unavailable"
            fault.error = None
            await answered(http, "/readyz", lambda one: one.status_code == 200)
            assert (await http.get("/v1/chains/alpha")).json()["name"] == "alpha"
        gateway.stop()
        await work


async def test_a_wrong_chain_ends_the_start_where_nothing_is_at_stake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = Fault(monkeypatch, "beta")
    fault.error = Misconfigured("beta: another chain id")
    with pytest.raises(Misconfigured, match="beta: another chain id"):
        async with open_gateway(make_world(tmp_path).alice.settings()):
            pass
