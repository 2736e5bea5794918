"""The native ledger's development network: one embedded node in one folder."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adapters.devnet import Participant, ProcessSpec
from adapters.model import AssetId
from adapters.native.cometbft.genesis import GenesisDocument, ValidatorKey
from adapters.native.devnet_folder import ChainBounds, DevnetFolder, devnet_genesis, write_json
from adapters.native.new_block import new_block
from adapters.spi import Unavailable

CLOCK_BOUND = 2
"""ε of the network's profile, in seconds."""

_READY_WITHIN = 30.0


class Devnet:
    """Implements ``adapters.devnet.DevelopmentNetwork``. ``block_interval`` is in seconds."""

    def __init__(self, folder: Path, block_interval: float = 1.0) -> None:
        self._network = DevnetFolder(folder)
        self._interval = block_interval

    @property
    def name(self) -> str:
        return "native"

    @property
    def ports_needed(self) -> int:
        return 1

    def missing(self) -> Sequence[str]:
        return ()

    def prepare(self, ports: Sequence[int], participants: Sequence[Participant]) -> None:
        """Raises ValueError where the folder was prepared for others or a name is unfit."""
        (_,) = ports
        self._network.prepare(ports, participants, self._make)

    def _make(self, public_keys: Sequence[bytes]) -> GenesisDocument:
        config = self._network.folder / "config"
        config.mkdir(parents=True, exist_ok=True)
        key = ValidatorKey.generate()
        genesis = devnet_genesis([key], public_keys, CLOCK_BOUND)
        write_json(config / "genesis.json", genesis.to_json())
        write_json(config / "priv_validator_key.json", key.to_json(), mode=0o600)
        return genesis

    def processes(self) -> Sequence[ProcessSpec]:
        (port,) = self._network.ports
        argv = (
            *(sys.executable, "-m", "adapters.native.node"),
            *("--home", str(self._network.folder), "--port", str(port)),
            *("--block-interval", repr(self._interval)),
        )
        return [ProcessSpec("native-node", argv, {})]

    async def ready(self) -> None:
        """Everything is in the genesis, so blocks are all there is to wait for."""
        try:
            async with asyncio.timeout(_READY_WITHIN):
                await new_block(self._url)
        except TimeoutError:
            raise Unavailable(
                f"the native node does not answer at {self._url} after {_READY_WITHIN:.0f} "
                "seconds; read the log of the process native-node"
            ) from None

    def settings(self, participant: str) -> Mapping[str, Any]:
        # A transaction that comes just after a block waits for the next one.
        bounds = ChainBounds(
            math.ceil(2 * self._interval) + 1, math.ceil(self._interval), CLOCK_BOUND
        )
        return self._network.settings(participant, [self._url], bounds)

    def issued_key(self, participant: str) -> str | None:
        return None

    def assets(self) -> Sequence[AssetId]:
        return self._network.assets

    @property
    def _url(self) -> str:
        (port,) = self._network.ports
        return f"http://127.0.0.1:{port}"
