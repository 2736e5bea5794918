"""One connection to one node: a JSON-RPC request in, its result out, over HTTP or a WebSocket.

Both are our own, and not web3's providers: docs/adr/0011-nodes-are-asked-without-web3.md.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from adapters.ethereum.node_errors import NodeFailed, NodeRefused
from adapters.spi import Misconfigured

if TYPE_CHECKING:
    # Both take long to import: whoever only checks a configuration asks no node.
    from websockets.asyncio.client import ClientConnection

    from adapters.node_http import HttpAnswer, NodeHttp

MAX_ANSWER = 64 * 1024 * 1024
"""Bytes of one answer: a full range of logs fits, a flood does not."""

_MAX_WAIT = 300.0
"""Seconds of Retry-After that are believed; a node that asks for more is asked again then."""

_SENDS = frozenset({"eth_sendRawTransaction"})
"""The methods that change the chain."""

_RATE_LIMITED = frozenset({-32005, -32097, 429})


class Transport(Protocol):
    """A way to ask one node."""

    async def request(self, method: str, params: Sequence[Any]) -> Any:
        """The result. Raises NodeFailed, NodeRefused."""

    async def close(self) -> None: ...


def connect(url: str, timeout: float) -> Transport:
    """The transport for a URL; it connects when it is first asked. Raises Misconfigured."""
    match urlsplit(url).scheme:
        case "http" | "https":
            from adapters.node_http import NodeHttp

            return HttpTransport(url, NodeHttp(timeout, MAX_ANSWER))
        case "ws" | "wss":
            return WebSocketTransport(url, timeout)
        case other:
            raise Misconfigured(
                f"node URL scheme {other!r} is not one of http, https, ws, wss; correct urls"
            )


def result_of(answer: Any) -> Any:
    """The result in a JSON-RPC answer. Raises NodeFailed, NodeRefused."""
    if not isinstance(answer, dict) or not ("result" in answer or "error" in answer):
        raise NodeFailed("answered what is not JSON-RPC")
    error = answer.get("error")
    if error is None:
        return answer.get("result")
    if not isinstance(error, dict) or not isinstance(error.get("code"), int):
        raise NodeFailed("answered an error of unknown form")
    code, message = error["code"], str(error.get("message", ""))
    if code in _RATE_LIMITED and "block range" not in message and "results" not in message:
        raise NodeFailed(f"limits our requests: {message[:200]}", sent=False, wait=1.0)
    raise NodeRefused(code, message[:500], error.get("data"))


def _request(number: int, method: str, params: Sequence[Any]) -> Mapping[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}


class HttpTransport:
    """JSON-RPC over HTTP."""

    def __init__(self, url: str, http: NodeHttp) -> None:
        self._url = url
        self._http = http

    async def request(self, method: str, params: Sequence[Any]) -> Any:
        from adapters.node_http import NotAnswered

        hand = self._http.send if method in _SENDS else self._http.ask
        try:
            answer = await hand(self._url, _request(1, method, params))
        except NotAnswered as error:
            raise NodeFailed(str(error), sent=error.sent) from None
        return result_of(_document(answer))

    async def close(self) -> None:
        await self._http.aclose()


def _document(answer: HttpAnswer) -> Any:
    """The JSON in an answer. Raises NodeFailed, NodeRefused."""
    if answer.status == 413:
        raise NodeRefused(413, "the request or its answer is too large")
    if answer.status >= 300:
        raise _http_failure(answer.status, answer.headers)
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        raise NodeFailed("answered what is not JSON") from None


def _http_failure(status: int, headers: Mapping[str, str]) -> NodeFailed:
    if status == 429:
        wait = _retry_after(headers.get("Retry-After"))
        return NodeFailed(f"asks us to wait {wait:g} seconds (429)", sent=False, wait=wait)
    # What a gateway answers for a node behind it says nothing of the node.
    return NodeFailed(f"answered HTTP status {status}", sent=status >= 500)


def _retry_after(value: str | None) -> float:
    """Seconds; the other form of the header, a date, counts as ten of them."""
    if value is None:
        return 1.0
    try:
        return min(max(float(value), 0.0), _MAX_WAIT)
    except ValueError:
        return 10.0


class WebSocketTransport:
    """JSON-RPC over one WebSocket, many requests at a time. One task, owned here, reads answers."""

    def __init__(self, url: str, timeout: float) -> None:
        self._url = url
        self._timeout = timeout
        self._ids = itertools.count(1)
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._connecting = asyncio.Lock()

    async def request(self, method: str, params: Sequence[Any]) -> Any:
        import websockets

        socket = await self._connected()
        number = next(self._ids)
        waiting: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        try:
            async with asyncio.timeout(self._timeout):
                await socket.send(json.dumps(_request(number, method, params)))
                answer = await waiting
        except TimeoutError:
            raise NodeFailed(f"has not answered within {self._timeout:g} seconds") from None
        except (websockets.WebSocketException, OSError) as error:
            raise NodeFailed(f"broke off ({type(error).__name__})") from None
        finally:
            del self._waiting[number]
        return result_of(answer)

    async def _connected(self) -> ClientConnection:
        async with self._connecting:
            if self._socket is not None and self._reader is not None and not self._reader.done():
                return self._socket
            await self.close()
            import websockets
            from websockets.asyncio.client import connect

            try:
                self._socket = await connect(
                    self._url,
                    open_timeout=min(5.0, self._timeout),
                    max_size=MAX_ANSWER,
                    compression=None,
                )
            except (websockets.WebSocketException, OSError, TimeoutError) as error:
                raise NodeFailed(
                    f"cannot be reached ({type(error).__name__})", sent=False
                ) from None
            self._reader = asyncio.create_task(self._read(self._socket))
            return self._socket

    async def _read(self, socket: ClientConnection) -> None:
        import websockets

        failure = NodeFailed("broke off")
        try:
            async for message in socket:
                answer = json.loads(message)
                waiting = self._waiting.get(answer["id"]) if "id" in answer else None
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer)
        except (ValueError, TypeError, KeyError, RecursionError):
            failure = NodeFailed("answered what is not JSON-RPC")
        except (websockets.WebSocketException, OSError):
            pass
        finally:
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(failure)

    async def close(self) -> None:
        socket, reader = self._socket, self._reader
        self._socket = self._reader = None
        if socket is not None:
            await socket.close()
        if reader is not None:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
