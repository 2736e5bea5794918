"""Of two URLs that a gateway has for each chain one is dead, and behind the other the node answers
429 for a minute in the middle of a swap: the swap completes all the same."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import yaml

from gateway.devnet.environment import Environment
from tests.adapters.ethereum.edge import Answer, Edge, edge_before
from tests.networks.organisations import after, organisations
from tests.ports import free_port

PAIR = ("native", "ethereum")
MINUTE = 60.0
WAIT = "5"
"""Seconds that the node asks for."""


async def put_edges_before(
    environment: Environment, name: str, stack: AsyncExitStack
) -> list[Edge]:
    """Lets a gateway reach each of its chains through an edge alone."""
    path = environment.organisations[name].configuration
    written = yaml.safe_load(path.read_text())
    edges = []
    for chain in written["chains"].values():
        edge = await stack.enter_async_context(edge_before(chain["urls"][0]))
        chain["urls"] = [f"http://127.0.0.1:{free_port()}", edge.url]
        edges.append(edge)
    path.write_text(yaml.safe_dump(written))
    return edges


def refuses(edge: Edge) -> list[int]:
    """From now on. What is returned grows by one for each refusal."""
    refused: list[int] = []

    def rule(_: object) -> Answer:
        refused.append(429)
        return Answer(429, b"", (("Retry-After", WAIT),))

    edge.rule = rule
    return refused


@pytest.mark.shows(
    "native:ethereum",
    "CometBFT and Geth",
    "one of two URLs is dead, the other answers 429 for a minute in the middle of a swap",
)
async def test_a_swap_outlives_a_minute_of_refusals(tmp_path: Path) -> None:
    edges: list[Edge] = []

    async def through_edges(environment: Environment, stack: AsyncExitStack) -> None:
        edges.extend(await put_edges_before(environment, "alpha", stack))

    async with organisations(tmp_path, PAIR, arranged=through_edges) as both:
        before = await both.both()
        swap = await both.offered()
        await both.told(swap, "locked")
        refusals = [refuses(edge) for edge in edges]
        # The minute is the fault itself.
        await asyncio.sleep(MINUTE)
        assert all(refusals), "a node was not asked"
        for edge in edges:
            edge.rule = lambda _: None
        await both.completed(swap)
        assert await both.both() == after(before)
