"""The embedded node and a CometBFT validator with the same genesis and the same key.

They are two copies of one chain: what is signed for one is good on the other, and what one of them
answers the other must answer too, but for what follows from their own times.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adapters.devnet import ProcessSpec
from adapters.native.cometbft.genesis import ValidatorKey
from adapters.native.devnet_folder import devnet_genesis, write_json
from adapters.native.new_block import new_block
from adapters.native.real_network import COMETBFT, Validator, write_configuration, write_home
from gateway.settings import programs_here
from tests.networks.cometbft import PARTIES, PATIENCE, Processes, configure
from tests.ports import free_port

CLOCK_BOUND = 4
_INTERVAL = 0.3


class Twins:
    """``embedded`` and ``real`` are the nodes' URLs; ``states`` the applications' databases."""

    def __init__(self, folder: Path) -> None:
        key = ValidatorKey.generate()
        keys = [party.compressed for party in PARTIES.values()]
        genesis = devnet_genesis([key], keys, CLOCK_BOUND)
        self.genesis = genesis.hash()
        self.processes = Processes(folder)
        embedded, port = folder / "embedded", free_port()
        (embedded / "config").mkdir(parents=True)
        write_json(embedded / "config" / "genesis.json", genesis.to_json())
        write_json(embedded / "config" / "priv_validator_key.json", key.to_json())
        self.validator = Validator(
            "validator0", folder / "real", free_port(), free_port(), free_port()
        )
        write_home(self.validator.home, genesis, key)
        write_configuration(self.validator, [])
        configure(self.validator.home, timeout_commit="250ms")
        self.embedded, self.real = f"http://127.0.0.1:{port}", self.validator.url
        self.states = (
            embedded / "data" / "application.db",
            self.validator.home / "application" / "application.db",
        )
        node = str(programs_here().find(COMETBFT))
        python = (sys.executable, "-m")
        home = ("--home", str(self.validator.home))
        self._specs = [
            ProcessSpec(name, argv, {})
            for name, argv in (
                (
                    "embedded",
                    (
                        *(*python, "adapters.native.node", "--home", str(embedded)),
                        *("--port", str(port), "--block-interval", str(_INTERVAL)),
                    ),
                ),
                (
                    "application",
                    (
                        *(*python, "adapters.native.abci", "--home"),
                        *(str(self.validator.home / "application"), "--port"),
                        str(self.validator.application),
                    ),
                ),
                ("cometbft", (node, "start", *home)),
            )
        ]

    async def start(self) -> None:
        for spec in self._specs:
            self.processes.start(spec)
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            for url in self.urls:
                group.create_task(new_block(url))

    @property
    def urls(self) -> tuple[str, str]:
        return self.embedded, self.real


@contextmanager
def running_twins(folder: Path) -> Iterator[Twins]:
    twins = Twins(folder)
    try:
        asyncio.run(twins.start())
        yield twins
    finally:
        twins.processes.stop()
