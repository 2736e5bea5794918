"""Waits until a node of a development network makes blocks."""

from __future__ import annotations

import asyncio

import httpx

_PAUSE = 0.1


async def new_block(url: str) -> None:
    """Returns when the node at ``url`` has a block that it did not have when it first answered: a
    chain that stands still answers as well. It asks as long as it is let."""
    first: int | None = None
    async with httpx.AsyncClient(timeout=5.0, trust_env=False) as client:
        while True:
            try:
                status = (await client.get(f"{url}/status")).json()
                height = int(status["result"]["sync_info"]["latest_block_height"])
            except (httpx.TransportError, ValueError, KeyError, TypeError):
                pass
            else:
                if first is not None and height > first:
                    return
                first = height if first is None else first
            await asyncio.sleep(_PAUSE)
