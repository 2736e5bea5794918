"""Wakes a reader when a node makes a block: over WebSocket, else by the clock."""

from __future__ import annotations

import asyncio
import json
from types import TracebackType

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from adapters.native.rpc_client import RpcClient

_LOOK_ANYWAY = 5.0
"""Seconds after which the chain is looked at even if a connected node has said nothing."""


class Wakeups:
    """One subscription to new block headers. It only wakes: what is news is read by RPC."""

    def __init__(self, client: RpcClient, timeout: float, poll_interval: float) -> None:
        self._client = client
        self._timeout = timeout
        self._poll_interval = poll_interval
        self._connection: ClientConnection | None = None
        self._url = ""

    async def __aenter__(self) -> Wakeups:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._drop()

    async def subscribe(self) -> None:
        """Subscribes at the preferred node, if not done yet; a node without WebSocket is no
        error. Call it before reading, so that no block falls between reading and waiting."""
        url = self._client.preferred.websocket
        if self._connection is not None and self._url == url:
            return
        await self._drop()
        try:
            async with asyncio.timeout(self._timeout):
                connection = await connect(url, proxy=None, compression=None, close_timeout=1)
                self._connection, self._url = connection, url
                query = {"query": "tm.event='NewBlockHeader'"}
                request = {"jsonrpc": "2.0", "id": 1, "method": "subscribe", "params": query}
                await connection.send(json.dumps(request))
                if "error" in json.loads(await connection.recv()):
                    await self._drop()
        except (OSError, TimeoutError, WebSocketException, ValueError, TypeError, RecursionError):
            await self._drop()

    async def wait(self) -> None:
        """Returns when there may be a new block."""
        if self._connection is None:
            await asyncio.sleep(self._poll_interval)
            return
        try:
            async with asyncio.timeout(_LOOK_ANYWAY):
                await self._connection.recv()
        except TimeoutError:
            pass
        except WebSocketException:
            await self._drop()

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
