"""Accepts a listener's connections, as many as its limits allow, and drops those that dawdle.

The server behind it (uvicorn) counts only whole requests: a connection that sends nothing, or a
byte now and then, would otherwise stay for ever.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final

import h11
from structlog.stdlib import get_logger
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from gateway.connection_limits import Admissions, ConnectionLimits

_log = get_logger("gateway.connections")

CLOSING: Final = 5.0
"""Seconds that the other side has to answer the end of TLS."""

_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_QUIET: Final = 60.0
"""Seconds between two lines of the log on connections that were turned away."""


class Connection(H11Protocol):
    """One HTTP connection whose requests must come, and answers be taken, in time."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        patience: float,
        dropped: Callable[[], None],
    ) -> None:
        super().__init__(config, server_state, app_state)
        self.gone = asyncio.Event()
        """Set once the connection has ended."""
        self._patience = patience
        self._dropped = dropped
        self._request_due: asyncio.TimerHandle | None = None
        self._taking_due: asyncio.TimerHandle | None = None
        # Made when the connection is accepted: what the TLS handshake takes counts too.
        self._first_due = self.loop.time() + patience

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._request_due = self.loop.call_at(self._first_due, self._drop)

    def connection_lost(self, exc: Exception | None) -> None:
        self._request_came()
        self.resume_writing()
        super().connection_lost(exc)
        self.gone.set()

    def data_received(self, data: bytes) -> None:
        self._await_request()
        super().data_received(data)
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._request_came()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        # The next request may have begun to come while this one was answered.
        if self.conn.their_state is h11.SEND_BODY or self.conn.trailing_data[0]:
            self._await_request()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._taking_due = self.loop.call_later(self._patience, self._drop)

    def resume_writing(self) -> None:
        if self._taking_due is not None:
            self._taking_due.cancel()
            self._taking_due = None
        super().resume_writing()

    def _await_request(self) -> None:
        if self._request_due is None:
            self._request_due = self.loop.call_later(self._patience, self._drop)

    def _request_came(self) -> None:
        if self._request_due is not None:
            self._request_due.cancel()
            self._request_due = None

    def _drop(self) -> None:
        self._dropped()
        self.transport.abort()


class Reception:
    """Accepts on one listening socket. ``connection`` makes the protocol of each; the tasks that
    look after them are made in ``tasks``, and end with ``close``."""

    def __init__(
        self,
        sock: socket.socket,
        tls: ssl.SSLContext | None,
        limits: ConnectionLimits,
        connection: Callable[[Callable[[], None]], Connection],
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._sock = sock
        self._tls = tls
        self._limits = limits
        self._admissions = Admissions(limits)
        self._connection = connection
        self._tasks = tasks
        self._served: set[asyncio.Task[None]] = set()
        self._refused = 0
        self._dropped = 0
        self._told_at = float("-inf")

    async def accept(self) -> None:
        """Accepts until it is cancelled; what was accepted goes on. Raises OSError where the
        socket is of no use any more."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, address = await loop.sock_accept(self._sock)
            except ConnectionAbortedError:
                continue
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                _log.error("no connection can be accepted", error=error.strerror)
                await asyncio.sleep(1)
                continue
            host = str(address[0])
            if self._admissions.admit(host):
                task = self._tasks.create_task(self._serve(sock, host))
                self._served.add(task)
                task.add_done_callback(self._served.discard)
            else:
                sock.close()
                self._refused += 1
                self._tell()
            # sock_accept returns at once while connections wait: let others have their turn.
            await asyncio.sleep(0)

    async def close(self) -> None:
        """Ends the connections that are still there."""
        for task in self._served:
            task.cancel()
        if self._served:
            await asyncio.wait(self._served)

    async def _serve(self, sock: socket.socket, host: str) -> None:
        patience = self._limits.patience if self._tls is not None else None
        closing = CLOSING if self._tls is not None else None
        transport: asyncio.Transport | None = None
        try:
            transport, connection = await asyncio.get_running_loop().connect_accepted_socket(
                lambda: self._connection(self._on_drop),
                sock,
                ssl=self._tls,
                ssl_handshake_timeout=patience,
                ssl_shutdown_timeout=closing,
            )
            await connection.gone.wait()
        except OSError:
            # No TLS came of it, or none in time.
            self._on_drop()
        except Exception as error:  # noqa: BLE001 - one connection must not end the listener
            _log.error("a connection could not be served", error=type(error).__name__)
        finally:
            if transport is not None:
                transport.abort()
            self._admissions.leave(host)

    def _on_drop(self) -> None:
        self._dropped += 1
        self._tell()

    def _tell(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._told_at < _QUIET:
            return
        self._told_at = now
        _log.warning(
            "connections were turned away",
            port=self._sock.getsockname()[1],
            above_the_limits=self._refused,
            without_a_request_in_time=self._dropped,
        )
        self._refused = self._dropped = 0
