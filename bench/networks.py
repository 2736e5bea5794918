"""What a ledger's driver does on a real network: seconds to final, locks, claims, refunds a second.

    python -m bench.networks [--chains native,ethereum] [--seconds 60]        (make bench-networks)

One adapter acts for one account, as a gateway does: at most ``ChainProfile.at_once`` submissions at
a time, locks one by one, and so many in flight (submitted, or waiting to be). First some locks
alone, for the latency of an idle network; then locks, for twice as many seconds as are asked for;
then the claims of one half of them and, once their deadline has passed, the refunds of the other,
until there are no more. A latency is from the call of submit to the final event, a rate the count
by the seconds from the first submission to the last final event. The processor's time and memory
of this process, the driver's, stand beside those of the network's processes. A ledger whose
programs are not on the machine is left out, and that is said.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from adapters.model import (
    Action,
    Claim,
    Cursor,
    Lock,
    LockClaimed,
    LockId,
    LockOpened,
    LockRefunded,
    LockState,
    LockTerms,
    Notice,
    Preimage,
    Refund,
    Stage,
)
from adapters.spi import Adapter, Credential, NotSent, Unavailable, Unknown
from bench.machine import machine
from gateway.compose import Keys, open_chains, open_credentials
from gateway.devnet.environment import Environment, Plan
from gateway.devnet.ports import find
from gateway.settings import load_gateway, programs_here

PORTS = 30_000
IN_FLIGHT = 50
ALONE = 20
_FAR = 24 * 3600
_PAUSE = 0.05
_AFTER: dict[type[Any], LockState] = {
    Lock: LockState.OPEN,
    Claim: LockState.CLAIMED,
    Refund: LockState.REFUNDED,
}
_EVENTS: dict[type[Any], type[Any]] = {Lock: LockOpened, Claim: LockClaimed, Refund: LockRefunded}


@dataclass(slots=True)
class Finals:
    """When the event of each lock became final, for those who wait."""

    waiting: dict[tuple[type[Any], LockId], asyncio.Future[float]] = field(default_factory=dict)

    def expect(self, action: Action, lock_id: LockId) -> asyncio.Future[float]:
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.waiting[(_EVENTS[type(action)], lock_id)] = future
        return future

    async def follow(self, adapter: Adapter) -> None:
        """Endless; a stream that breaks is taken up where it was."""
        cursor: Cursor | None = None
        while True:
            try:
                async with aclosing(adapter.events(cursor)) as notices:  # type: ignore[type-var]
                    async for notice in notices:
                        self._take(notice)
                        cursor = notice.cursor
            except Unavailable:
                await asyncio.sleep(_PAUSE)

    def _take(self, notice: Notice) -> None:
        for seen in notice.observations:
            key = (type(seen.event), seen.event.lock_id)
            if seen.stage is Stage.FINAL and key in self.waiting:
                self.waiting.pop(key).set_result(time.perf_counter())


@dataclass(frozen=True, slots=True)
class Rate:
    """``latencies``: seconds from submit to final, under this load."""

    count: int
    seconds: float
    latencies: Sequence[float]

    def told(self) -> dict[str, float]:
        return {
            "per_second": round(self.count / self.seconds, 1),
            "count": self.count,
            "p50": round(_percentile(self.latencies, 50), 3),
            "p99": round(_percentile(self.latencies, 99), 3),
        }


def _percentile(values: Sequence[float], percent: int) -> float:
    if len(values) < 2:
        return values[0] if values else 0.0
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


class Account:
    """One account on one chain, and what it has in flight."""

    def __init__(
        self, adapter: Adapter, sender: Credential, recipient: Credential, asset: Any
    ) -> None:
        self._adapter = adapter
        self._sender = sender
        self._recipient = recipient
        self._asset = asset
        self._finals = Finals()
        self._locking = asyncio.Lock()
        self._turns = asyncio.Semaphore(adapter.profile.at_once)

    async def follow(self) -> None:
        await self._finals.follow(self._adapter)

    def terms(self, deadline: int) -> tuple[LockTerms, Preimage]:
        preimage = Preimage(secrets.token_bytes(32))
        profile = self._adapter.profile
        terms = LockTerms(
            profile.chain,
            profile.contract,
            self._sender.account,
            self._recipient.account,
            self._asset,
            1,
            preimage.hashlock(),
            deadline,
        )
        return terms, preimage

    async def act(self, action: Action, lock_id: LockId) -> float:
        """Submits when it is its turn, and returns the seconds from there until it is final."""
        final = self._finals.expect(action, lock_id)
        async with AsyncExitStack() as turn:
            if isinstance(action, Lock):
                await turn.enter_async_context(self._locking)
            await turn.enter_async_context(self._turns)
            begun = time.perf_counter()
            while not final.done():
                try:
                    await self._adapter.submit(action, self._sender)
                    break
                except NotSent:
                    await asyncio.sleep(_PAUSE)
                except Unknown:
                    # It may be in; the chain is asked before it is sent again.
                    state = (await self._adapter.lookup(lock_id)).state
                    if state is _AFTER[type(action)]:
                        break
        return await final - begun

    async def lock(self, terms: LockTerms) -> float:
        return await self.act(Lock(terms), self._adapter.lock_id(terms))

    async def claim(self, terms: LockTerms, preimage: Preimage) -> float:
        lock_id = self._adapter.lock_id(terms)
        # Anyone may: the amount goes to the recipient.
        return await self.act(Claim(lock_id, preimage), lock_id)

    async def refund(self, terms: LockTerms) -> float:
        lock_id = self._adapter.lock_id(terms)
        return await self.act(Refund(lock_id), lock_id)


async def _sustained(
    next_one: Callable[[], Coroutine[Any, Any, float] | None],
) -> Rate:
    """Keeps IN_FLIGHT going until there is no next one, then waits for the last."""
    latencies: list[float] = []
    begun = time.perf_counter()

    async def work() -> None:
        while (one := next_one()) is not None:
            latencies.append(await one)

    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(work())
    return Rate(len(latencies), time.perf_counter() - begun, latencies)


class Usage:
    """Processor seconds and memory of the driver's process and of the network's."""

    def __init__(self, environment: Environment) -> None:
        self._driver = psutil.Process()
        found = [environment.processes.find(name) for name in environment.processes.names()]
        nodes = [one.process() for one in found if one is not None]
        self._nodes = [
            each
            for node in nodes
            if node is not None
            for each in (node, *node.children(recursive=True))
        ]
        self._begun = time.perf_counter()
        self._cpu = self._cpus()

    def _cpus(self) -> tuple[float, float]:
        def one(process: psutil.Process) -> float:
            times = process.cpu_times()
            return float(times.user + times.system)

        return one(self._driver), sum(one(node) for node in self._nodes)

    def told(self) -> dict[str, float]:
        seconds = time.perf_counter() - self._begun
        driver, nodes = (now - then for now, then in zip(self._cpus(), self._cpu, strict=True))
        return {
            "driver_cores": round(driver / seconds, 2),
            "network_cores": round(nodes / seconds, 2),
            "driver_mb": round(self._driver.memory_info().rss / 1e6),
            "network_mb": round(sum(one.memory_info().rss for one in self._nodes) / 1e6),
        }


async def _measure(environment: Environment, ledger: str, seconds: float) -> dict[str, Any]:
    await environment.up()
    own, other = (
        load_gateway(environment.organisations[name].configuration) for name in ("alpha", "beta")
    )
    async with AsyncExitStack() as stack:
        (adapter,) = await open_chains(stack, own.chains)
        sender, recipient = [
            (await open_credentials(Keys(each.folder, prompt=None), each.chains))[ledger]
            for each in (own, other)
        ]
        asset = environment.networks[ledger].assets()[-1]
        account = Account(adapter, sender, recipient, asset)
        async with asyncio.TaskGroup() as group:
            following = group.create_task(account.follow())
            found = await _courses(environment, adapter, account, seconds)
            following.cancel()
        return found


async def _reached(adapter: Adapter, moment: int) -> None:
    """Returns when the chain's time has come there."""
    async with aclosing(adapter.events(None)) as notices:  # type: ignore[type-var]
        async for notice in notices:
            if notice.head.time >= moment:
                return


