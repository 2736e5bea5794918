"""Asks nodes over HTTP: a JSON document goes out, an answer comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from adapters.http_body import PLAIN, UnreadableBody, read_body

# What aiohttp raises before a request can have reached the node; anything else may have come after.
_BEFORE_SENDING = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
# What it raises where a connection that was kept open turns out to have ended meanwhile.
_ENDED = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)
_MOST_CONNECT_SECONDS = 5.0


class NotAnswered(Exception):
    """There is no usable answer. The message reads on after the name of the node. ``sent``: the
    node may have received the request."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.sent = sent


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """Of any status."""

    status: int
    headers: Mapping[str, str]
    """Names are found whatever their case."""
    body: bytes


class NodeHttp:
    """Questions keep connections open; where one has ended meanwhile, they are asked once more on
    a new one. What is sent has a connection of its own: one that has ended meanwhile would leave
    it open whether a transaction was sent.

    ``timeout``: seconds for a whole answer. ``most``: bytes of its body."""

    def __init__(self, timeout: float, most: int) -> None:
        self._timeout = timeout
        self._most = most
        self._kept: aiohttp.ClientSession | None = None
        self._fresh: aiohttp.ClientSession | None = None

    async def ask(self, url: str, question: Mapping[str, Any]) -> HttpAnswer:
        """What changes nothing. Raises NotAnswered."""
        return await self._answered(url, question, sends=False)

    async def send(self, url: str, question: Mapping[str, Any]) -> HttpAnswer:
        """What changes something; never sent twice. Raises NotAnswered."""
        return await self._answered(url, question, sends=True)

    async def aclose(self) -> None:
        sessions = (self._kept, self._fresh)
        self._kept = self._fresh = None
        for session in sessions:
            if session is not None:
                await session.close()

    async def _answered(self, url: str, question: Mapping[str, Any], *, sends: bool) -> HttpAnswer:
        try:
            async with asyncio.timeout(self._timeout):
                if sends:
                    return await self._post(self._fresh_session(), url, question)
                return await self._asked(url, question)
        except UnreadableBody as error:
            raise NotAnswered(str(error), sent=True) from None
        # Without their causes: aiohttp's errors quote whole URLs, which may hold access keys.
        except _BEFORE_SENDING as error:
            raise NotAnswered(f"cannot be reached ({type(error).__name__})", sent=False) from None
        except TimeoutError:
            reason = f"has not answered within {self._timeout:g} seconds"
            raise NotAnswered(reason, sent=True) from None
        except (aiohttp.ClientError, OSError) as error:
            raise NotAnswered(f"broke off ({type(error).__name__})", sent=True) from None

    async def _asked(self, url: str, question: Mapping[str, Any]) -> HttpAnswer:
        try:
            return await self._post(self._kept_session(), url, question)
        except _BEFORE_SENDING:
            raise
        except _ENDED:
            return await self._post(self._fresh_session(), url, question)

    async def _post(
        self, session: aiohttp.ClientSession, url: str, question: Mapping[str, Any]
    ) -> HttpAnswer:
        # A redirect is an answer like another: it may lead to who is no node of ours.
        async with session.post(url, json=question, allow_redirects=False) as response:
            body = await read_body(response.headers, response.content.iter_any(), self._most)
            return HttpAnswer(response.status, response.headers, body)

    # Sessions want a running event loop, which there may not be yet when a node is named.

    def _kept_session(self) -> aiohttp.ClientSession:
        if self._kept is None:
            self._kept = self._session(aiohttp.TCPConnector())
        return self._kept

    def _fresh_session(self) -> aiohttp.ClientSession:
        if self._fresh is None:
            self._fresh = self._session(aiohttp.TCPConnector(limit=0, force_close=True))
        return self._fresh

    def _session(self, connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
        """Nodes set no cookies here, and no proxy of the environment stands before them."""
        return aiohttp.ClientSession(
            headers=PLAIN,
            auto_decompress=False,
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(
                sock_connect=min(_MOST_CONNECT_SECONDS, self._timeout), total=None
            ),
        )
