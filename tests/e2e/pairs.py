"""Pairs of organisations on one embedded native chain and one embedded Ethereum, with gateways that
can be killed. Each pair has keys and journals of its own, so that pairs can swap side by side."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from adapters.model import AssetId
from gateway.api.bodies import OfferBody, SideBody, SwapDetail
from gateway.client import ApiError, GatewayClient, GatewayUnreachable
from gateway.devnet.environment import Environment, Plan
from gateway.devnet.organisations import Organisation
from gateway.devnet.ports import find
from relayers.signing.secret import Secret
from tests.e2e.mortal_gateway import Death, MortalGateway

T = TypeVar("T")

FIRST_PORT = 28_100
PAUSE = 0.25
PATIENCE = 90.0
"""Seconds for one swap, restarts included; far below the deadlines that OUTAGE sets."""
OUTAGE = 120
"""Long, so that a loaded machine never makes a happy swap late."""
GIVE, GET = 300, 7
"""Smallest units of a native token, and of an ERC-20."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """Of one side, in smallest units."""

    given: int
    got: int


class Side:
    """One organisation: its gateway's process, and a client of it."""

    def __init__(self, organisation: Organisation, api_port: int) -> None:
        self.organisation = organisation
        self.gateway = MortalGateway(organisation.configuration)
        self.client = GatewayClient(f"http://127.0.0.1:{api_port}", Secret(organisation.token))
        self.deaths: int = 0
        self._may_die = False

    def start(self, death: Death | None = None) -> None:
        self.deaths, self._may_die = 0, death is not None
        self.gateway.start(death)

    async def told(self, work: Callable[[], Awaitable[T | None]]) -> T:
        """What ``work`` comes to. Asked again while it is None or the gateway refuses or is not
        there; a gateway that has died as it was to is started again, once."""
        while True:
            if not self.gateway.lives:
                assert self._may_die, f"the gateway ended by itself: see {self.gateway.log}"
                assert self.deaths == 0, f"the gateway died twice: see {self.gateway.log}"
                self.deaths = 1
                self.gateway.bury()
                self.gateway.start()
            try:
                found = await work()
            except (ApiError, GatewayUnreachable):
                found = None
            if found is not None:
                return found
            await asyncio.sleep(PAUSE)

    async def ready(self) -> None:
        async def live() -> bool | None:
            return (await self.client.ready()).ok or None

        await self.told(live)

    async def stop(self) -> None:
        self.gateway.stop()
        await self.client.aclose()


class Pair:
    """An initiator that gives native tokens, and a responder that accepts by policy."""

    def __init__(self, initiator: Side, responder: Side, give: AssetId, get: AssetId) -> None:
        self.initiator = initiator
        self.responder = responder
        self.give = give
        self.get = get
        self.seen: dict[str, str] = {}
        """Where each side's swap was last, for a failure's message."""

    @property
    def sides(self) -> tuple[Side, Side]:
        return self.initiator, self.responder

    async def holdings(self, side: Side) -> Holdings:
        async def read() -> Holdings:
            given = await side.client.balances("native", str(self.give))
            got = await side.client.balances("ethereum", str(self.get))
            return Holdings(int(given.balances[0].amount), int(got.balances[0].amount))

        return await side.told(read)

    async def swap(self, mortal: Side | None = None, death: Death | None = None) -> bool:
        """One happy swap in which ``mortal`` dies once and is started again. Returns whether it
        died; raises AssertionError unless every balance is what a swap without a death gives."""
        try:
            async with asyncio.timeout(PATIENCE):
                before, after = await self._swap(mortal, death)
        except TimeoutError:
            raise AssertionError(f"{death}: not over in {PATIENCE:g} s: {self.seen}") from None
        expected = [
            Holdings(before[0].given - GIVE, before[0].got + GET),
            Holdings(before[1].given + GIVE, before[1].got - GET),
        ]
        assert after == expected, f"{death}: {after} in place of {expected}"
        return mortal is not None and mortal.deaths == 1

    async def _swap(
        self, mortal: Side | None, death: Death | None
    ) -> tuple[list[Holdings], list[Holdings]]:
        """The balances of both sides before and after."""
        self.seen.clear()
        if mortal is not None:
            mortal.gateway.stop()
        for side in self.sides:
            if not side.gateway.lives:
                side.start(death if side is mortal else None)
        for side in self.sides:
            await side.ready()
        before = [await self.holdings(side) for side in self.sides]
        swap = await self.offered()
        # At once: a side that has died must be started again for the other to complete.
        async with asyncio.TaskGroup() as waiting:
            for side in self.sides:
                waiting.create_task(self.completed(side, swap))
        return before, [await self.holdings(side) for side in self.sides]

    async def offered(self) -> str:
        """The id of a new swap. The same command again after a death is the same swap."""
        key = secrets.token_hex(16)
        body = OfferBody(
            peer=self.responder.organisation.name,
            give=SideBody(asset=str(self.give), amount=str(GIVE)),
            get=SideBody(asset=str(self.get), amount=str(GET)),
        )

        async def offer() -> str:
            return (await self.initiator.client.offer(body, idempotency_key=key)).id

        return await self.initiator.told(offer)

    async def completed(self, side: Side, swap: str) -> SwapDetail:
        async def look() -> SwapDetail | None:
            detail = await side.client.swap(swap)
            self.seen[side.organisation.name] = f"{detail.phase}: {detail.explanation.waits_for}"
            assert not detail.ended or detail.phase == "completed", detail
            return detail if detail.ended else None

        return await side.told(look)


def make_environment(folder: Path, pairs: int) -> Environment:
    names = [(f"alpha{number}", f"beta{number}") for number in range(pairs)]
    plan = Plan(
        ledgers=("native", "ethereum"),
        organisations=[name for pair in names for name in pair],
        accepting=[(beta, alpha) for alpha, beta in names],
        bounds={"reaction": 4, "outage": OUTAGE},
        # An offer must still be safe to accept after its responder was killed and started again.
        offers={"valid_for": 300, "slack": 120},
    )
    return Environment(folder, plan, die_with_us=True)


async def start(environment: Environment, pairs: int) -> list[Pair]:
    environment.prepare(find(FIRST_PORT, environment.ports_needed, tries=5))
    await environment.up()
    give = environment.networks["native"].assets()[1]
    get = environment.networks["ethereum"].assets()[1]

    def side(name: str) -> Side:
        return Side(environment.organisations[name], environment.ports[name].api)

    return [
        Pair(side(f"alpha{number}"), side(f"beta{number}"), give, get) for number in range(pairs)
    ]
