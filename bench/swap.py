"""How many milliseconds two gateways add to a swap, beyond the waits for blocks.

    python -m bench        (or: make bench)

Two composed gateways (``gateway.compose``: HTTP, TLS between them, SQLite journals, watchers,
executors) swap over two simulated ledgers in real time, in one process. A swap is timed from the
call that makes the offer, which the other side's policy accepts, to both sides telling it complete.

What a swap waits for blocks is measured, not assumed. Four transactions follow one another, and a
gateway can go on only when its chain has made a block:

    lock A    submitted -> final
    lock B    submitted -> final
    claim B   submitted -> in a block (which shows the preimage)
    claim A   submitted -> final

The gateways' part is the swap's time less the sum of these four. It holds everything else: the API,
signing, the calls between the gateways, both journals' commits, and the time from a block until its
watcher has told the engine of it. Both gateways and both ledgers share one core here, so a pair on
machines of their own adds less.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from adapters.model import ChainId, Claim, Lock
from adapters.simulated.chain import PooledTransaction, SimulatedBlock, SimulatedChain
from adapters.simulated.plugin import plugin
from tests.gateway.two_gateways import Running, World, both_running, make_world, offer_body

_ENDS = ("completed", "failed", "refunded", "expired", "declined", "lost")


@dataclass(slots=True)
class BlockWaits:
    """Watches a chain: when each transaction came, and when its block came and became final."""

    chain: SimulatedChain
    submitted: dict[str, float] = field(default_factory=dict)
    made: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        submit, produce = self.chain.submit, self.chain.produce_block

        def timed_submit(transaction: PooledTransaction) -> None:
            self.submitted[transaction.id] = perf_counter()
            submit(transaction)

        def timed_produce(time: int) -> SimulatedBlock:
            block = produce(time)
            self.made[block.height] = perf_counter()
            return block

        self.chain.submit = timed_submit  # type: ignore[method-assign]
        self.chain.produce_block = timed_produce  # type: ignore[method-assign]

    def wait(self, action: type[Lock] | type[Claim], since: float, *, final: bool) -> float:
        """Seconds that the one successful action of its kind since then waited for its block."""
        depth = self.chain.rules.depth if final else 0
        found = []
        for height in sorted(self.made):
            for receipt in self.chain.at(height).receipts:
                ident = receipt.transaction.id
                came = self.submitted.get(ident, 0.0)
                if isinstance(receipt.transaction.action, action) and came >= since:
                    assert receipt.refusal is None, receipt.refusal
                    found.append(self.made[height + depth] - came)
        (one,) = found
        return one


async def _one_swap(
    world: World, alice: Running, bob: Running, waits: dict[ChainId, BlockWaits]
) -> tuple[float, float]:
    """Seconds in all, and of them those waited for blocks."""
    began = perf_counter()
    answer = await alice.http.post("/v1/swaps", json=offer_body(world))
    answer.raise_for_status()
    swap = answer.json()["id"]

    async def complete(side: Running) -> float:
        while True:
            for state in side.gateway.services.engine.swaps():
                if "0x" + state.hashlock.hex() == swap and state.phase.value in _ENDS:
                    assert state.phase.value == "completed", state.phase
                    return perf_counter()
            await asyncio.sleep(0.0005)

    async with asyncio.timeout(30):
        ended = max(await asyncio.gather(complete(alice), complete(bob)))
    a, b = waits[world.chain_a], waits[world.chain_b]
    blocks = (
        a.wait(Lock, began, final=True)
        + b.wait(Lock, began, final=True)
        + b.wait(Claim, began, final=False)
        + a.wait(Claim, began, final=True)
    )
    return ended - began, blocks


async def measure(swaps: int, interval: float) -> dict[str, object]:
    """Milliseconds, over ``swaps`` swaps one after another; the first, which warms up, apart."""
    with tempfile.TemporaryDirectory() as folder:
        world = make_world(Path(folder) / "world", bobs_policy=True, block_interval=interval)
        async with both_running(world) as (alice, bob):
            waits = {
                chain: BlockWaits(plugin.chain(chain)) for chain in (world.chain_a, world.chain_b)
            }
            await _one_swap(world, alice, bob, waits)
            taken = [await _one_swap(world, alice, bob, waits) for _ in range(swaps)]
    added = sorted((total - blocks) * 1_000 for total, blocks in taken)
    return {
        "swaps": swaps,
        "block_interval_ms": interval * 1_000,
        "total_ms": round(statistics.median(total for total, _ in taken) * 1_000, 1),
        "blocks_ms": round(statistics.median(blocks for _, blocks in taken) * 1_000, 1),
        "added_ms": round(statistics.median(added), 1),
        "added_ms_least": round(added[0], 1),
        "added_ms_most": round(added[-1], 1),
    }