async def _courses(
    environment: Environment, adapter: Adapter, account: Account, seconds: float
) -> dict[str, Any]:
    now = (await adapter.head()).time
    alone = [await account.lock(account.terms(now + _FAR)[0]) for _ in range(ALONE)]
    usage = Usage(environment)
    # Half of the locks are to be claimed, half to be refunded once their deadline has passed.
    short = (await adapter.head()).time + int(2 * seconds) + 60
    to_claim: list[tuple[LockTerms, Preimage]] = []
    to_refund: list[LockTerms] = []
    until = time.perf_counter() + 2 * seconds

    def next_lock() -> Coroutine[Any, Any, float] | None:
        if time.perf_counter() >= until:
            return None
        if len(to_claim) <= len(to_refund):
            terms, preimage = account.terms(now + _FAR)
            to_claim.append((terms, preimage))
        else:
            terms, _ = account.terms(short)
            to_refund.append(terms)
        return account.lock(terms)

    def next_claim() -> Coroutine[Any, Any, float] | None:
        return account.claim(*to_claim.pop()) if to_claim else None

    def next_refund() -> Coroutine[Any, Any, float] | None:
        return account.refund(to_refund.pop()) if to_refund else None

    locks = await _sustained(next_lock)
    loaded = usage.told()
    claims = await _sustained(next_claim)
    await _reached(adapter, short)
    refunds = await _sustained(next_refund)
    return {
        "alone": Rate(len(alone), sum(alone), alone).told() | {"in_flight": 1},
        "lock": locks.told(),
        "claim": claims.told(),
        "refund": refunds.told(),
        "while_locking": loaded,
    }


def _ledger(ledger: str, seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="isthmus-bench-") as folder:
        plan = Plan(ledgers=[ledger], programs=programs_here())
        environment = Environment(Path(folder), plan, die_with_us=True)
        if missing := environment.ledgers.missing():
            return {"left_out": " ".join(missing)}
        environment.prepare(find(PORTS, environment.ports_needed))
        try:
            return asyncio.run(_measure(environment, ledger, seconds))
        finally:
            environment.down()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.networks", description=__doc__)
    parser.add_argument("--chains", default="native,ethereum,fabric")
    parser.add_argument(
        "--seconds",
        type=float,
        default=60.0,
        help="of claims, and of refunds",
    )
    parser.add_argument("--json", type=Path, default=Path("bench/results/networks.json"))
    arguments = parser.parse_args()
    result = {
        "machine": machine(),
        "in_flight": IN_FLIGHT,
        "networks": {
            ledger: _ledger(ledger, arguments.seconds) for ledger in arguments.chains.split(",")
        },
    }
    text = json.dumps(result, indent=2) + "\n"
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(text)
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
