"""The event stream: cursors, forged events, what wakes it."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from adapters.model import (
    Claim,
    Cursor,
    FinalityViolation,
    InvalidValue,
    LockState,
)
from adapters.native.plugin import plugin
from adapters.spi import (
    Adapter,
    Unavailable,
)
from tests.adapters.native.bench import at, drained, final, fresh, opened
from tests.adapters.native.chain_fixture import BOB
from tests.adapters.native.faulty_node import HANG, FaultyNode, faulty_node
from tests.adapters.native.network import Network


async def test_a_cursor_of_a_vanished_block_is_a_violation_and_rewinds(
    tmp_path: Path,
) -> None:
    """On a chain of its own, as the rewound stream reads all of it again."""
    network = Network(tmp_path)
    await asyncio.to_thread(network.start)
    try:
        async with plugin.open("native", network.settings()) as adapter:
            await _rewinds(adapter, network, ago=0)
            await _rewinds(adapter, network, ago=1)
    finally:
        network.stop()


async def _rewinds(adapter: Adapter, network: Network, *, ago: int) -> None:
    """``ago``: how many locks were made since the block that is said to have vanished."""
    head = await adapter.head()
    for _ in range(ago):
        await opened(adapter, network, fresh())
    lock_id = await opened(adapter, network, fresh())
    if not ago:
        head = await adapter.head()
    forged = Cursor(f"{head.height}:{'ab' * 32}:0")
    async with aclosing(adapter.events(forged)) as stream:
        first = await anext(stream)
        assert first.violation == FinalityViolation(head.height, b"\xab" * 32, head.hash)
        seen: list[Any] = []
        async with asyncio.timeout(20):
            while lock_id not in [s.event.lock_id for s in seen]:
                notice = await anext(stream)
                assert notice.violation is None
                seen += notice.observations


async def test_a_cursor_ahead_of_the_node_is_unavailable(adapter: Adapter) -> None:
    ahead = Cursor(f"{(await adapter.head()).height + 1000}:{'ab' * 32}:0")
    async with aclosing(adapter.events(ahead)) as stream:
        with pytest.raises(Unavailable, match="went back in time"):
            await anext(stream)


@pytest.mark.parametrize("text", ["", "1", "1:ab:0", "x:" + "ab" * 32 + ":0", "01:" + "ab" * 32])
async def test_a_cursor_of_another_kind_is_an_invalid_value(adapter: Adapter, text: str) -> None:
    async with aclosing(adapter.events(Cursor(text))) as stream:
        with pytest.raises(InvalidValue, match="cursor"):
            await anext(stream)


async def test_a_claim_event_whose_preimage_does_not_fit_is_not_believed(
    adapter: Adapter, faulty: FaultyNode, network: Network
) -> None:
    preimage = fresh()
    cursor = at(await adapter.head())
    lock_id = await opened(adapter, network, preimage)
    await adapter.submit(Claim(lock_id, preimage), network.credential(BOB))
    await final(adapter, lock_id, LockState.CLAIMED)
    faulty.twist = lambda m, answer: json.loads(
        json.dumps(answer).replace(preimage.value.hex(), "cd" * 32)
    )
    async with aclosing(adapter.events(cursor)) as stream:
        with pytest.raises(Unavailable, match="preimage") as caught:
            await drained(stream, cursor)
        assert "cd" * 32 not in str(caught.value)


async def test_websocket_wakes_the_stream(tmp_path: Path) -> None:
    """With hardly any polling, blocks still come as they are made."""
    network = Network(tmp_path, interval=0.2)
    await asyncio.to_thread(network.start)
    try:
        settings = network.settings(poll_interval=60)
        async with plugin.open("native", settings) as adapter:
            stream = adapter.events(None)
            heights = set()
            async with asyncio.timeout(20):
                while len(heights) < 10:
                    heights.add((await anext(stream)).head.height)
            await stream.aclose()  # type: ignore[attr-defined]
    finally:
        network.stop()


async def test_a_block_that_follows_the_last_is_not_asked_for_twice(
    adapter: Adapter, faulty: FaultyNode
) -> None:
    async with aclosing(adapter.events(at(await adapter.head()))) as stream:
        height = (await anext(stream)).head.height
        faulty.calls.clear()
        one_by_one = skips = 0
        while one_by_one < 5:
            now = (await anext(stream)).head.height
            one_by_one += now == height + 1
            skips += now > height + 1
            height = now
        assert faulty.calls.count("blockchain") == faulty.calls.count("abci_info") + skips


async def test_a_stream_that_is_broken_off_gets_further_the_next_time(tmp_path: Path) -> None:
    """A node that is silent where more than three headers are asked for at a time: whoever reads
    the stream gives up before the driver does."""
    network = Network(tmp_path, interval=0.05)
    await asyncio.to_thread(network.start)
    silent = asyncio.Event()

    def slow(method: str, answer: Any) -> Any:
        if method == "blockchain" and len(answer["result"]["block_metas"]) > 3:
            silent.set()
            return HANG
        return answer

    try:
        async with faulty_node(network.settings().urls[0]) as node:
            settings = network.settings(urls=[node.url], request_timeout=120, poll_interval=0.05)
            async with plugin.open("native", settings) as adapter:
                async with aclosing(adapter.events(None)) as stream:
                    async for notice in stream:
                        if notice.head.height >= 40:
                            break
                node.twist = slow
                for _ in range(10):
                    silent.clear()
                    async with aclosing(adapter.events(None)) as stream:
                        reading = asyncio.ensure_future(anext(stream))
                        waiting = asyncio.create_task(silent.wait())
                        await asyncio.wait(
                            {reading, waiting}, timeout=120, return_when=asyncio.FIRST_COMPLETED
                        )
                        done = reading.done()
                        for task in (reading, waiting):
                            task.cancel()
                        await asyncio.gather(reading, waiting, return_exceptions=True)
                    if done:
                        break
                assert done
    finally:
        network.stop()
