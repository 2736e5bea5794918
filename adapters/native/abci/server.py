"""Serves the application to one CometBFT node over ABCI's socket protocol.

CometBFT opens four connections (consensus, mempool, queries, snapshots) and writes requests, each
behind its length as a varint; the answers go back in the same order on the same connection. Source:
CometBFT 0.38, ``abci/server/socket_server.go``. All connections are served by one event loop and
the application never waits, so its calls take turns.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from google.protobuf.message import Message

from adapters.native.abci.messages import read_request
from adapters.native.abci.translation import answer, exception
from adapters.native.app.application import Application
from adapters.native.app.timestamp import Timestamp
from adapters.native.cometbft.protobuf import varint

_log = logging.getLogger("adapters.native.abci")

_DECIDING = (
    frozenset({"init_chain", "prepare_proposal", "process_proposal", "finalize_block", "commit"}),
    frozenset({"offer_snapshot", "apply_snapshot_chunk"}),
)
"""Requests that change the state, or bind the validator's vote. CometBFT makes the first from its
consensus connection alone, the second from the one for snapshots."""

MAX_MESSAGE = 64 * 1024 * 1024
"""Bytes of one request: well above a block's, and what a stray client may make this hold."""


class AbciServer:
    """``clock`` is the validator's own. After a request that the application could not answer
    ``failed`` holds why: the application must be stopped, as CometBFT stops its node.

    Whoever first makes a request that decides keeps the right to it until its connection ends: a
    second program that connects by mistake cannot move the state under a running node. ABCI knows
    no passwords, so the port must be the node's alone (loopback, or a network of the two)."""

    def __init__(self, application: Application, clock: Callable[[], Timestamp]) -> None:
        self._application = application
        self._clock = clock
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._deciders: dict[frozenset[str], asyncio.Task[None]] = {}
        self.failed: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until the other end closes it. For ``asyncio.start_server``."""
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = writer
        try:
            while not self.failed.done():
                name, request = read_request(await _read(reader))
                self._check_decides(task, name)
                self._write(writer, self._answer(name, request))
                if name == "flush":
                    await writer.drain()
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except ValueError as error:
            # Whoever sent it is told, and this connection ends; the others go on.
            _log.error("a connection is closed: %s", error)
            self._write(writer, exception(str(error)))
        finally:
            del self._connections[task]
            self._deciders = {kind: by for kind, by in self._deciders.items() if by is not task}
            writer.close()

    async def close(self) -> None:
        """Closes every connection, and returns when none is served any more. Who does not read
        its answers within a second does not get them."""
        for end in (asyncio.StreamWriter.close, _abort):
            for writer in self._connections.values():
                end(writer)
            if self._connections:
                await asyncio.wait(list(self._connections), timeout=1)

    def _check_decides(self, task: asyncio.Task[None], name: str) -> None:
        """Raises ValueError where another connection has the right to this request."""
        for kind in _DECIDING:
            if name in kind and self._deciders.setdefault(kind, task) is not task:
                raise ValueError(
                    f"{name} comes from another connection than the node's: is a second node "
                    "configured with this application's address?"
                )

    def _answer(self, name: str, request: object) -> Message:
        try:
            return answer(self._application, name, request, self._clock)
        except Exception as error:  # noqa: BLE001 - whatever it is, consensus must stop here
            _log.exception("%s failed", name)
            why = f"{name}: {type(error).__name__}: {error}"
            if not self.failed.done():
                self.failed.set_result(why)
            return exception(why)

    @staticmethod
    def _write(writer: asyncio.StreamWriter, response: Message) -> None:
        raw = response.SerializeToString()
        writer.write(varint(len(raw)) + raw)


def _abort(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def _read(reader: asyncio.StreamReader) -> bytes:
    """Raises ValueError, asyncio.IncompleteReadError."""
    length = shift = 0
    while True:
        (byte,) = await reader.readexactly(1)
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if shift > 28:
            raise ValueError("a request's length is no varint of four bytes")
    if length > MAX_MESSAGE:
        raise ValueError(f"a request of {length} bytes is above {MAX_MESSAGE}")
    return await reader.readexactly(length)
