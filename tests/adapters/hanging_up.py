"""A node's HTTP server that hangs up after so many answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

RESULT = "0x7"


@dataclass
class Server:
    """Answers so many requests on each connection, and hangs up on the one after."""

    answers: int
    url: str = ""
    seen: list[tuple[int, str]] = field(default_factory=list)
    """The connection's number and the method of each request."""
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = self.connections
        self.connections += 1
        answered = 0
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = int(head.partition("content-length:")[2].partition("\r\n")[0])
                request = json.loads(await reader.readexactly(length))
                self.seen.append((number, request["method"]))
                if answered == self.answers:
                    return
                answered += 1
                body = json.dumps({"jsonrpc": "2.0", "id": 1, "result": RESULT}).encode()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(answers: int) -> AsyncIterator[Server]:
    """A server that gives so many answers on each connection."""
    server = Server(answers)
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listener:
        server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        yield server
