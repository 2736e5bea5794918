"""A whole swap between two gateways: over HTTP and TLS, with real journals and simulated chains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.gateway.two_gateways import FUNDS, Running, both_running, make_world, offer_body


async def balance(gateway: Running, chain: str, asset: object) -> int:
    answer = await gateway.http.get(f"/v1/chains/{chain}/balances", params={"asset": str(asset)})
    return int(answer.json()["balances"][0]["amount"])


async def offered(alice: Running, body: dict[str, Any]) -> str:
    answer = await alice.http.post("/v1/swaps", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def test_two_gateways_swap(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    async with both_running(world) as (alice, bob):
        swap = await offered(alice, offer_body(world))
        received = await bob.swap_in(swap, "received")
        assert received["reference"] == "order 7"
        assert received["give"]["display"] == "1 OIL"
        assert received["get"]["amount"] == "300"
        answer = await bob.http.post(f"/v1/swaps/{swap}/accept")
        assert answer.status_code == 200, answer.text
        for gateway in (alice, bob):
            done = await gateway.swap_in(swap, "completed", "failed", "refunded", "lost")
            assert done["phase"] == "completed", done
            assert done["alerts"] == []
            assert done["explanation"]["where"]
        for gateway, gold, oil in ((alice, -300, 100), (bob, 300, -100)):
            assert await balance(gateway, "alpha", world.gold) == FUNDS + gold
            assert await balance(gateway, "beta", world.oil) == FUNDS + oil


async def test_a_policy_accepts_without_asking(tmp_path: Path) -> None:
    world = make_world(tmp_path, bobs_policy=True)
    async with both_running(world) as (alice, bob):
        swap = await offered(alice, offer_body(world))
        dear = await offered(
            alice, offer_body(world, give={"asset": str(world.gold), "amount": "1"})
        )
        assert (await bob.swap_in(swap, "completed"))["alerts"] == []
        await alice.swap_in(swap, "completed")
        assert (await bob.swap_in(dear, "received"))["phase"] == "received"
    audit = world.bob.settings().audit_path.read_text()
    assert '"actor":"policy","command":"accept","outcome":"accepted"' in audit
    assert "below the least allowed" in audit
