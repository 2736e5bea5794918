"""``python -m adapters.fabric.devnet FOLDER``: serves the network prepared in the folder.

Logs to standard error, one line an event. SIGTERM and SIGINT stop it with exit status 0; what makes
it unable to start is one line and exit status 1.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sqlite3
import sys
from pathlib import Path

from adapters.fabric.devnet.configuration import ConfigurationInvalid
from adapters.fabric.devnet.ledger import LedgerUnusable
from adapters.fabric.devnet.server import PortTaken, running

log = logging.getLogger("adapters.fabric.devnet")


async def _serve(folder: Path) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with running(folder) as network:
        log.info("channel %s is ready", network.configuration.channel)
        waiting = asyncio.create_task(stopped.wait())
        try:
            await asyncio.wait((waiting, network.ordering), return_when=asyncio.FIRST_COMPLETED)
            if network.ordering.done():
                network.ordering.result()
        finally:
            waiting.cancel()


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m adapters.fabric.devnet", description="Serves a Fabric development network."
    )
    parser.add_argument("folder", type=Path, help="where the network was prepared")
    folder: Path = parser.parse_args().folder
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    try:
        asyncio.run(_serve(folder))
    except (ConfigurationInvalid, LedgerUnusable, PortTaken, sqlite3.Error) as error:
        log.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
