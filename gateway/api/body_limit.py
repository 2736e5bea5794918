"""Refuses request bodies that are longer than allowed, whatever their headers say."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.api.problem import Problem
from gateway.api.problems import answer, title_of


class BodyLimit:
    """ASGI middleware. ``most``: bytes."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most
        self._detail = f"the body is longer than {most} bytes, the most allowed"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if not declared.isdigit() or int(declared[:20]) > self._most:
            problem = Problem(
                status=413, code="too_large", title=title_of("too_large"), detail=self._detail
            )
            response = answer(problem)
            response.headers["connection"] = "close"
            await response(scope, receive, send)
            return
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            if message["type"] == "http.request":
                taken += len(message.get("body", b""))
                if taken > self._most:
                    # The application answers it, as it does every error of a handler.
                    raise HTTPException(413, self._detail)
            return message

        await self._app(scope, counted, send)
