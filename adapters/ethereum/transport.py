"""One connection to one node: a JSON-RPC request in, its result out, over HTTP or a WebSocket.

HTTP goes through web3's asynchronous provider, its own retries off. web3's WebSocket provider spins
while it waits for an answer, which on a slow node costs a whole core, so the WebSocket is our own.
An address can hold an API key, so errors name a node by its host only.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from adapters.ethereum.node_errors import NodeFailed, NodeRefused
from adapters.spi import Misconfigured

if TYPE_CHECKING:
    from web3.providers import AsyncHTTPProvider
    from websockets.asyncio.client import ClientConnection

MAX_ANSWER = 64 * 1024 * 1024
"""Bytes of one answer: a full range of logs fits, a flood does not."""

_MAX_WAIT = 300.0
"""Seconds of Retry-After that are believed; a node that asks for more is asked again then."""

_DEEPEST = 3_000
"""Python frames, and levels of nesting in an answer."""

_SENDS = frozenset({"eth_sendRawTransaction"})
"""The methods that change the chain."""

_RATE_LIMITED = frozenset({-32005, -32097, 429})


class Transport(Protocol):
    """A way to ask one node."""

    async def request(self, method: str, params: Sequence[Any]) -> Any:
        """The result. Raises NodeFailed, NodeRefused."""

    async def close(self) -> None: ...


def node_label(url: str) -> str:
    """What errors call a node: scheme, host and port, without path, query or password."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port is not None else ""
    host = parts.hostname or ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"


def connect(url: str, timeout: float) -> Transport:
    """The transport for a URL; it connects when it is first asked. Raises Misconfigured."""
    match urlsplit(url).scheme:
        case "http" | "https":
            return HttpTransport(url, timeout)
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


def _import_provider() -> type[AsyncHTTPProvider]:
    """web3's provider; importing it takes seconds, so it is imported when it is first needed.

    One of its dependencies (py_ecc) sets Python's recursion limit to 100,000. With that, JSON that
    is nested deeply enough ends the process by overflowing its stack, where it would only raise;
    so the limit is set back."""
    before = sys.getrecursionlimit()
    from web3.providers import AsyncHTTPProvider

    sys.setrecursionlimit(min(before, _DEEPEST))
    return AsyncHTTPProvider


@dataclass(frozen=True, slots=True)
class _Providers:
    kept: AsyncHTTPProvider
    fresh: AsyncHTTPProvider


class HttpTransport:
    """JSON-RPC over HTTP.

    Questions keep connections open; where one has ended meanwhile, they are asked once more on a
    new one. A transaction has a connection of its own: one that has ended meanwhile would leave it
    open whether it was sent."""

    def __init__(self, url: str, timeout: float) -> None:
        self._url = url
        self._timeout = timeout
        self._providers: _Providers | None = None
        self._connecting = asyncio.Lock()

    async def _connected(self) -> _Providers:
        async with self._connecting:
            if self._providers is None:
                kept = await self._connect(keep=True)
                try:
                    self._providers = _Providers(kept, await self._connect(keep=False))
                except BaseException:
                    await kept.disconnect()
                    raise
            return self._providers

    async def _connect(self, *, keep: bool) -> AsyncHTTPProvider:
        provider_class = _import_provider()
        import aiohttp

        from adapters.ethereum.http_session import open_session

        timeout = aiohttp.ClientTimeout(total=self._timeout, sock_connect=min(5.0, self._timeout))
        provider = provider_class(
            self._url, request_kwargs={"timeout": timeout}, exception_retry_configuration=None
        )
        session = open_session(keep=keep)
        try:
            # web3's own session would unfold and keep an answer of any length.
            await provider.cache_async_session(session)
        except BaseException:
            await session.close()
            raise
        return provider

    async def _answer(self, method: str, params: Sequence[Any]) -> Any:
        import aiohttp

        providers = await self._connected()
        request: tuple[Any, Any] = (method, list(params))
        if method in _SENDS:
            return await providers.fresh.make_request(*request)
        try:
            return await providers.kept.make_request(*request)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            return await providers.fresh.make_request(*request)

    async def request(self, method: str, params: Sequence[Any]) -> Any:
        import aiohttp

        try:
            answer = await self._answer(method, params)
        except aiohttp.ClientResponseError as error:
            if error.status == 413:
                raise NodeRefused(413, "the request or its answer is too large") from None
            raise _http_failure(error.status, error.headers) from None
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise NodeFailed(f"cannot be reached ({type(error).__name__})", sent=False) from None
        except (TimeoutError, aiohttp.ServerTimeoutError):
            raise NodeFailed(f"has not answered {method} in {self._timeout:g} seconds") from None
        except (aiohttp.ClientError, OSError) as error:
            raise NodeFailed(f"broke the connection ({type(error).__name__})") from None
        except (ValueError, RecursionError):
            raise NodeFailed("answered what is not JSON") from None
        return result_of(answer)

    async def close(self) -> None:
        if self._providers is not None:
            await self._providers.kept.disconnect()
            await self._providers.fresh.disconnect()
            self._providers = None


def _http_failure(status: int, headers: Any) -> NodeFailed:
    if status == 429:
        wait = _retry_after(headers.get("Retry-After") if headers is not None else None)
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
                await socket.send(
                    json.dumps(
                        {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}
                    )
                )
                answer = await waiting
        except TimeoutError:
            raise NodeFailed(f"has not answered {method} in {self._timeout:g} seconds") from None
        except (websockets.WebSocketException, OSError) as error:
            raise NodeFailed(f"broke the connection ({type(error).__name__})") from None
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

        failure = NodeFailed("broke the connection")
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
