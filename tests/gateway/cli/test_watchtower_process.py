"""A watchtower's process whose one node is down: it serves the other chain, and takes the missing
one up when its node is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from adapters.native.devnet import Devnet
from gateway.devnet.environment import WATCHTOWER, Environment, Plan
from tests.gateway.cli.forked_command import ForkedCommand
from tests.gateway.two_gateways import chain_block, make_world
from tests.ports import free_block, free_port


@pytest.fixture
def native(tmp_path: Path) -> Iterator[Environment]:
    """Prepared: its node was up once, and is down."""
    plan = Plan(ledgers=("native",), organisations=("alpha",))
    environment = Environment(tmp_path / "devnet", plan, die_with_us=True)
    environment.ledgers.networks = {"native": Devnet(environment.folder / "native", 0.2)}
    try:
        environment.prepare(iter(free_block(environment.ports_needed)))
        asyncio.run(environment.up())
        environment.processes.stop(environment.ledgers.process_names())
        yield environment
    finally:
        environment.down()


async def until(http: httpx.AsyncClient, enough: Callable[[Any], bool]) -> Any:
    async with asyncio.timeout(90):
        while True:
            ready = (await http.get("/readyz")).json()
            if enough(ready):
                return ready
            await asyncio.sleep(0.2)


async def test_a_node_that_is_down_holds_up_nothing_but_its_own_chain(
    native: Environment, tmp_path: Path
) -> None:
    world, port = make_world(tmp_path), free_port()
    folder = native.organisations[WATCHTOWER].folder
    data = yaml.safe_load((folder / "watchtower.yaml").read_text())
    key = {"uri": f"keystore:{world.alice.folder}/key.json"}
    key["passphrase"] = f"file:{world.alice.folder}/passphrase"
    data["chains"]["alpha"] = chain_block(world, world.chain_a, "gold") | {"key": key}
    data["metrics"] = {"port": port}
    file = folder / "both.yaml"
    file.write_text(yaml.safe_dump(data))
    tower = ForkedCommand("watchtower", "run", "-c", file)
    try:
        await tower.logged('"event": "watching"')
        assert f'"chains": ["{world.chain_a}"], "event": "watching"' in tower.err()
        base = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=90) as http:
            ready = await until(http, lambda one: len(one["reasons"]) == 1)
            assert ready["reasons"][0].startswith("chain native is not open: ")
            assert "no node can be used" in ready["reasons"][0]
            assert 'isthmus_chain_open{chain="native"} 0.0' in (await http.get("/metrics")).text
            native.ledgers.start()
            await until(http, lambda one: one["ok"])
            assert 'isthmus_chain_open{chain="native"} 1.0' in (await http.get("/metrics")).text
        assert "a chain is open at last" in tower.err()
        assert tower.lives
    finally:
        tower.end()
