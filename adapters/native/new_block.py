"""Waits until a node of a development network makes blocks."""

from __future__ import annotations

import asyncio

import aiohttp

_PAUSE = 0.1


async def new_block(url: str) -> None:
    """Returns when the node at ``url`` has a block that it did not have when it first answered: a
    chain that stands still answers as well. It asks as long as it is let."""
    first: int | None = None
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(5.0)) as session:
        while True:
            try:
                async with session.get(f"{url}/status") as answer:
                    status = await answer.json()
                height = int(status["result"]["sync_info"]["latest_block_height"])
            except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError):
                pass
            else:
                if first is not None and height > first:
                    return
                first = height if first is None else first
            await asyncio.sleep(_PAUSE)
