"""Connections that send nothing, trickle, or come in masses: against real sockets."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest
import trustme
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, StreamingResponse
from structlog.testing import capture_logs

from gateway.connection_limits import Admissions, ConnectionLimits
from gateway.listener import Listener, bind
from tests.ports import free_port

PATIENT = ConnectionLimits(total=8, per_address=4, patience=60)
HASTY = replace(PATIENT, patience=0.3)
HEAD = b"POST / HTTP/1.1\r\nhost: gateway\r\n"


def app() -> FastAPI:
    made = FastAPI()

    @made.post("/")
    async def size(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(len(await request.body())))

    @made.get("/endless")
    async def endless() -> StreamingResponse:
        async def lines() -> AsyncIterator[bytes]:
            while True:
                yield bytes(65_536)
                await asyncio.sleep(0)

        return StreamingResponse(lines())

    @made.get("/slow")
    async def slow() -> StreamingResponse:
        async def lines() -> AsyncIterator[bytes]:
            yield b"begun "
            await asyncio.sleep(3 * HASTY.patience)
            yield b"ended"

        return StreamingResponse(lines())

    return made


@asynccontextmanager
async def listening(limits: ConnectionLimits, tls: trustme.CA | None = None) -> AsyncIterator[int]:
    """The port of a listener, which must end by itself at the end of the block."""
    port = free_port()
    listener = Listener(app(), bind("127.0.0.1", port, "api"), None, limits)
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.issue_cert("127.0.0.1").configure_cert(context)
        listener.config.load()
        listener.config.ssl = context
    serving = asyncio.create_task(listener.run_until_stopped())
    try:
        yield port
    finally:
        listener.stop()
        async with asyncio.timeout(20):
            await serving


async def dropped(reader: asyncio.StreamReader) -> bytes:
    """All that came until the listener ended the connection."""
    try:
        async with asyncio.timeout(20):
            return await reader.read()
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"\r\n",
        b"POS",
        HEAD,
        HEAD + b"content-length: 5\r\n\r\nab",
        HEAD + b"content-length: 1\r\n\r\na" + HEAD,
        HEAD + b"content-length: 1\r\n\r\na" + HEAD + b"content-length: 5\r\n\r\nab",
    ],
)
async def test_half_a_request_is_dropped(begun: bytes) -> None:
    async with listening(HASTY) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(begun)
        said = await dropped(reader)
        assert said.count(b"200 OK") == begun.count(b": 1\r\n")
        writer.close()


async def test_a_trickle_is_dropped() -> None:
    async with listening(HASTY) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        ended = asyncio.create_task(dropped(reader))
        while not ended.done():
            writer.write(b"a")
            await asyncio.wait([ended], timeout=HASTY.patience / 6)
        assert ended.result() == b""
        writer.close()


async def test_no_tls_within_the_time_is_dropped() -> None:
    authority = trustme.CA()
    async with listening(HASTY, authority) as port:
        for begun in (b"", b"\x16\x03\x01\x02"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(begun)
            await dropped(reader)
            writer.close()
        context = ssl.create_default_context()
        authority.configure_trust(context)
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        await dropped(reader)
        writer.close()
        async with httpx.AsyncClient(verify=context, trust_env=False) as http:
            assert (await http.post(f"https://127.0.0.1:{port}", content=b"abc")).text == "3"


async def test_who_takes_nothing_is_dropped() -> None:
    async with listening(HASTY) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /endless HTTP/1.1\r\nhost: gateway\r\n\r\n")
        transport = writer.transport
        assert isinstance(transport, asyncio.ReadTransport)
        transport.pause_reading()
        async with httpx.AsyncClient(trust_env=False) as http:
            slow = await http.get(f"http://127.0.0.1:{port}/slow")
            assert slow.text == "begun ended", "an answer may take its time"
        await asyncio.sleep(0)
        transport.resume_reading()
        await dropped(reader)
        writer.close()


async def test_only_so_many_come_from_one_address() -> None:
    with capture_logs() as logs:
        async with listening(PATIENT) as port:
            held = [
                await asyncio.open_connection("127.0.0.1", port) for _ in range(PATIENT.per_address)
            ]
            for _ in range(3):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                assert await dropped(reader) == b""
                writer.close()
            # From another address, and once one is gone, there is room.
            other = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
            held[0][1].close()
            async with asyncio.timeout(20):
                while True:
                    reader, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.write(HEAD + b"content-length: 1\r\nconnection: close\r\n\r\na")
                    if b"200 OK" in await dropped(reader):
                        break
            for _, writer in (*held, other):
                writer.close()
    assert [entry["event"] for entry in logs].count("connections were turned away") == 1


async def test_a_held_connection_is_ended_with_the_listener() -> None:
    async with listening(PATIENT) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD)
        await writer.drain()
    assert await dropped(reader) == b""
    writer.close()


def test_admissions_count_in_all_and_by_address() -> None:
    admissions = Admissions(ConnectionLimits(total=4, per_address=2))
    assert [admissions.admit("10.0.0.1") for _ in range(3)] == [True, True, False]
    assert admissions.admit("::ffff:10.0.0.1") is False, "it is the same address"
    assert admissions.admit("2001:db8::1")
    assert admissions.admit("2001:db8::2")
    assert admissions.admit("2001:db8::3") is False, "one network counts as one"
    assert admissions.admit("10.0.0.2") is False, "in all"
    admissions.leave("10.0.0.1")
    assert admissions.admit("10.0.0.2")
