"""A chain that holds no hash-time-locks is not traded on: nothing could be swapped there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.model import Capability
from adapters.simulated.adapter import SimulatedAdapter
from adapters.spi import Misconfigured
from gateway.compose import open_gateway, open_tower
from gateway.settings import load_tower
from tests.gateway.two_gateways import make_world, write_watchtower


async def test_a_chain_without_hash_locks_ends_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = SimulatedAdapter.__init__

    def without(adapter: SimulatedAdapter, *arguments: Any, **options: Any) -> None:
        made(adapter, *arguments, **options)
        if options["name"] == "beta":
            left = adapter.profile.capabilities - {Capability.HASH_LOCK}
            adapter.profile = replace(adapter.profile, capabilities=left)

    world = make_world(tmp_path)
    tower = load_tower(write_watchtower(world, tmp_path), {})
    monkeypatch.setattr(SimulatedAdapter, "__init__", without)
    for opened in (open_gateway(world.alice.settings()), open_tower(tower)):
        with pytest.raises(Misconfigured, match=r"chain beta: .* no hash-time-locks .*take it out"):
            async with opened:
                pass
