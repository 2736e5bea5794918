"""What the driver's tests share: locks, and streams read to an end."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from adapters.model import (
    Cursor,
    Head,
    Lock,
    LockState,
    LockTerms,
    Notice,
    Preimage,
)
from adapters.spi import (
    Adapter,
)
from tests.adapters.native.chain_fixture import ALICE, BOB
from tests.adapters.native.network import Network


async def terms_on(adapter: Adapter, network: Network, preimage: Preimage) -> LockTerms:
    return LockTerms(
        chain=adapter.profile.chain,
        contract=adapter.profile.contract,
        sender=network.credential(ALICE).account,
        recipient=network.credential(BOB).account,
        asset=network.assets[0],
        amount=5,
        hashlock=preimage.hashlock(),
        deadline=(await adapter.head()).time + 3600,
    )


def fresh() -> Preimage:
    return Preimage(os.urandom(32))


async def opened(adapter: Adapter, network: Network, preimage: Preimage) -> Any:
    terms = await terms_on(adapter, network, preimage)
    await adapter.submit(Lock(terms), network.credential(ALICE))
    return await final(adapter, adapter.lock_id(terms), LockState.OPEN)


async def final(adapter: Adapter, lock_id: Any, state: LockState) -> Any:
    head = await adapter.head()
    async with asyncio.timeout(20), aclosing(adapter.events(at(head))) as stream:
        async for _ in stream:
            if (await adapter.lookup(lock_id)).state is state:
                return lock_id
    raise AssertionError("an event stream has no end")


def at(head: Head) -> Cursor:
    return Cursor(f"{head.height}:{head.hash.hex()}:0")


async def drained(stream: AsyncIterator[Notice], cursor: Cursor) -> None:
    """Reads on until something is raised; the stream by itself has no end."""
    async with asyncio.timeout(20):
        async for notice in stream:
            assert notice.cursor != cursor
