"""Waits for a node of a development network."""

from __future__ import annotations

import asyncio

import httpx

_PAUSE = 0.1


async def first_block(url: str) -> None:
    """Returns when the node at ``url`` has a block. It asks as long as it is let."""
    async with httpx.AsyncClient(timeout=5.0) as client:
        while True:
            try:
                status = (await client.get(f"{url}/status")).json()
                if int(status["result"]["sync_info"]["latest_block_height"]) >= 1:
                    return
            except (httpx.TransportError, ValueError, KeyError, TypeError):
                pass
            await asyncio.sleep(_PAUSE)
