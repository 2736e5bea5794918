"""The network's edge: a small HTTP proxy before a node, which can be told to misbehave.

It only stands in for what a real node cannot be made to show: limits, 429, garbage, silence.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.ports import free_port

Request = dict[str, Any]

_JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Answer:
    """What is sent back instead of the node's answer. ``hang``: nothing, ever; ``forward``: the
    node gets the request all the same."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    hang: bool = False
    forward: bool = False


def error(code: int, message: str) -> Answer:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": message}})
    return Answer(body=body.encode())


def result(value: Any) -> Answer:
    return Answer(body=json.dumps({"jsonrpc": "2.0", "id": 1, "result": value}).encode())


@dataclass
class Edge:
    """A running proxy. ``rule`` sees each request first; None lets it through."""

    url: str
    rule: Callable[[Request], Answer | None] = lambda _request: None
    seen: list[Request] = field(default_factory=list)

    def methods(self) -> list[str]:
        return [request["method"] for request in self.seen]


@asynccontextmanager
async def edge_before(node: str) -> AsyncIterator[Edge]:
    port = free_port()
    edge = Edge(f"http://127.0.0.1:{port}/key-that-must-not-be-shown")
    connections: set[asyncio.Task[Any]] = set()
    async with httpx.AsyncClient(timeout=60) as client:

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            connections.add(task)
            try:
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                    body = await reader.readexactly(length)
                    request = json.loads(body)
                    edge.seen.append(request)
                    answer = edge.rule(request)
                    if answer is None or answer.forward:
                        passed = await client.post(node, content=body, headers=_JSON)
                    if answer is None:
                        answer = Answer(passed.status_code, passed.content)
                    if answer.hang:
                        await asyncio.Event().wait()
                    lines = [f"HTTP/1.1 {answer.status} X", f"Content-Length: {len(answer.body)}"]
                    lines += [f"{name}: {value}" for name, value in answer.headers]
                    writer.write("\r\n".join([*lines, "", ""]).encode() + answer.body)
                    await writer.drain()
            except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                pass  # The other side is gone, or the test is over.
            finally:
                connections.discard(task)
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", port)
        try:
            yield edge
        finally:
            server.close()
            for task in list(connections):
                task.cancel()
            await asyncio.gather(*connections, return_exceptions=True)
