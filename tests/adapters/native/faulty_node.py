"""A node at the network's edge that can be made to misbehave: it passes calls on to a real one.

It serves JSON-RPC by POST and no WebSocket, so a driver that uses it polls.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx

Twist = Callable[[str, Any], Any]
"""Given a method and the real node's whole answer: the answer to give instead. It may return
bytes (sent as they are), HANG, DROP (close without an answer), or (status, bytes), with a third for
header lines where there are any."""

HANG = object()
DROP = object()


def honest(method: str, answer: Any) -> Any:
    return answer


class FaultyNode:
    def __init__(self, upstream: str, port: int) -> None:
        self._upstream = upstream
        self.url = f"http://127.0.0.1:{port}"
        self.twist: Twist = honest
        self.keeps = False
        """Whether it keeps transactions to itself: says that it has taken them, and has not."""
        self.calls: list[str] = []
        self.bodies: list[bytes] = []
        self._hanging: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length")
                )
                if not await self._answer(await reader.readexactly(length), writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError, StopIteration):
            pass
        finally:
            writer.close()

    async def pass_on(self, body: bytes) -> Any:
        """What the real node answers to a request."""
        # Without TLS, whose list of authorities takes 40 ms to read, for each call.
        async with httpx.AsyncClient(trust_env=False, verify=False, timeout=60) as client:
            return (await client.post(self._upstream, content=body)).json()

    async def _answer(self, body: bytes, writer: asyncio.StreamWriter) -> bool:
        method = json.loads(body)["method"]
        self.calls.append(method)
        self.bodies.append(body)
        if self.keeps and method == "broadcast_tx_sync":
            taken = {"code": 0, "data": "", "log": "", "codespace": "", "hash": "00" * 32}
            real: Any = {"jsonrpc": "2.0", "id": 1, "result": taken}
        else:
            real = await self.pass_on(body)
        given = self.twist(method, real)
        status, headers = 200, ""
        if given is HANG:
            await asyncio.Event().wait()
        if given is DROP:
            return False
        if isinstance(given, tuple):
            status, given, headers = (*given, "")[:3]
        raw = given if isinstance(given, bytes) else json.dumps(given).encode()
        head = f"HTTP/1.1 {status} x\r\nContent-Length: {len(raw)}\r\n{headers}\r\n"
        writer.write(head.encode() + raw)
        await writer.drain()
        return True


@asynccontextmanager
async def faulty_node(upstream: str) -> AsyncIterator[FaultyNode]:
    node: FaultyNode
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            await node.serve(reader, writer)
        except asyncio.CancelledError:
            pass
        finally:
            connections.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    node = FaultyNode(upstream, server.sockets[0].getsockname()[1])
    try:
        yield node
    finally:
        server.close()
        for task in list(connections):
            task.cancel()
        if connections:
            await asyncio.wait(list(connections))
