"""The networks that the tests of this folder share, each started once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import grpc.aio
import pytest

from tests.adapters.fabric.devnet.gateway_client import GatewayClient
from tests.adapters.fabric.devnet.networks import (
    DevelopmentNetwork,
    NetworkUnderTest,
    RealNetwork,
)
from tests.networks.fabric import running
from tests.ports import free_block

_DEVELOPMENT_PORTS = 9


@pytest.fixture(scope="package", params=["development", "real"])
def network(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NetworkUnderTest]:
    """Each network in turn; the real one where its programs are."""
    folder: Path = tmp_path_factory.mktemp(request.param)
    if request.param == "development":
        development = DevelopmentNetwork(folder, free_block(_DEVELOPMENT_PORTS).start)
        try:
            development.start()
            yield development
        finally:
            development.stop()
        return
    with running(RealNetwork(folder)) as real:
        yield real


@pytest.fixture
async def clients(network: NetworkUnderTest) -> AsyncIterator[list[GatewayClient]]:
    """A client of each organisation at its own peer, which endorses."""
    three = [network.client(number) for number in (1, 2, 3)]
    try:
        for client in three:
            await endorsing(client)
        yield three
    finally:
        for client in three:
            await client.close()


@pytest.fixture
async def client(clients: list[GatewayClient]) -> GatewayClient:
    """The first organisation's."""
    return clients[0]


async def endorsing(
    client: GatewayClient, chaincodes: Sequence[str] = ("isthmus", "token")
) -> None:
    """Returns when the gateway endorses; a real one first learns of the others by gossip."""
    while True:
        try:
            for chaincode in chaincodes:
                await client.endorse("put", "ready", "x", chaincode=chaincode)
            return
        except grpc.aio.AioRpcError:
            await asyncio.sleep(0.02)
