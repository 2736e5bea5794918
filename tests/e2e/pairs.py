"""Pairs of organisations on the embedded native chain and one other ledger, with gateways that can
be killed. Each pair has keys and journals of its own, so that pairs can swap side by side."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from adapters.model import AssetId
from adapters.native.devnet import Devnet
from gateway.api.bodies import LegView, OfferRequestBody, SideBody, SwapDetail
from gateway.client import ApiError, GatewayClient, GatewayUnreachable
from gateway.devnet.environment import Environment, Plan
from gateway.devnet.organisations import Organisation
from relayers.signing.secret import Secret
from tests.e2e.mortal_gateway import Death, MortalGateway
from tests.ports import free_block

T = TypeVar("T")

BLOCK_INTERVAL = 0.3
"""Seconds, of the native chain; Fabric cuts a block 0.2 s after a transaction."""
PAUSE = 0.4
PATIENCE = 90.0
"""Seconds for one swap, restarts included; far below the deadlines that OUTAGE sets."""
OUTAGE = 120
"""Long, so that a loaded machine never makes a happy swap late."""
GIVE, GET = 300, 7
"""Smallest units of an asset of each ledger."""
TRADED = {"native": 1, "ethereum": 1, "fabric": 0}
"""Which of a ledger's assets: none that pays for transactions, so that balances are exact."""


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
        self.deaths = 0
        self._may_die = False

    def start(self) -> None:
        self.gateway.start()

    def order(self, death: Death | None) -> None:
        """In the swap that begins next: to die so, or only to name the writes."""
        self.deaths, self._may_die = 0, death is not None
        self.gateway.order(death)

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
    """An initiator that gives native tokens, and a responder that accepts by policy. ``other``:
    the ledger on which the initiator is paid."""

    def __init__(
        self, initiator: Side, responder: Side, give: AssetId, get: AssetId, other: str
    ) -> None:
        self.initiator = initiator
        self.responder = responder
        self.give = give
        self.get = get
        self.other = other
        self.seen: dict[str, str] = {}
        """Where each side's swap was last, for a failure's message."""

    @property
    def sides(self) -> tuple[Side, Side]:
        return self.initiator, self.responder

    async def holdings(self, side: Side) -> Holdings:
        async def read() -> Holdings:
            given = await side.client.balances("native", str(self.give))
            got = await side.client.balances(self.other, str(self.get))
            return Holdings(int(given.balances[0].amount), int(got.balances[0].amount))

        return await side.told(read)

    async def swap(self, mortal: Side | None = None, death: Death | None = None) -> None:
        """One happy swap in which ``mortal`` dies once, if it comes to that write, and is started
        again. Raises AssertionError unless every balance is what a swap without a death gives."""
        for side in self.sides:
            side.order(death if side is mortal else None)
        try:
            async with asyncio.timeout(PATIENCE):
                before, after = await self._swap()
        except TimeoutError:
            raise AssertionError(f"{death}: not over in {PATIENCE:g} s: {self.seen}") from None
        expected = [
            Holdings(before[0].given - GIVE, before[0].got + GET),
            Holdings(before[1].given + GIVE, before[1].got - GET),
        ]
        assert after == expected, f"{death}: {after} in place of {expected}"

    async def _swap(self) -> tuple[list[Holdings], list[Holdings]]:
        """The balances of both sides before and after."""
        self.seen.clear()
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
        body = OfferRequestBody(
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
            # Not before the last that a swap writes: what is then seen of it changes nothing more.
            over = detail.ended and _settled(detail.give) and _settled(detail.get)
            return detail if over else None

        return await side.told(look)


def _settled(leg: LegView) -> bool:
    return leg.lock is not None and leg.lock.settled_stage == "final"


OFFERS = {"valid_for": 300, "slack": 120}
"""In seconds. An offer must still be safe to accept after its responder was killed and started."""


def make_environment(
    folder: Path,
    pairs: int,
    *,
    other: str = "fabric",
    reaction: int = 4,
    outage: int = OUTAGE,
    offers: Mapping[str, int] = OFFERS,
) -> Environment:
    names = [(f"alpha{number}", f"beta{number}") for number in range(pairs)]
    plan = Plan(
        ledgers=("native", other),
        organisations=[name for pair in names for name in pair],
        accepting=[(beta, alpha) for alpha, beta in names],
        bounds={"reaction": reaction, "outage": outage},
        offers=offers,
    )
    environment = Environment(folder, plan, die_with_us=True)
    native = Devnet(environment.folder / "native", BLOCK_INTERVAL)
    environment.ledgers.networks = {**environment.networks, "native": native}
    return environment


async def start(environment: Environment, pairs: int) -> list[Pair]:
    """Ledgers and gateways, all ready. Who calls this ends them, also where it fails."""
    environment.prepare(iter(free_block(environment.ports_needed)))
    await environment.up()
    give = environment.networks["native"].assets()[TRADED["native"]]
    (other,) = (ledger for ledger in environment.plan.ledgers if ledger != "native")
    get = environment.networks[other].assets()[TRADED[other]]

    def side(name: str) -> Side:
        return Side(environment.organisations[name], environment.ports[name].api)

    return [
        Pair(side(f"alpha{number}"), side(f"beta{number}"), give, get, other)
        for number in range(pairs)
    ]
