"""CometBFT's side of ABCI's socket protocol, for tests: requests out, answers in, in order."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from adapters.native.abci.messages import REQUEST, RESPONSE
from adapters.native.cometbft.protobuf import varint

PATIENCE = 30.0


def request(name: str, **fields: Any) -> bytes:
    """A request with its length, as it goes over the wire. A field that is a dictionary is a
    message of its own; one that is None is left to its default."""
    envelope: Any = REQUEST()
    part = getattr(envelope, name)
    part.SetInParent()
    for field, value in fields.items():
        match value:
            case dict():
                for inner, given in value.items():
                    setattr(getattr(part, field), inner, given)
            case list():
                getattr(part, field).extend(value)
            case _:
                setattr(part, field, value)
    return framed(envelope.SerializeToString())


def framed(raw: bytes) -> bytes:
    return varint(len(raw)) + raw


class Connection:
    """One of the connections that a node has to its application."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def call(self, name: str, **fields: Any) -> Any:
        """Asks, and gives the answer's part of the same name; another one's is an error."""
        self.writer.write(request(name, **fields))
        kind, part = await self.answer()
        if kind != name:
            raise AssertionError(f"{name} is answered by {kind}: {part}")
        return part

    async def answer(self) -> tuple[str, Any]:
        """The next answer's name and message. Raises IncompleteReadError at the end."""
        async with asyncio.timeout(PATIENCE):
            length = shift = 0
            while True:
                (byte,) = await self.reader.readexactly(1)
                length |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80:
                    break
            envelope: Any = RESPONSE()
            envelope.ParseFromString(await self.reader.readexactly(length))
        name = envelope.WhichOneof("value")
        return name, getattr(envelope, name)

    async def ended(self) -> bool:
        """Whether the other end closes without another word."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read() == b""


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Connection]:
    """Waits until the application listens."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                break
            except ConnectionRefusedError:
                await asyncio.sleep(0.05)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()


def log_of(home: Path) -> Path:
    folder = next(parent for parent in home.parents if parent.is_dir())
    return folder / f"{home.name}.log"


@contextmanager
def application_process(home: Path, port: int, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """``python -m adapters.native.abci``; its standard error is in ``log_of(home)``. Ends with
    kill -9."""
    command = [sys.executable, "-m", "adapters.native.abci", "--home", str(home)]
    with log_of(home).open("ab") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port)], env=os.environ | env, stderr=log
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
