"""A composed watchtower: with no key of either party it finishes what a gateway left open."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import yaml

from gateway.compose import open_tower
from gateway.settings import load_tower
from tests.gateway.two_gateways import (
    FUNDS,
    both_running,
    chain_block,
    make_world,
    offer_body,
    running,
)
from tests.ports import free_port


async def test_a_watchtower_claims_for_a_responder_that_is_down(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    port = free_port()
    key = {"uri": "keystore:bob/key.json", "passphrase": "file:bob/passphrase"}
    # Its own key; on these chains nothing is paid for a transaction, so it holds nothing.
    other = make_world(tmp_path / "elsewhere")
    key = {
        "uri": f"keystore:{other.alice.folder}/key.json",
        "passphrase": f"file:{other.alice.folder}/passphrase",
    }
    (tmp_path / "tower.yaml").write_text(
        yaml.safe_dump(
            {
                "organisation": "tower",
                "state": "tower.json",
                "metrics": {"port": port},
                "chains": {
                    "alpha": chain_block(world, world.chain_a, "gold") | {"key": key},
                    "beta": chain_block(world, world.chain_b, "oil") | {"key": key},
                },
            }
        )
    )
    async with open_tower(load_tower(tmp_path / "tower.yaml", {})) as tower:
        work = asyncio.create_task(tower.run())
        async with both_running(world) as (alice, bob):
            swap = (await alice.http.post("/v1/swaps", json=offer_body(world))).json()["id"]
            await bob.swap_in(swap, "received")
            await bob.http.post(f"/v1/swaps/{swap}/accept")
            await alice.swap_in(swap, "completed")
        async with httpx.AsyncClient(trust_env=False) as http:
            base = f"http://127.0.0.1:{port}"
            assert (await http.get(f"{base}/readyz")).json()["ok"]
            assert "isthmus_tower_locks" in (await http.get(f"{base}/metrics")).text
        tower.stop()
        await work
    async with running(world.bob) as bob:
        answer = await bob.http.get("/v1/chains/alpha/balances", params={"asset": str(world.gold)})
        assert int(answer.json()["balances"][0]["amount"]) == FUNDS + 300
