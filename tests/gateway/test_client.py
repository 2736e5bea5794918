"""The client against what is no gateway: an answer is neither unfolded nor kept without end."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway import client as client_module
from gateway.client import GatewayClient, GatewayUnreachable
from relayers.signing.secret import Secret


@asynccontextmanager
async def client_of(body: bytes, coding: str = "identity") -> AsyncIterator[GatewayClient]:
    """A client of a server that answers everything with this body."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert b"accept-encoding: identity" in (await reader.readuntil(b"\r\n\r\n")).lower()
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n"
        writer.write(head.encode() + b"Connection: close\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with GatewayClient(f"http://127.0.0.1:{port}", Secret("token")) as client:
        yield client
    server.close()


async def test_a_compressed_answer_is_refused() -> None:
    async with client_of(gzip.compress(gzip.compress(b"[]")), "gzip, gzip") as client:
        with pytest.raises(GatewayUnreachable, match="content-encoding 'gzip, gzip'"):
            await client.peers()
        with pytest.raises(GatewayUnreachable, match="content-encoding 'gzip, gzip'"):
            await anext(client.events())


async def test_an_answer_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "MAX_ANSWER", 1_000)
    async with client_of(b"[]" + b" " * 998) as client:
        assert await client.peers() == ()
    async with client_of(b"[]" + b" " * 999) as client:
        with pytest.raises(GatewayUnreachable, match="more than 1000 bytes"):
            await client.peers()
