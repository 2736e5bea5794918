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
from adapters.native.node.parameters import InvalidParameter, Kind, read
from adapters.native.node.rpc import Rpc, RpcError

_log = logging.getLogger(__name__)

MAX_BODY = 1_000_000
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
        if scope["method"] == "POST" and scope["path"] in ("/", ""):
            body = await _body(receive)
            if body is None:
                await _respond(send, 413, b"body is too large\n", "text/plain")
                return
            status, answer = await self._post(body)
        elif scope["method"] == "GET":
            method = scope["path"].strip("/")
            if method not in self._rpc.methods:
                await _respond(send, 404, b"404 page not found\n", "text/plain")
                return
            query = scope["query_string"].decode("latin-1")
            given = dict(parse_qsl(query, keep_blank_values=False))
            answer = await self._call(-1, method, given, uri=True)
            status = 500 if "error" in answer else 200
        else:
            await _respond(send, 405, b"method not allowed\n", "text/plain")
            return
        raw = b"" if answer is None else json.dumps(answer, separators=(",", ":")).encode()
        await _respond(send, status, raw, "application/json")

    async def _post(self, body: bytes) -> tuple[int, Any]:
        try:
            request = json.loads(body)
        except (UnicodeDecodeError, json.JSONDecodeError):
            return 500, _error(None, RpcError(-32700, "Parse error. Invalid JSON"))
        if isinstance(request, list):
            answers = [await self._request(entry) for entry in request]
            return 200, [answer for answer in answers if answer is not None] or None
        return 200, await self._request(request)

    async def _request(self, request: Any) -> Any:
        """The answer to one JSON-RPC request; None to a notification."""
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            return _error(None, RpcError(-32600, "Invalid Request"))
        if "id" not in request:
            return None
        params = request.get("params") or {}
        return await self._call(request["id"], request["method"], params, uri=False)

    async def _call(self, identity: Any, method: str, given: Any, *, uri: bool) -> Any:
        if method not in self._rpc.methods:
            return _error(identity, RpcError(-32601, "Method not found"))
        kinds, handler = self._rpc.methods[method]
        try:
            result = await handler(**read(kinds, _named(kinds, given), uri))
        except RpcError as error:
            return _error(identity, error)
        except InvalidParameter as error:
            return _error(identity, RpcError(-32602, "Invalid params", str(error)))
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
                request = json.loads(message.get("text") or message.get("bytes") or b"")
            except (UnicodeDecodeError, json.JSONDecodeError):
                error = RpcError(-32700, "Parse error. Invalid JSON")
                subscriber.send(_error(None, error))
                continue
            method = request.get("method") if isinstance(request, dict) else None
            if method in _SUBSCRIPTION_METHODS:
                subscriber.send(_subscription(subscriber, request))
            elif (answer := await self._request(request)) is not None:
                subscriber.send(answer)


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


def _subscription(subscriber: Subscriber, request: Message) -> Any:
    identity = request.get("id")
    try:
        given = _named({"query": Kind.TEXT}, request.get("params") or {})
        query = read({"query": Kind.TEXT}, given, uri=False).get("query", "")
        assert isinstance(query, str)
        match request["method"]:
            case "subscribe":
                subscriber.subscribe(identity, query)
            case "unsubscribe":
                subscriber.unsubscribe(query)
            case _:
                subscriber.unsubscribe_all()
    except RpcError as error:
        return _error(identity, error)
    except InvalidParameter as error:
        return _error(identity, RpcError(-32602, "Invalid params", str(error)))
    return {"jsonrpc": "2.0", "id": identity, "result": {}}


def _named(kinds: Any, given: Any) -> dict[str, Any]:
    """Parameters by name; a list gives them in the method's order."""
    match given:
        case dict():
            return given
        case list():
            return dict(zip(kinds, given, strict=False))
        case _:
            raise InvalidParameter("params must be an object or a list")


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


async def _respond(send: Send, status: int, body: bytes, content_type: str) -> None:
    headers = [
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
