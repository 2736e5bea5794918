"""What the scenarios are played on: two running gateways, a cheat, the ledgers, and the board."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from adapters.model import AssetId, LockId, LockState, format_amount
from adapters.spi import Adapter, AdapterError
from gateway.api.bodies import DeadlinesBody, EventView, OfferRequestBody, SideBody, SwapDetail
from gateway.client import ApiError, GatewayClient, GatewayUnreachable
from gateway.demo.board import Board, Pair, Run
from gateway.demo.cheat import Cheat
from gateway.devnet.environment import Environment
from relayers.offers.refusal import Refusal

PAUSE = 0.25
ENDS = frozenset({"completed", "refunded", "expired", "failed", "declined", "lost"})
QUIET = frozenset({"offered", "received", "accepted"})
"""Events that the log does without: the board shows them."""

PASSING = frozenset({Refusal.PEER_UNAVAILABLE, Refusal.CHAIN_UNAVAILABLE, Refusal.CHAIN_STALE})
"""Refusals of an offer that end by themselves, once a killed gateway is up again."""

STYLES = {
    "revealing": "bold yellow",
    "completed": "green",
    "refunded": "cyan",
    "stranger": "red",
    "failed": "red",
    "lost": "bold red",
}


@dataclass(frozen=True, slots=True)
class Amounts:
    """What a run exchanges, in smallest units."""

    give: AssetId
    give_amount: int
    get: AssetId
    get_amount: int


@dataclass(frozen=True, slots=True)
class KnownLock:
    """A lock that a run made or may have made."""

    ledger: str
    id: LockId
    asset: str
    amount: int
    sender: str
    recipient: str


class Stage:
    def __init__(
        self,
        environment: Environment,
        board: Board,
        clients: Mapping[str, GatewayClient],
        adapters: Mapping[str, Adapter],
        cheat: Cheat,
    ) -> None:
        self.environment = environment
        self.board = board
        self.clients = clients
        self.adapters = adapters
        self.cheat = cheat
        self.names = {str(adapter.profile.chain): name for name, adapter in adapters.items()}
        self._runs: dict[str, Run] = {}
        self._seen: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._news = asyncio.Condition()
        self._kills = asyncio.Lock()

    def say(self, text: str, run: Run | None = None, style: str = "") -> None:
        self.board.say(time.time(), text, run, style)

    # --- what the gateways tell ------------------------------------------------------------------

    async def follow(self, name: str) -> None:
        """Takes in what a gateway tells its users, across its restarts. Endless."""
        after = 0
        while True:
            with suppress(GatewayUnreachable, ApiError):
                async for event in self.clients[name].events(after=after):
                    after = event.number
                    await self._take(name, event)
            await asyncio.sleep(PAUSE)

    async def _take(self, name: str, event: EventView) -> None:
        async with self._news:
            self._seen[(name, event.swap)].append(event.kind)
            self._news.notify_all()
        run = self._runs.get(event.swap)
        if run is None:
            return
        run.phase = event.kind.replace("_", " ")
        if event.kind not in QUIET:
            text = event.text
            for chain, ledger in self.names.items():
                text = text.replace(chain, ledger)
            self.say(f"{name}: {text}", run, STYLES.get(event.kind, ""))

    async def seen(self, name: str, swap: str, *kinds: str) -> None:
        """Waits until a gateway has told one of these kinds of event of a swap."""
        async with self._news:
            await self._news.wait_for(
                lambda: any(kind in self._seen[(name, swap)] for kind in kinds)
            )

    async def ended(self, name: str, swap: str) -> SwapDetail:
        """Waits until a swap has ended at a gateway that runs."""
        await self.seen(name, swap, *ENDS)
        while True:
            with suppress(GatewayUnreachable):
                detail = await self.clients[name].swap(swap)
                if detail.ended:
                    return detail
            await asyncio.sleep(PAUSE)

    # --- swaps -----------------------------------------------------------------------------------

    def amounts(self, run: Run, which: int) -> Amounts:
        """Drawn from the seed, the scenario and the pair. ``which``: the ledgers' first or second
        asset."""
        chance = random.Random(f"{self.board.seed}/{run.scenario}/{run.pair}/{which}")  # noqa: S311
        networks = self.environment.networks
        give = networks[run.pair.a].assets()[which]
        get = networks[run.pair.b].assets()[which]

        def drawn(asset: AssetId) -> int:
            decimals = self.decimals(asset)
            cents: int = 10 ** max(decimals - 2, 0)
            return chance.randint(101, 999) * cents

        return Amounts(give, drawn(give), get, drawn(get))

    def decimals(self, asset: AssetId) -> int:
        for holding in self.board.holdings.values():
            if holding.asset == str(asset):
                return holding.decimals
        return 0

    def shown(self, asset: AssetId, amount: int) -> str:
        for holding in self.board.holdings.values():
            if holding.asset == str(asset):
                return f"{format_amount(amount, holding.decimals)} {holding.symbol}"
        return str(amount)

    async def offer(
        self, run: Run, amounts: Amounts, *, to: str, roomy: bool, reference: str
    ) -> SwapDetail:
        """alpha offers. ``roomy``: with deadlines that leave room for what is done to it."""
        now = int(time.time())
        body = OfferRequestBody(
            peer=to,
            give=SideBody(asset=str(amounts.give), amount=str(amounts.give_amount)),
            get=SideBody(asset=str(amounts.get), amount=str(amounts.get_amount)),
            valid_for=60 if roomy else None,
            deadlines=DeadlinesBody(give=now + 180, get=now + 110) if roomy else None,
            reference=reference,
        )
        client = self.clients["alpha"]
        while True:
            try:
                detail = await client.offer(body, idempotency_key=reference)
                break
            except GatewayUnreachable:
                pass
            except ApiError as error:
                if error.problem.code not in PASSING:
                    raise
            await asyncio.sleep(PAUSE)
        self.belongs(run, detail.id, detail.give.deadline, detail.get.deadline)
        self.say(
            f"alpha offers {to} {self.shown(amounts.give, amounts.give_amount)} on {run.pair.a} "
            f"for {self.shown(amounts.get, amounts.get_amount)} on {run.pair.b}",
            run,
        )
        return detail

    def belongs(self, run: Run, swap: str, t1: int, t2: int) -> None:
        """From now on what is told of this swap belongs to the run."""
        self._runs[swap] = run
        run.t1, run.t2 = t1, t2
        for name in self.clients:
            if kinds := self._seen[(name, swap)]:
                run.phase = kinds[-1].replace("_", " ")

    # --- what the ledgers say --------------------------------------------------------------------

    async def state(self, lock: KnownLock) -> LockState:
        """What the ledger says of a lock, once it says it finally."""
        while True:
            with suppress(AdapterError):
                record = await self.adapters[lock.ledger].lookup(lock.id)
                if record.final or record.state is LockState.ABSENT:
                    return record.state
            await asyncio.sleep(PAUSE)

    async def becomes(self, lock: KnownLock, state: LockState) -> None:
        """Waits until the ledger finally says this of a lock."""
        while True:
            if await self.state(lock) is state:
                return
            await asyncio.sleep(PAUSE)

    def agreed(self, detail: SwapDetail, pair: Pair) -> tuple[KnownLock, KnownLock]:
        """Both locks of an agreed swap as alpha's or beta's gateway shows it: A's, then B's."""
        initiator = detail.role == "initiator"
        legs = (detail.give, detail.get) if initiator else (detail.get, detail.give)
        found = []
        for ledger, leg in zip((pair.a, pair.b), legs, strict=True):
            assert leg.lock is not None
            found.append(
                KnownLock(
                    ledger,
                    LockId(bytes.fromhex(leg.lock.id[2:])),
                    leg.asset,
                    int(leg.amount),
                    leg.sender or "",
                    leg.recipient or "",
                )
            )
        return found[0], found[1]

    # --- what is done to the gateways ------------------------------------------------------------

    async def kill(self, name: str, why: str) -> None:
        self.say(f"kill -9 of {name}'s gateway: {why}", style="bold magenta")
        await asyncio.to_thread(
            self.environment.processes.signal, f"gateway-{name}", signal.SIGKILL
        )

    async def restart(self, name: str) -> None:
        """Starts a gateway again and waits until it is ready."""
        self.environment.processes.start(self.environment.gateway(name))
        await self.up(name)
        self.say(f"{name}'s gateway is up again", style="magenta")

    async def up(self, name: str) -> None:
        """Waits until a gateway takes swaps. Raises GatewayUnreachable where it has ended."""
        process = f"gateway-{name}"
        while True:
            with suppress(GatewayUnreachable, ApiError):
                if (await self.clients[name].ready()).ok:
                    return
            if not self.environment.processes.alive(process):
                log = self.environment.processes.log(process)
                words = self.environment.processes.last_words(process)
                raise GatewayUnreachable(f"{process} has ended; {log} closes with:\n{words}")
            await asyncio.sleep(PAUSE)

    async def crash_once(self, name: str, why: str) -> None:
        """Kills a gateway and starts it again; one at a time."""
        async with self._kills:
            await self.kill(name, why)
            await self.restart(name)


def changes(
    locks: Sequence[tuple[KnownLock, LockState]], parties: Mapping[str, str]
) -> dict[str, dict[str, int]]:
    """What these locks changed, per party and asset, now that they are over. What is still open
    counts as paid by its sender."""
    found: dict[str, dict[str, int]] = {}

    def add(account: str, asset: str, amount: int) -> None:
        party = parties.get(account, account)
        entry = found.setdefault(party, {})
        entry[asset] = entry.get(asset, 0) + amount

    for lock, state in locks:
        match state:
            case LockState.CLAIMED:
                add(lock.sender, lock.asset, -lock.amount)
                add(lock.recipient, lock.asset, lock.amount)
            case LockState.OPEN:
                add(lock.sender, lock.asset, -lock.amount)
            case LockState.REFUNDED | LockState.ABSENT:
                pass
    return found
