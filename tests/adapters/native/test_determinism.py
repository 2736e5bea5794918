"""The same blocks through four processes: the same answers, byte for byte, and the same hashes.

The processes have different hash seeds, time zones and locales; one is killed and started again
on the way, and a fifth begins from a snapshot.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from adapters.native.app.application import SNAPSHOT_INTERVAL
from adapters.native.app.codes import Code
from tests.adapters.native.abci_client import Connection, application_process, connected
from tests.adapters.native.chain_fixture import (
    ALICE,
    BOB,
    CAROL,
    COIN,
    GENESIS_TIME,
    GOLD,
    Chain,
)
from tests.adapters.native.random_transactions import RandomTransactions
from tests.adapters.native.test_abci import init
from tests.ports import free_port

BLOCKS = 104
SEED = 20
SURROUNDINGS = (
    {"PYTHONHASHSEED": "0", "TZ": "UTC"},
    {"PYTHONHASHSEED": "1", "TZ": "Pacific/Kiritimati"},
    {"PYTHONHASHSEED": "4294967295", "LC_ALL": "C"},
    {"PYTHONHASHSEED": "random", "PYTHONOPTIMIZE": "1"},
)


def _deadline(dice: random.Random) -> int:
    """Some are reached on the way: a block is a second."""
    return GENESIS_TIME.seconds + dice.choice((10, 30, 60, 90, 10_000))


class Instance:
    """One application process, and a connection to it while it runs."""

    def __init__(self, home: Path, env: Mapping[str, str]) -> None:
        self._home = home
        self._env = env
        self._port = free_port()
        self._running = AsyncExitStack()
        self.connection: Connection

    async def start(self) -> None:
        self._running.enter_context(application_process(self._home, self._port, **self._env))
        self.connection = await self._running.enter_async_context(connected(self._port))

    async def kill(self) -> None:
        await self._running.aclose()


@pytest.fixture
async def instances(tmp_path: Path) -> AsyncIterator[list[Instance]]:
    made = [Instance(tmp_path / str(number), env) for number, env in enumerate(SURROUNDINGS)]
    try:
        for instance in made:
            await instance.start()
        yield made
    finally:
        for instance in made:
            await instance.kill()


async def test_four_processes_agree_on_every_block(
    instances: list[Instance], tmp_path: Path
) -> None:
    draws = RandomTransactions(SEED, Chain().genesis, (ALICE, BOB, CAROL), (COIN, GOLD), _deadline)
    codes: set[int] = set()
    assert len({await init(each.connection) for each in instances}) == 1
    for height in range(1, BLOCKS + 1):
        codes |= await _same_block(instances, height, draws)
        if height == BLOCKS // 2:
            await instances[1].kill()
            await instances[1].start()
        if height == SNAPSHOT_INTERVAL:
            fifth = Instance(tmp_path / "fifth", {})
            instances.append(fifth)
            await fifth.start()
            await _restore(instances[0].connection, fifth.connection)
    infos = [await each.connection.call("info") for each in instances]
    assert {info.last_block_height for info in infos} == {BLOCKS}
    assert len({info.last_block_app_hash for info in infos}) == 1
    assert codes == set(Code), f"the dice have not shown {set(Code) - codes}"


async def _same_block(
    instances: Sequence[Instance], height: int, draws: RandomTransactions
) -> set[int]:
    """One block of random transactions through all. The codes that it had."""
    drawn = [draws.draw() for _ in range(draws.dice.randint(0, 12))]
    txs = [each.raw for each in drawn]
    time = {"seconds": GENESIS_TIME.seconds + height, "nanos": height}
    answers = await asyncio.gather(
        *(
            each.connection.call("finalize_block", txs=txs, height=height, time=time)
            for each in instances
        )
    )
    assert len({answer.SerializeToString(deterministic=True) for answer in answers}) == 1
    await asyncio.gather(*(each.connection.call("commit") for each in instances))
    codes = [result.code for result in answers[0].tx_results]
    for each, code in zip(drawn, codes, strict=True):
        draws.answered(each, code)
    return set(codes)


async def _restore(source: Connection, target: Connection) -> None:
    """As CometBFT's state sync does it."""
    (snapshot,) = (await source.call("list_snapshots")).snapshots
    described = {
        name: getattr(snapshot, name) for name in ("height", "format", "chunks", "hash", "metadata")
    }
    app_hash = (await source.call("info")).last_block_app_hash
    assert (await target.call("offer_snapshot", snapshot=described, app_hash=app_hash)).result == 1
    for index in range(snapshot.chunks):
        loaded = await source.call(
            "load_snapshot_chunk", height=snapshot.height, format=snapshot.format, chunk=index
        )
        assert (
            await target.call("apply_snapshot_chunk", index=index, chunk=loaded.chunk)
        ).result == 1
