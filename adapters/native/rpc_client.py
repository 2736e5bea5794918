"""A client of CometBFT's RPC over several nodes of one chain.

A read goes to the node that answered last and, where that fails, to the others, each once. What
changes the chain goes to another node only while it is certain that nothing was sent.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp

from adapters.http_body import PLAIN, UnreadableBody, read_body
from adapters.spi import NotSent, Unavailable, Unknown

T = TypeVar("T")
Parse = Callable[[Any], T]
MAX_ANSWER = 32 * 1024 * 1024


class RpcFailure(Exception):
    """The node's own answer, in JSON-RPC's error form. ``data`` says what is wrong."""

    def __init__(self, url: str, code: int, message: str, data: str) -> None:
        super().__init__(f"{url} answers {message}: {data[:300]}")
        self.url = url
        self.code = code
        self.data = data


class Unusable(Exception):
    """One node did not give a usable answer. ``sent``: it may have received the request."""

    def __init__(self, reason: str, sent: bool) -> None:
        super().__init__(reason)
        self.sent = sent


@dataclass(slots=True)
class Node:
    url: str
    verified: bool = False

    @property
    def label(self) -> str:
        """What is told of it: scheme, host and port. A key may stand in the rest of its URL."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

    @property
    def websocket(self) -> str:
        return "ws" + self.url.removeprefix("http") + "/websocket"


Verify = Callable[[Node], Awaitable[None]]

# What aiohttp raises before a request can have reached the node; anything else may have come after.
_BEFORE_SENDING = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
# What it raises where a connection that was kept open turns out to have ended meanwhile.
_ENDED = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)
_MOST_CONNECT_SECONDS = 5.0


