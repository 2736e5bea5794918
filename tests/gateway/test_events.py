"""The event stream by itself: how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.api.events import _lines
from gateway.services import Services


async def test_a_client_that_goes_away_leaves_nothing_running() -> None:
    closed = asyncio.Event()
    reading = asyncio.Event()

    async def follow(after: int, key: Any) -> AsyncIterator[Any]:
        try:
            reading.set()
            await asyncio.Event().wait()
            yield
        finally:
            closed.set()

    engine = SimpleNamespace(follow=follow)
    services = cast(Services, SimpleNamespace(stopping=asyncio.Event(), engine=engine))
    before = asyncio.all_tasks()

    async def client() -> None:
        async for _ in _lines(services, 0, None):
            pass

    serving = asyncio.create_task(client())
    await reading.wait()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert closed.is_set()
    assert asyncio.all_tasks() == before
