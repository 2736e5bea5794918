"""A swap in quarantine is replayed when the gateway starts: a release that mends its fault frees
it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.services import hashlock_of
from relayers.protocol.facts import OfferDeclined
from relayers.protocol.swap import step
from tests.gateway.two_gateways import both_running, make_world, offer_body, running


async def test_a_held_fact_is_taken_in_by_a_release_that_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(tmp_path, block_interval=0.2)

    def faulty(state: Any, fact: Any) -> Any:
        if isinstance(fact.body, OfferDeclined):
            raise ZeroDivisionError
        return step(state, fact)

    async with both_running(world) as (alice, bob):
        made = await alice.http.post("/v1/swaps", json=offer_body(world))
        swap = made.json()["id"]
        await bob.swap_in(swap, "received")
        with monkeypatch.context() as patched:
            patched.setattr("relayers.engine.step", faulty)
            answer = await bob.http.post(f"/v1/swaps/{swap}/reject", json={"reason": "no"})
            assert answer.json()["code"] == "quarantined"
        assert hashlock_of(swap) in bob.gateway.services.engine.quarantined()
    async with running(world.bob) as bob:
        assert not bob.gateway.services.engine.quarantined()
        assert (await bob.swap_in(swap, "declined"))["reason"] == "no"
