"""HTTP servers that the composition owns: bound first, deaf to signals, ended on call."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from adapters.spi import Misconfigured
from gateway.connection_limits import ConnectionLimits
from gateway.reception import Connection, Reception

GRACE = 5
"""Seconds that running requests have to end."""


def bind(host: str, port: int, what: str) -> socket.socket:
    """A listening address taken, or one clear error. Raises Misconfigured."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        # Listening at once makes two processes that start together tell themselves apart here.
        sock.listen(128)
    except (OSError, OverflowError) as error:
        sock.close()
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise Misconfigured(
                f"{what}: port {port} of {host} is in use by another process; "
                f"stop it, or set {what}.port to another"
            ) from error
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise Misconfigured(f"{what}: cannot listen on {host}:{port}: {why}") from error
    sock.setblocking(False)
    return sock


class Listener(uvicorn.Server):
    """Serves one application on one socket; ``stop`` ends it. Signals are the composition's."""

    def __init__(
        self,
        app: ASGIApp,
        sock: socket.socket,
        tls: tuple[Path, Path] | None,
        limits: ConnectionLimits,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=Connection,
                log_config=None,
                access_log=False,
                lifespan="off",
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE,
                timeout_keep_alive=30,
                # Requests whose clients are gone may still be at work: they count here.
                limit_concurrency=limits.total + 1,
                ws="none",
                ssl_certfile=tls[0] if tls is not None else None,
                ssl_keyfile=tls[1] if tls is not None else None,
            )
        )
        self._sock = sock
        self._limits = limits
        self._reception: Reception | None = None
        self._accepting: asyncio.Task[None] | None = None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def run_until_stopped(self) -> None:
        """Serves; returns once stopped and the requests under way have ended. Raises an
        ExceptionGroup with the OSError where the socket cannot be used any more."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._reception = Reception(
                    self._sock, self._tls_context(), self._limits, self._connection, tasks
                )
                self._accepting = tasks.create_task(self._reception.accept())
                await self.serve(sockets=[])
                await self._reception.close()
        finally:
            self._sock.close()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """In place of uvicorn's own: connections come from the reception."""
        self.servers = []
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accepts no more, then lets those that are in end as uvicorn does."""
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.wait([self._accepting])
        self._sock.close()
        await super().shutdown(sockets)

    def _tls_context(self) -> ssl.SSLContext | None:
        if not self.config.loaded:
            self.config.load()
        return self.config.ssl

    def _connection(self, dropped: Callable[[], None]) -> Connection:
        return Connection(self.config, self.server_state, {}, self._limits.patience, dropped)

    def stop(self) -> None:
        self.should_exit = True


def check_tls(tls: tuple[Path, Path], what: str) -> None:
    """Raises Misconfigured where the certificate and key cannot be used."""
    certificate, key = tls
    for path, name in ((certificate, "tls_certificate"), (key, "tls_key")):
        try:
            path.open("rb").close()
        except OSError as error:
            raise Misconfigured(f"{what}.{name}: {path}: {error.strerror}") from error
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        raise Misconfigured(
            f"{what}: {certificate} and {key} are not a PEM certificate and its key: "
            f"{error.reason or error}"
        ) from error
