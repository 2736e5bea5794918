"""The embedded Fabric is held to the real one: the same generated calls are made to both, and what
comes of them is the same, but for what ``DIFFERENCES`` lists."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from adapters.devnet import ProcessSpec
from adapters.fabric.real_network import LOCKS
from tests.adapters.fabric.devnet.conftest import endorsing
from tests.adapters.fabric.devnet.networks import DevelopmentNetwork, probe
from tests.networks.fabric import CHAINCODE, TOKEN, FabricNetwork, running
from tests.networks.fabric_calls import ASSETS, Call, Generator
from tests.networks.fabric_faulty_envelopes import ENVELOPES
from tests.networks.fabric_faulty_proposals import PROPOSALS
from tests.networks.fabric_faulty_questions import QUESTIONS
from tests.networks.fabric_side import Outcome, Side
from tests.ports import free_block

CALLS = 120
"""Besides each fault once."""
LAST = 99_999
"""Seconds from the beginning to the deadline of the lock that ends the comparison."""
SEEDS = (20_261_121,)


@dataclass(frozen=True, slots=True)
class Difference:
    """A call of which the two networks say different things, and why that is as it should be."""

    fault: str
    """The name of the fault."""
    reason: str


DIFFERENCES = (
    Difference(
        "commits a definition that nobody approved",
        "the embedded network's chaincodes are defined by its configuration file: its lifecycle "
        "answers queries and takes no changes, and says so by an access list without an entry",
    ),
)


@dataclass(frozen=True, slots=True)
class Both:
    embedded: DevelopmentNetwork
    real: Deployed


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """Each with the lock chaincode, not set up yet, and the probe chaincode as ``token``."""
    embedded = DevelopmentNetwork(
        tmp_path_factory.mktemp("embedded"),
        free_block(9).start,
        program=LOCKS.argv[1:],
        patience=30,
    )
    real = Deployed(tmp_path_factory.mktemp("real"), chaincodes=(LOCKS, probe(TOKEN)))
    try:
        embedded.start()
        with running(real):
            yield Both(embedded, real)
    finally:
        embedded.stop()


class Deployed(FabricNetwork):
    def specs(self) -> Sequence[ProcessSpec]:
        """The operators pin no chain, as on the embedded one: calls must not depend on its hash."""
        return [replace(spec, env={**spec.env, "ISTHMUS_CHAIN": ""}) for spec in super().specs()]

    async def ready(self) -> None:
        """Setting up is part of the calls."""
        await self.real.deploy()


@asynccontextmanager
async def side(name: str, network: DevelopmentNetwork | Deployed) -> AsyncIterator[Side]:
    clients = [network.client(number) for number in (1, 2, 3)]
    try:
        for client in clients:
            await endorsing(client, (TOKEN,))
        yield Side(name, clients)
    finally:
        for client in clients:
            await client.close()


def expected(call: Call) -> bool:
    fault = getattr(call, "fault", None)
    return any(difference.fault == fault for difference in DIFFERENCES)


@pytest.mark.shows(
    "fabric",
    "Fabric 3.1, one Raft orderer, three organisations",
    "the embedded ledger answers as the real one",
)
@pytest.mark.parametrize("seed", SEEDS)
async def test_the_embedded_fabric_answers_as_the_real_one(both: Both, seed: int) -> None:
    faults = [tuple(PROPOSALS), tuple(ENVELOPES), tuple(QUESTIONS)]
    begun = int(time.time())
    calls = Generator(seed, begun, faults).calls(CALLS)
    async with side("embedded", both.embedded) as one, side("real", both.real) as other:
        different = []
        for number, call in enumerate(calls):
            told = await asyncio.gather(one.make(call), other.make(call))
            if told[0] != told[1] and not expected(call):
                different.append(_report(number, call, *told))
        assert not different, f"seed {seed}:\n" + "\n".join(different)
        for chaincode in (CHAINCODE, TOKEN):
            deadline = begun + LAST
            assert await one.events(chaincode, deadline) == await other.events(chaincode, deadline)
        assert await one.ledger() == await other.ledger()
        assert await one.state(ASSETS) == await other.state(ASSETS)


def _report(number: int, call: Call, embedded: Outcome, real: Outcome) -> str:
    return "\n  ".join(
        [
            f"{number}: {call}",
            *(f"embedded: {line}" for line in embedded),
            *(f"real:     {line}" for line in real),
        ]
    )
