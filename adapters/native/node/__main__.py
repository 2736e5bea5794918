"""Runs the embedded node: ``python -m adapters.native.node --home FOLDER --port PORT``.

The folder holds ``config/genesis.json`` and ``config/priv_validator_key.json`` in CometBFT's own
form; blocks and state go to its ``data``. Exit status 0 after SIGTERM or SIGINT; 2 with one line
on standard error where it cannot start.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import uvicorn

from adapters.native.app.application import Application
from adapters.native.app.genesis import InvalidGenesis
from adapters.native.app.state_database import SqliteStateStore
from adapters.native.app.state_store import CorruptState
from adapters.native.cometbft.genesis import GenesisDocument, ValidatorKey
from adapters.native.node.block_store import BlockStore, CorruptBlocks
from adapters.native.node.chain import Chain
from adapters.native.node.events import EventHub
from adapters.native.node.rpc import Rpc
from adapters.native.node.server import RpcServer

_log = logging.getLogger("adapters.native.node")


class CannotStart(Exception):
    """One sentence: what is wrong and what to do."""


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: this process has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m adapters.native.node", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument(
        "--block-interval", type=float, default=1.0, help="seconds from block to block"
    )
    arguments = parser.parse_args()
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    if not arguments.block_interval >= 0.01:
        parser.error("--block-interval must be at least 0.01 seconds")
    try:
        asyncio.run(run(arguments.home, arguments.host, arguments.port, arguments.block_interval))
    except (CannotStart, CorruptBlocks, CorruptState, InvalidGenesis) as error:
        sys.stderr.write(f"the native node cannot start: {error}\n")
        return 2
    return 0


async def run(home: Path, host: str, port: int, interval: float) -> None:
    """Runs until SIGTERM or SIGINT. Raises CannotStart, CorruptBlocks, CorruptState."""
    genesis, key = _configuration(home)
    listening = _listen(host, port)
    with contextlib.ExitStack() as stack:
        stack.callback(listening.close)
        data = home / "data"
        data.mkdir(parents=True, exist_ok=True)
        store = BlockStore.open(data / "blocks.db", genesis.hash())
        stack.callback(store.close)
        state = SqliteStateStore.open(data / "application.db")
        stack.callback(state.close)
        chain = Chain(genesis, key, Application(state), store, time.time_ns)
        hub = EventHub()
        rpc = Rpc(chain, f"tcp://{host}:{port}")
        config = uvicorn.Config(
            RpcServer(rpc, hub),
            log_config=None,
            access_log=False,
            lifespan="off",
            loop="asyncio",
            http="h11",
            timeout_graceful_shutdown=1,
        )
        server = _Server(config)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, setattr, server, "should_exit", True)
        if chain.newest is None:
            chain.make_block()
        _log.info("chain %s listens on %s:%d", chain.genesis.chain_id, host, port)
        producer = asyncio.create_task(_produce(chain, rpc, hub, server, interval))
        try:
            await server.serve(sockets=[listening])
        finally:
            producer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await producer


async def _produce(
    chain: Chain, rpc: Rpc, hub: EventHub, server: uvicorn.Server, interval: float
) -> None:
    """A block at every tick. A node that cannot make blocks must not go on answering."""
    loop = asyncio.get_running_loop()
    tick = loop.time() + interval
    try:
        while True:
            await asyncio.sleep(max(0.0, tick - loop.time()))
            stored = chain.make_block()
            rpc.on_block(stored)
            hub.on_block(stored)
            tick = max(tick + interval, loop.time())
    except Exception:
        server.should_exit = True
        raise


def _configuration(home: Path) -> tuple[GenesisDocument, ValidatorKey]:
    genesis_path = home / "config" / "genesis.json"
    key_path = home / "config" / "priv_validator_key.json"
    try:
        genesis = GenesisDocument.from_json(json.loads(genesis_path.read_bytes()))
    except OSError as error:
        raise CannotStart(f"{genesis_path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise CannotStart(f"{genesis_path}: {error}") from error
    try:
        return genesis, ValidatorKey.from_json(json.loads(key_path.read_bytes()))
    except OSError as error:
        raise CannotStart(f"{key_path} cannot be read: {error.strerror}") from error
    except ValueError:
        raise CannotStart(f"{key_path} is not a validator key in CometBFT's form") from None


def _listen(host: str, port: int) -> socket.socket:
    # asyncio turns Nagle's delay off only on sockets that say they are TCP.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise CannotStart(
            f"port {port} of {host} cannot be used ({error.strerror}); choose another"
        ) from error
    return listening


if __name__ == "__main__":
    sys.exit(main())