class RpcClient:
    """Not a task, not a loop: every call tries each node at most once and then says so. Used as a
    context manager, which holds its connections.

    Reads keep connections open; where one has ended meanwhile, they ask once more on a new one.
    What is sent has a connection of its own: one that has ended meanwhile would leave it open
    whether a transaction was sent."""

    def __init__(self, label: str, urls: Sequence[str], timeout: float) -> None:
        self.label = label
        self._timeout = timeout
        self.nodes = [Node(url) for url in urls]
        self.verify: Verify | None = None
        """Called before a node is used first, and again after it has failed. Raises Unusable
        where the node is no good now, Misconfigured where it is the wrong one."""
        self._kept: aiohttp.ClientSession
        self._fresh: aiohttp.ClientSession

    async def __aenter__(self) -> RpcClient:
        connect = min(_MOST_CONNECT_SECONDS, self._timeout)
        self._kept = _session(connect, aiohttp.TCPConnector())
        self._fresh = _session(connect, aiohttp.TCPConnector(limit=0, force_close=True))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._kept.close()
        await self._fresh.close()

    @property
    def preferred(self) -> Node:
        return self.nodes[0]

    async def read(self, method: str, params: dict[str, Any], parse: Parse[T]) -> T:
        """``parse`` raises ValueError, KeyError or TypeError for an answer that cannot be.

        Raises RpcFailure with the first node's own error, Unavailable, Misconfigured.
        """
        failures = []
        for node in list(self.nodes):
            try:
                await self._ensure_verified(node)
                result = await self.ask(node, method, params, parse)
            except Unusable as failure:
                failures.append(self._failed(node, failure))
            else:
                self._prefer(node)
                return result
        raise Unavailable(f"{self.label}: no node can be used: {'; '.join(failures)}")

    async def prefer_furthest(self, height: Parse[int]) -> bool:
        """Asks every node once how far it is, and prefers the one that is furthest from now on.
        ``height`` reads ``abci_info``. Whether another is preferred than before.

        Raises Misconfigured where one is a node of another chain."""
        before, furthest = self.preferred, 0
        for node in list(self.nodes):
            try:
                await self._ensure_verified(node)
                reached = await self.ask(node, "abci_info", {}, height)
            except Unusable as failure:
                self._failed(node, failure)
                continue
            except RpcFailure:
                continue
            if reached > furthest:
                furthest = reached
                self._prefer(node)
        return self.preferred is not before

    async def send(self, method: str, params: dict[str, Any], parse: Parse[T]) -> T:
        """Raises RpcFailure, NotSent, Unknown, Misconfigured."""
        failures = []
        for node in list(self.nodes):
            try:
                await self._ensure_verified(node)
            except Unusable as failure:
                failures.append(self._failed(node, failure))
                continue
            try:
                sending = _post(self._fresh, node, method, params)
                result = await self._answered(sending, node, parse)
            except Unusable as failure:
                failures.append(self._failed(node, failure))
                if failure.sent:
                    raise Unknown(
                        f"{self.label}: a transaction may have been taken: {failures[-1]}"
                    ) from failure
            else:
                self._prefer(node)
                return result
        raise NotSent(f"{self.label}: no node has taken the transaction: {'; '.join(failures)}")

    async def ask(self, node: Node, method: str, params: dict[str, Any], parse: Parse[T]) -> T:
        """One question to one node, which changes nothing. Raises RpcFailure, Unusable."""
        return await self._answered(self._asked(node, method, params), node, parse)

    async def _asked(self, node: Node, method: str, params: dict[str, Any]) -> _Answer:
        try:
            return await _post(self._kept, node, method, params)
        except _BEFORE_SENDING:
            raise
        except _ENDED:
            return await _post(self._fresh, node, method, params)

    async def _answered(self, asking: Awaitable[_Answer], node: Node, parse: Parse[T]) -> T:
        try:
            async with asyncio.timeout(self._timeout):
                answer = await asking
        except UnreadableBody as error:
            raise Unusable(f"{node.label} {error}", sent=True) from None
        except _BEFORE_SENDING as error:
            raise Unusable(f"{node.label} cannot be reached", sent=False) from error
        except TimeoutError as error:
            raise Unusable(
                f"{node.label} has not answered within {self._timeout:g} seconds", sent=True
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unusable(f"{node.label} broke off ({type(error).__name__})", sent=True) from error
        if answer.status == 429:
            raise Unusable(f"{node.label} asks for fewer requests (HTTP 429)", sent=False)
        return _result(node.label, answer, parse)

    async def _ensure_verified(self, node: Node) -> None:
        if node.verified or self.verify is None:
            return
        try:
            await self.verify(node)
        except RpcFailure as failure:
            raise Unusable(str(failure), sent=False) from failure
        node.verified = True

    def _failed(self, node: Node, failure: Unusable) -> str:
        node.verified = False
        return str(failure)

    def _prefer(self, node: Node) -> None:
        if self.nodes[0] is not node:
            self.nodes.remove(node)
            self.nodes.insert(0, node)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes


def _session(connect: float, connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    """``connect``: seconds until a node cannot be reached. The environment's proxies are not for
    the organisation's own nodes, and are not looked at."""
    return aiohttp.ClientSession(
        headers=PLAIN,
        auto_decompress=False,
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(sock_connect=connect),
    )


async def _post(
    session: aiohttp.ClientSession, node: Node, method: str, params: dict[str, Any]
) -> _Answer:
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    async with session.post(node.url, json=request, allow_redirects=False) as response:
        body = await read_body(response.headers, response.content.iter_any(), MAX_ANSWER)
        return _Answer(response.status, body)


def _result(url: str, told: _Answer, parse: Parse[T]) -> T:
    try:
        answer = json.loads(told.body)
    except (ValueError, RecursionError) as error:
        reason = f"answers what is not JSON (HTTP {told.status})"
        raise Unusable(f"{url} {reason}", sent=True) from error
    failure = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(failure, dict):
        code, message, data = (failure.get(name) for name in ("code", "message", "data"))
        if isinstance(code, int):
            raise RpcFailure(url, code, str(message), str(data or ""))
    try:
        return parse(answer["result"])
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
        reason = f": {error}" if isinstance(error, Implausible) else ""
        raise Unusable(f"{url} answers what no node of this chain answers{reason}", True) from error


class Implausible(ValueError):
    """A well-formed answer that cannot be true. The message may be shown."""
