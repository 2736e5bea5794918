"""A gateway, or a watchtower, whose chains cannot all be opened starts with the others; the rest
follow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from adapters.model import Hashlock, LockId, LockTerms
from adapters.simulated.accounts import account_of
from adapters.simulated.plugin import SimulatedPlugin, SimulatedSettings
from adapters.spi import Adapter, Misconfigured, Unavailable
from gateway import compose
from gateway.compose import open_gateway, open_tower
from gateway.settings import load_tower
from relayers.protocol.tower import Tower, WatchedLock
from relayers.tower_state import TowerState
from tests.gateway.two_gateways import (
    TOKEN,
    World,
    both_running,
    make_world,
    offer_body,
    write_watchtower,
)
from tests.ports import free_port

OPEN = SimulatedPlugin._open


class Fault:
    """What opening one chain meets, until it is mended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, chain: str) -> None:
        self.error: Exception | None = None
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        fault = self

        @asynccontextmanager
        async def opening(
            plugin: SimulatedPlugin, name: str, settings: SimulatedSettings
        ) -> AsyncIterator[Adapter]:
            if name == chain and fault.error is not None:
                await fault.may_answer.wait()
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
            metrics = (await http.get("/metrics")).text
            assert 'isthmus_chain_open{chain="alpha"} 0.0' in metrics
            assert 'isthmus_chain_open{chain="beta"} 1.0' in metrics
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


@pytest.mark.parametrize(
    "error", [Unavailable("alpha: no node answers"), Misconfigured("alpha: another chain id")]
)
async def test_a_watchtower_serves_the_chains_that_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    world = make_world(tmp_path)
    port = free_port()
    settings = load_tower(write_watchtower(world, tmp_path, metrics={"port": port}), {})
    TowerState(settings.root.state).save(looking_after(world), {})
    fault = Fault(monkeypatch, "alpha")
    fault.error = error
    base = f"http://127.0.0.1:{port}"
    async with asyncio.timeout(40), open_tower(settings) as tower:
        work = asyncio.create_task(tower.run())
        async with httpx.AsyncClient(base_url=base, trust_env=False) as http:
            await answered(http, "/readyz", lambda one: len(one.json()["reasons"]) == 1)
            ready = await http.get("/readyz")
            assert ready.status_code == 503
            assert ready.json()["reasons"] == [f"chain alpha is not open: {error}"]
            metrics = (await http.get("/metrics")).text
            assert 'isthmus_chain_open{chain="alpha"} 0.0' in metrics
            assert 'isthmus_chain_open{chain="beta"} 1.0' in metrics
            assert 'isthmus_chain_head_height{chain="beta"}' in metrics
            fault.error = None
            await answered(http, "/readyz", lambda one: one.status_code == 200)
            metrics = (await http.get("/metrics")).text
            assert 'isthmus_chain_open{chain="alpha"} 1.0' in metrics
            assert 'isthmus_chain_head_height{chain="alpha"}' in metrics
        tower.stop()
        await work


async def test_a_wrong_chain_ends_a_watchtowers_start_where_it_has_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = Fault(monkeypatch, "beta")
    fault.error = Misconfigured("beta: another chain id")
    file = write_watchtower(make_world(tmp_path), tmp_path)
    with pytest.raises(Misconfigured, match="beta: another chain id"):
        async with open_tower(load_tower(file, {})):
            pass


@pytest.mark.parametrize("tower", [False, True], ids=["gateway", "watchtower"])
async def test_a_wrong_chain_that_answers_late_ends_what_has_begun_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tower: bool
) -> None:
    """A slow machine refuses what a fast one refuses."""
    monkeypatch.setattr(compose, "PATIENCE", 0)
    world = make_world(tmp_path)
    fault = Fault(monkeypatch, "beta")
    fault.error = Misconfigured("beta: another chain id")
    fault.may_answer.clear()
    opened = (
        open_tower(load_tower(write_watchtower(world, tmp_path), {}))
        if tower
        else open_gateway(world.alice.settings())
    )
    async with asyncio.timeout(40), opened as process:
        work = asyncio.create_task(process.run())
        fault.may_answer.set()
        with pytest.raises(Misconfigured, match="beta: another chain id"):
            await work


def looking_after(world: World) -> Tower:
    """A tower that has seen one lock on beta, open for long."""
    chain = world.chain_b
    alice, bob = (account_of(chain, who.public_key) for who in (world.alice, world.bob))
    terms = LockTerms(chain, "locks", alice, bob, world.oil, 5, Hashlock(bytes([7]) * 32), 2**40)
    lock_id = LockId(bytes([8]) * 32)
    return Tower({lock_id: WatchedLock(lock_id, terms)})
