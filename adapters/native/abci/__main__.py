"""Runs the application for a CometBFT node: ``python -m adapters.native.abci --home FOLDER``.

The folder holds the application's state, ``application.db``; the node's ``proxy_app`` names the
address that this listens on. Exit status 0 after SIGTERM or SIGINT; 2 with one line on standard
error where it cannot start, 1 where it cannot go on.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from adapters.native.abci.server import AbciServer
from adapters.native.app.application import Application
from adapters.native.app.state_database import SqliteStateStore
from adapters.native.app.state_store import CorruptState, StateStore
from adapters.native.app.timestamp import Timestamp

_log = logging.getLogger("adapters.native.abci")


class CannotStart(Exception):
    """One sentence: what is wrong and what to do."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m adapters.native.abci", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=26658)
    arguments = parser.parse_args()
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    try:
        _make(arguments.home)
        failed = asyncio.run(run(arguments.home, arguments.host, arguments.port))
    except (CannotStart, CorruptState) as error:
        sys.stderr.write(f"the native application cannot start: {error}\n")
        return 2
    if failed is not None:
        sys.stderr.write(f"the native application cannot go on: {failed}\n")
        return 1
    return 0


def _make(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotStart(f"--home: {home} cannot be made: {error.strerror}") from error


def now() -> Timestamp:
    """By this machine's clock."""
    return Timestamp.of_nanoseconds(time.time_ns())


async def run(
    home: Path,
    host: str,
    port: int,
    make: Callable[[StateStore], Application] = Application,
    clock: Callable[[], Timestamp] = now,
) -> str | None:
    """Runs until SIGTERM or SIGINT, then gives None, or until the application cannot go on, then
    why. Raises CannotStart, CorruptState."""
    with contextlib.ExitStack() as stack:
        state = SqliteStateStore.open(home / "application.db")
        stack.callback(state.close)
        server = AbciServer(make(state), clock)
        try:
            listening = await asyncio.start_server(server.serve, host, port)
        except OSError as error:
            raise CannotStart(
                f"port {port} of {host} cannot be used ({error.strerror}); choose another"
            ) from error
        told = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, told.set)
        _log.info("listens on %s:%d", host, port)
        waiting = asyncio.ensure_future(told.wait())
        try:
            await asyncio.wait((waiting, server.failed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            listening.close()
            await server.close()
        return server.failed.result() if server.failed.done() else None


if __name__ == "__main__":
    sys.exit(main())
