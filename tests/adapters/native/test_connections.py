"""What becomes of a request when the connection that it goes out on has ended meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from adapters.native.rpc_client import RpcClient
from adapters.spi import Unavailable, Unknown


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
                body = b'{"jsonrpc": "2.0", "id": 1, "result": 7}'
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def served(answers: int) -> AsyncIterator[tuple[Server, RpcClient]]:
    server = Server(answers)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    async with listener:
        server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        async with RpcClient("chain x", [server.url], 10) as client:
            yield server, client


async def test_reads_share_a_connection_and_ask_once_more_where_it_has_ended() -> None:
    async with served(2) as (server, client):
        for _ in range(3):
            assert await client.read("abci_info", {}, int) == 7
        assert [number for number, _ in server.seen] == [0, 0, 0, 1]


async def test_a_node_that_hangs_up_each_time_is_asked_twice_and_no_more() -> None:
    async with served(0) as (server, client):
        with pytest.raises(Unavailable, match="broke off"):
            await client.read("abci_info", {}, int)
        assert len(server.seen) == 2


async def test_what_is_sent_has_a_connection_of_its_own() -> None:
    async with served(1) as (server, client):
        assert await client.read("abci_info", {}, int) == 7
        for _ in range(2):
            assert await client.send("broadcast_tx_sync", {}, int) == 7
        assert [number for number, _ in server.seen] == [0, 1, 2]


async def test_what_was_sent_is_not_sent_once_more() -> None:
    async with served(0) as (server, client):
        with pytest.raises(Unknown, match="may have been taken"):
            await client.send("broadcast_tx_sync", {}, int)
        assert len(server.seen) == 1
