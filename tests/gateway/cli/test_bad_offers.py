"""Offers that no gateway may make, as a user would type them: one sentence each, and no swap."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from tests.gateway.cli.command import refusal
from tests.gateway.cli.forked_command import started
from tests.gateway.two_gateways import both_running, make_world

HOUR = 3600


def offer(
    give: tuple[str, str] = ("3", "alpha/GOLD"),
    get: tuple[str, str] = ("1", "beta/OIL"),
    *,
    peer: str = "bob",
    deadlines: tuple[int, int] | None = None,
) -> tuple[str, ...]:
    times = ("--deadlines", *map(str, deadlines)) if deadlines is not None else ()
    return ("swap", "offer", peer, "--give", *give, "--get", *get, *times)


async def test_an_offer_that_cannot_be_meant_is_one_sentence_and_no_swap(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    now = int(time.time())
    gold, oil = str(world.gold), str(world.oil)
    bad: list[tuple[tuple[str, ...], str]] = [
        # Deadlines: of what is given, and of what is got.
        (offer(deadlines=(now - HOUR, now - 2 * HOUR)), "is not in the future"),
        (offer(deadlines=(now + HOUR, now - HOUR)), "is not in the future"),
        (offer(deadlines=(now + HOUR, now + HOUR)), "must lie more than"),
        (offer(deadlines=(now + HOUR, now + 2 * HOUR)), "must lie more than"),
        (offer(deadlines=(now + HOUR + 1, now + HOUR)), "must lie more than"),
        (offer(deadlines=(now + HOUR, now + 3)), "deadline"),
        (offer(deadlines=(now + 10**9, now + HOUR)), "this gateway allows 604800"),
        (offer(deadlines=(2**64, 2**63)), "deadline t1 (18446744073709551616) is"),
        (offer(deadlines=(-1, -2)), "deadline t2 (-2) is not in the future"),
        # Amounts.
        (offer(give=("0", "alpha/GOLD")), "greater than zero"),
        (offer(get=("0.00", "beta/OIL")), "greater than zero"),
        (offer(get=("-1", "beta/OIL")), "-1"),
        (offer(get=("1.005", "beta/OIL")), "decimals"),
        (offer(get=(str(2**256), "beta/OIL")), "amount"),
        (offer(get=(f"{2**256 // 100 + 1}", "beta/OIL")), "amount"),
        (offer(give=("1e3", "alpha/GOLD")), "1e3"),
        (offer(give=("1,5", "alpha/GOLD")), "1,5"),
        (offer(give=("nan", "alpha/GOLD")), "nan"),
        (offer(give=("", "alpha/GOLD")), "amount"),
        # Chains, assets, peers.
        (offer(give=("1", "sim:nowhere/token:gold")), "sim:nowhere"),
        (offer(give=("1", f"{world.chain_a}/token:lead")), "lead"),
        (offer(give=("1", f"{world.chain_a}")), "CAIP-19"),
        (offer(give=("1", f"{world.chain_a}/token")), "CAIP-19"),
        (offer(give=("1", f"SIM:{world.chain_a.reference}/token:gold")), "CAIP"),
        (offer(give=("1", gold.replace("/", "//"))), "CAIP-19"),
        (offer(give=("1", "alpha/")), "alpha"),
        (offer(give=("1", gold), get=("1", gold)), "a swap needs two chains"),
        (offer(give=("1", oil), get=("1", "beta/OIL")), "a swap needs two chains"),
        (offer(peer="carol"), "carol"),
        (offer(peer="alice"), "alice"),
    ]
    async with both_running(world) as (gateway, other):
        turns = asyncio.Semaphore(4)

        async def told(arguments: tuple[str, ...]) -> str:
            async with turns:
                return refusal(await started(*arguments, "-c", world.alice.file))

        said = await asyncio.gather(*(told(arguments) for arguments, _ in bad))
        for (arguments, word), message in zip(bad, said, strict=True):
            assert word.lower() in message.lower(), (arguments, message)
        for one in (gateway, other):
            assert not list(one.gateway.services.engine.swaps())
            assert not one.gateway.services.engine.intents()
