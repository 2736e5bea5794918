"""A composed watchtower: with no key of either party it finishes what a gateway left open."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx

from gateway.compose import open_tower
from gateway.settings import load_tower
from tests.gateway.two_gateways import (
    FUNDS,
    both_running,
    make_world,
    offer_body,
    running,
    write_watchtower,
)
from tests.ports import free_port


async def test_a_watchtower_claims_for_a_responder_that_is_down(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    port = free_port()
    file = write_watchtower(world, tmp_path, metrics={"port": port})
    async with open_tower(load_tower(file, {})) as tower:
        work = asyncio.create_task(tower.run())
        async with both_running(world) as (alice, bob):
            swap = (await alice.http.post("/v1/swaps", json=offer_body(world))).json()["id"]
            await bob.swap_in(swap, "received")
            await bob.http.post(f"/v1/swaps/{swap}/accept")
            await alice.swap_in(swap, "completed")
        async with httpx.AsyncClient(trust_env=False) as http:
            base = f"http://127.0.0.1:{port}"
            assert (await http.get(f"{base}/readyz")).json()["ok"]
            metrics = (await http.get(f"{base}/metrics")).text
            assert "isthmus_tower_locks" in metrics
            for name in ("alpha", "beta"):
                assert f'isthmus_chain_open{{chain="{name}"}} 1.0' in metrics
                assert f'isthmus_chain_head_height{{chain="{name}"}}' in metrics
        tower.stop()
        await work
    async with running(world.bob) as bob:
        answer = await bob.http.get("/v1/chains/alpha/balances", params={"asset": str(world.gold)})
        assert int(answer.json()["balances"][0]["amount"]) == FUNDS + 300
