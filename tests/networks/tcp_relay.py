"""A relay of bytes between a port of its own and a node, which a test can cut."""

from __future__ import annotations

import asyncio
from types import TracebackType

HOST = "127.0.0.1"
_PIECE = 1 << 16


class Relay:
    """``async with Relay(port, to)``: what connects to ``port`` reaches port ``to``."""

    def __init__(self, port: int, to: int) -> None:
        self._port = port
        self._to = to
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Relay:
        self._server = await asyncio.start_server(self._accept, HOST, self._port)
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await self.cut()

    async def cut(self) -> None:
        """Ends all connections, and takes no more."""
        if self._server is not None:
            self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        assert connection is not None
        self._connections.add(connection)
        try:
            there, back = await asyncio.open_connection(HOST, self._to)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(_pump(reader, back))
                    group.create_task(_pump(there, writer))
            finally:
                back.close()
        except (OSError, ExceptionGroup):
            pass  # one of the ends has gone
        finally:
            writer.close()
            self._connections.discard(connection)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while piece := await source.read(_PIECE):
        sink.write(piece)
        await sink.drain()
    sink.close()
