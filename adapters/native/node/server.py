"""CometBFT's RPC on one port: JSON-RPC by POST, calls by URI, WebSocket under /websocket.

An ASGI application, served by uvicorn on plain asyncio.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from adapters.native.node.events import EventHub, Subscriber
from adapters.native.node.parameters import InvalidParameter, Kind, named, read
from adapters.native.node.requests import (
    MAX_BATCH,
    NoRequest,
    Request,
    parse,
    read_batch,
    read_request,
)
from adapters.native.node.rpc import Rpc, RpcError

_log = logging.getLogger(__name__)

MAX_BODY = 1_000_000
_PLAIN = "text/plain; charset=utf-8"
_MESSAGES = {-32602: "Invalid params", -32603: "Internal error"}
_SUBSCRIPTION_METHODS = ("subscribe", "unsubscribe", "unsubscribe_all")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class RpcServer:
    """The ASGI application."""

    def __init__(self, rpc: Rpc, hub: EventHub) -> None:
        self._rpc = rpc
        self._hub = hub

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                await self._http(scope, receive, send)
            case "websocket":
                await self._websocket(scope, receive, send)
            case other:
                raise RuntimeError(f"this server does not speak {other}")

    # --- HTTP ------------------------------------------------------------------------------------

    async def _http(self, scope: Message, receive: Receive, send: Send) -> None:
        """By path and body alone: like CometBFT, it does not ask for the HTTP method."""
        body = await _body(receive)
        path = scope["path"]
        if body is None:
            said = "error reading request body: http: request body too large"
            status, answer = 400, _error(None, RpcError(-32600, "Invalid Request", said))
        elif path in ("/", ""):
            if not body:
                await _respond(send, 200, self._page(), "text/html")
                return
            status, answer = await self._post(body)
        elif path[1:] in _SUBSCRIPTION_METHODS:
            status, answer = 404, _error(-1, RpcError(-32601, "Method not found"))
        elif path[1:] in self._rpc.methods:
            query = scope["query_string"].decode("latin-1")
            # Where a name comes twice the first counts.
            given = dict(reversed(parse_qsl(query)))
            answer = await self._call(-1, path[1:], given, uri=True)
            status = 500 if "error" in answer else 200
        elif path == "/websocket":
            await _respond(send, 400, b"Bad Request\n", _PLAIN)
            return
        else:
            await _respond(send, 404, b"404 page not found\n", _PLAIN)
            return
        if answer is None:
            await _respond(send, status, b"", None)
        else:
            raw = json.dumps(answer, separators=(",", ":")).encode()
            await _respond(send, status, raw, "application/json")

    def _page(self) -> bytes:
        """For browsers: what can be called."""
        names = "<br>".join(sorted(self._rpc.methods))
        return f"<html><body>Available endpoints:<br>{names}</body></html>".encode()

    async def _post(self, body: bytes) -> tuple[int, Any]:
        try:
            value = parse(body)
            if isinstance(value, list) and len(value) > MAX_BATCH:
                said = f"batch request exceeds maximum ({MAX_BATCH}) allowed number of requests"
                return 200, _error(None, RpcError(-32600, "Invalid Request", said))
            requests = read_batch(value)
        except NoRequest as error:
            return 500, _unreadable(error)
        answers = [
            await self._call(request.identity, request.method, request.params, uri=False)
            for request in requests
            if request is not None
        ]
        # A list of one answer is that answer.
        return 200, answers if len(answers) > 1 else answers[0] if answers else None

    async def _call(
        self, identity: Any, method: str, given: Any, *, uri: bool, invalid: int = -32602
    ) -> Any:
        """``invalid``: the code for parameters that are none."""
        if method not in self._rpc.methods:
            return _error(identity, RpcError(-32601, "Method not found"))
        kinds, handler = self._rpc.methods[method]
        try:
            result = await handler(**read(kinds, named(kinds, given), uri))
        except RpcError as error:
            return _error(identity, error)
        except InvalidParameter as error:
            return _error(identity, RpcError(invalid, _MESSAGES[invalid], str(error)))
        except Exception:  # noqa: BLE001 - one call must not end the node
            # The caller gets no detail: parameters may hold what nobody should log or echo.
            _log.exception("method %s failed", method)
            return _error(identity, RpcError(-32603, "Internal error", "the node failed"))
        return {"jsonrpc": "2.0", "id": identity, "result": result}

    # --- WebSocket -------------------------------------------------------------------------------

    async def _websocket(self, scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        if scope["path"] != "/websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        await send({"type": "websocket.accept"})
        subscriber = self._hub.join()
        try:
            async with asyncio.TaskGroup() as group:
                writer = group.create_task(_write(subscriber, send))
                await self._read(subscriber, receive)
                writer.cancel()
        finally:
            self._hub.leave(subscriber)

    async def _read(self, subscriber: Subscriber, receive: Receive) -> None:
        while (message := await receive())["type"] == "websocket.receive":
            try:
                request = read_request(parse(message.get("text") or message.get("bytes") or b""))
            except NoRequest as error:
                subscriber.send(_unreadable(error))
                continue
            if request is None:
                continue
            if request.method in _SUBSCRIPTION_METHODS:
                subscriber.send(_subscription(subscriber, request))
                continue
            # Parameters that are none are an internal error here, and no invalid ones.
            subscriber.send(
                await self._call(
                    request.identity, request.method, request.params, uri=False, invalid=-32603
                )
            )


async def _write(subscriber: Subscriber, send: Send) -> None:
    while True:
        text = await subscriber.outgoing.get()
        if subscriber.overflowed:
            await send({"type": "websocket.close", "code": 1008})
            return
        try:
            await send({"type": "websocket.send", "text": text})
        except (OSError, RuntimeError):
            return  # the client has gone; the reader hears of it too


def _subscription(subscriber: Subscriber, request: Request) -> Any:
    kinds = {} if request.method == "unsubscribe_all" else {"query": Kind.TEXT}
    try:
        query = read(kinds, named(kinds, request.params), uri=False).get("query", "")
        assert isinstance(query, str)
        match request.method:
            case "subscribe":
                subscriber.subscribe(request.identity, query)
            case "unsubscribe":
                subscriber.unsubscribe(query)
            case _:
                subscriber.unsubscribe_all()
    except RpcError as error:
        return _error(request.identity, error)
    except InvalidParameter as error:
        return _error(request.identity, RpcError(-32603, _MESSAGES[-32603], str(error)))
    return {"jsonrpc": "2.0", "id": request.identity, "result": {}}


def _unreadable(error: NoRequest) -> dict[str, Any]:
    return _error(None, RpcError(-32700, "Parse error. Invalid JSON", str(error)))


def _error(identity: Any, error: RpcError) -> dict[str, Any]:
    shown: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.data:
        shown["data"] = error.data
    answer: dict[str, Any] = {"jsonrpc": "2.0"}
    if identity is not None:
        answer["id"] = identity
    return answer | {"error": shown}


async def _body(receive: Receive) -> bytes | None:
    """The request's body; None where it is larger than MAX_BODY."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return bytes(body)
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            return None
        if not message.get("more_body"):
            return bytes(body)


async def _respond(send: Send, status: int, body: bytes, content_type: str | None) -> None:
    headers = [(b"content-length", str(len(body)).encode())]
    if content_type is not None:
        headers.append((b"content-type", content_type.encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
