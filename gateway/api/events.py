"""User events as a stream (server-sent events), to be resumed with Last-Event-ID.

Each event's id is its number in the journal: a client that comes back with the last one it saw
misses nothing and sees nothing twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from typing import Annotated, Any, Final, cast

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse

from adapters.model import Hashlock
from gateway.api.bodies import EventView
from gateway.api.description import EVENT_STREAM, Guards, described_router
from gateway.api.problems import ProblemError
from gateway.api.views import event_view
from gateway.services import Services, parse_swap_id
from relayers.journal.port import StoredEvent

PING_AFTER: Final = 15.0
"""Seconds of silence after which a comment is sent, so that a dead connection is noticed."""

LastEventId = Annotated[
    str | None, Header(description="The number of the last event seen; those after it follow.")
]
After = Annotated[int | None, Query(ge=0, description="The same, where no header can be set.")]
_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "content": {EVENT_STREAM: {}},
        "model": EventView,
        "description": "Server-sent events, without end; the data of each is of this form.",
    }
}


def event_router(services: Services, guards: Guards) -> APIRouter:
    router = described_router("/v1", "events", guards)

    @router.get(
        "/events", operation_id="events", response_class=StreamingResponse, responses=_STREAM
    )
    async def events(last_event_id: LastEventId = None, after: After = None) -> StreamingResponse:
        """What users are told of all swaps: all that is stored, then what comes. Endless."""
        return _stream(services, _start(last_event_id, after), None)

    @router.get(
        "/swaps/{id}/events",
        operation_id="swap_events",
        response_class=StreamingResponse,
        responses=_STREAM,
    )
    async def swap_events(
        id: str, last_event_id: LastEventId = None, after: After = None
    ) -> StreamingResponse:
        """What users are told of one swap. Endless."""
        swap = services.dealing.swap(parse_swap_id(id))
        return _stream(services, _start(last_event_id, after), swap.hashlock)

    return router


def _start(last_event_id: str | None, after: int | None) -> int:
    if last_event_id is None:
        return after or 0
    if not last_event_id.isascii() or not last_event_id.isdigit() or len(last_event_id) > 18:
        raise ProblemError(
            422, "invalid_value", "Last-Event-ID must be an event's number", "Last-Event-ID"
        )
    return int(last_event_id)


def _stream(services: Services, after: int, key: Hashlock | None) -> StreamingResponse:
    return StreamingResponse(
        _lines(services, after, key),
        media_type=EVENT_STREAM,
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


async def _lines(services: Services, after: int, key: Hashlock | None) -> AsyncIterator[str]:
    """The stream's text; it ends when the gateway stops. The tasks made here end with it."""
    yield ": isthmus\n\n"
    stopping = asyncio.create_task(services.stopping.wait())
    coming: asyncio.Task[EventView] | None = None
    try:
        follow = cast(AsyncGenerator[StoredEvent, None], services.engine.follow(after, key))
        async with aclosing(follow) as followed:

            async def take() -> EventView:
                return event_view(services, await anext(followed))

            try:
                while not services.stopping.is_set():
                    if coming is None:
                        coming = asyncio.create_task(take())
                    await asyncio.wait(
                        {coming, stopping}, timeout=PING_AFTER, return_when=asyncio.FIRST_COMPLETED
                    )
                    if coming.done():
                        view, coming = coming.result(), None
                        yield f"id: {view.number}\nevent: {view.kind}\n"
                        yield f"data: {view.model_dump_json()}\n\n"
                    elif not stopping.done():
                        yield ": still here\n\n"
            finally:
                # Before what it reads from is closed.
                await _ended(coming)
    finally:
        await _ended(stopping)


async def _ended(task: asyncio.Task[EventView] | asyncio.Task[bool] | None) -> None:
    if task is not None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
