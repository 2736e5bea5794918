"""Two organisations with a gateway process each, on real networks: alpha offers, beta accepts.

What tests do to the networks' processes goes by name through ``processes``; the gateways live on.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapters.model import AssetId
from gateway.api.bodies import OfferRequestBody, SideBody, SwapDetail
from gateway.client import ApiError, GatewayClient, GatewayUnreachable
from gateway.devnet.environment import Environment, Plan
from gateway.devnet.processes import Processes
from gateway.settings import programs_here
from relayers.signing.secret import Secret
from tests.ports import free_block

TRADED = {"native": 1, "ethereum": 1, "fabric": 0}
"""Which of a ledger's assets: none that pays for transactions, so that balances are exact."""
GIVE, GET = 300, 7
"""Smallest units in each swap."""
BOUNDS = {"reaction": 5, "outage": 120}
OFFERS = {"valid_for": 300, "slack": 120}
"""In seconds: a network that is put together again in the middle of a swap is no outage of R."""
Arrange = Callable[[Environment, AsyncExitStack], Awaitable[None]]
_PAUSE = 0.4


@dataclass(frozen=True, slots=True)
class Holdings:
    """Of one side, in smallest units."""

    given: int
    got: int


@dataclass(frozen=True, slots=True)
class Organisations:
    """Both, running. ``pair``: the ledger on which alpha gives, and the one on which it gets."""

    environment: Environment
    clients: Mapping[str, GatewayClient]
    pair: tuple[str, str]

    @property
    def processes(self) -> Processes:
        return self.environment.processes

    @property
    def give(self) -> AssetId:
        return self._asset(self.pair[0])

    @property
    def get(self) -> AssetId:
        return self._asset(self.pair[1])

    def _asset(self, ledger: str) -> AssetId:
        return self.environment.networks[ledger].assets()[TRADED[ledger]]

    def start_again(self, name: str) -> None:
        """Starts a process of a network that was ended."""
        (spec,) = (
            spec
            for network in self.environment.networks.values()
            for spec in network.processes()
            if spec.name == name
        )
        self.processes.start(spec)

    async def offered(self, give: int = GIVE, get: int = GET) -> str:
        """The id of a new swap."""
        body = OfferRequestBody(
            peer="beta",
            give=SideBody(asset=str(self.give), amount=str(give)),
            get=SideBody(asset=str(self.get), amount=str(get)),
        )
        key = secrets.token_hex(16)
        while True:
            try:
                return (await self.clients["alpha"].offer(body, idempotency_key=key)).id
            except ApiError as error:
                if error.problem.status < 500 and error.problem.status != 429:
                    raise
            await asyncio.sleep(_PAUSE)

    async def told(self, swap: str, kind: str, by: str = "alpha") -> None:
        """Returns once this gateway has told this kind of event of the swap."""
        while True:
            try:
                async for event in self.clients[by].events(swap):
                    if event.kind == kind:
                        return
            except (GatewayUnreachable, ApiError):
                await asyncio.sleep(_PAUSE)

    async def ended(self, swap: str, by: str) -> SwapDetail:
        """Once nothing is left to be done or to become final."""
        while True:
            try:
                detail = await self.clients[by].swap(swap)
            except GatewayUnreachable:
                detail = None
            if detail is not None and detail.ended:
                locks = [leg.lock for leg in (detail.give, detail.get)]
                if all(lock is None or lock.settled_stage == "final" for lock in locks):
                    return detail
            await asyncio.sleep(_PAUSE)

    async def completed(self, *swaps: str) -> None:
        """Once both have completed all of these; none may end otherwise."""
        for swap in swaps:
            for by in self.clients:
                detail = await self.ended(swap, by)
                assert detail.phase == "completed", (by, detail)

    async def holdings(self, name: str) -> Holdings:
        while True:
            try:
                given = await self.clients[name].balances(self.pair[0], str(self.give))
                got = await self.clients[name].balances(self.pair[1], str(self.get))
            except (GatewayUnreachable, ApiError):
                await asyncio.sleep(_PAUSE)
            else:
                return Holdings(int(given.balances[0].amount), int(got.balances[0].amount))

    async def both(self) -> tuple[Holdings, Holdings]:
        return await self.holdings("alpha"), await self.holdings("beta")


def after(
    before: tuple[Holdings, Holdings], swaps: int = 1, give: int = GIVE, get: int = GET
) -> tuple[Holdings, Holdings]:
    """What both must hold once so many swaps have completed."""
    alpha, beta = before
    return (
        Holdings(alpha.given - swaps * give, alpha.got + swaps * get),
        Holdings(beta.given + swaps * give, beta.got - swaps * get),
    )


@asynccontextmanager
async def organisations(
    folder: Path,
    pair: tuple[str, str],
    *,
    bounds: Mapping[str, int] = BOUNDS,
    offers: Mapping[str, int] = OFFERS,
    by_policy: bool = True,
    arranged: Arrange | None = None,
) -> AsyncIterator[Organisations]:
    """Networks and gateways, up and ready; ended at the end. ``by_policy``: beta accepts without
    being asked. ``arranged`` is called once the networks are up, before the gateways start; what it
    enters lasts as long. Skips where a program is missing."""
    plan = Plan(
        ledgers=pair,
        accepting=[("beta", "alpha")] if by_policy else (),
        bounds=bounds,
        offers=offers,
        programs=programs_here(),
    )
    environment = Environment(folder, plan, die_with_us=True)
    skip_without(environment.ledgers.missing())
    environment.prepare(iter(free_block(environment.ports_needed)))
    try:
        await environment.up()
        async with AsyncExitStack() as stack:
            if arranged is not None:
                await arranged(environment, stack)
            clients: dict[str, GatewayClient] = {}
            for name in plan.organisations:
                environment.processes.start(environment.gateway(name))
                url = f"http://127.0.0.1:{environment.ports[name].api}"
                client = GatewayClient(url, Secret(environment.organisations[name].token))
                clients[name] = await stack.enter_async_context(client)
            for name, client in clients.items():
                await _ready(environment, name, client)
            yield Organisations(environment, clients, pair)
    finally:
        environment.down()


def skip_without(missing: Sequence[str]) -> None:
    """Skips the test where programs are missing, with what says how to get one."""
    for said in missing:
        program, _, how = said.removeprefix("there is no ").partition(" of the right version")
        part = "Hyperledger Fabric 3.1" if "Hyperledger Fabric" in said else program
        pytest.skip(f"{part}: {how.partition(': ')[2]}")


async def _ready(environment: Environment, name: str, client: GatewayClient) -> None:
    process = f"gateway-{name}"
    while True:
        try:
            if (await client.ready()).ok:
                return
        except (GatewayUnreachable, ApiError):
            pass
        assert environment.processes.alive(process), environment.processes.last_words(process, 20)
        await asyncio.sleep(_PAUSE)
