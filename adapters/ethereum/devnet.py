"""A development network of Ethereum: Anvil, the lock contract, a token, funded participants.

Anvil writes its state to a file every second and when it is stopped; a kill -9 loses the blocks
since the last of these writes, at most one second of them. It starts through ``anvil_process``,
which keeps the file whole: Anvil writes it in place, and a write cut short must not be what it
starts from.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adapters.devnet import Participant, ProcessSpec
from adapters.ethereum.devnet_contracts import COIN_EACH, make_ready
from adapters.ethereum.devnet_folder import DevnetFolder
from adapters.ethereum.identity import checksummed
from adapters.ethereum.quantities import to_hex
from adapters.ethereum.rpc import Rpc
from adapters.ethereum.tooling import ToolSet, install
from adapters.model import AssetId, Bounds

CHAIN_NUMBER = 31337


class Devnet:
    """One Anvil in one folder."""

    name = "ethereum"
    ports_needed = 1

    def __init__(self, folder: Path, *, block_time: int = 1, tools: Path | None = None) -> None:
        self._folder = DevnetFolder(folder, CHAIN_NUMBER)
        self._block_time = block_time
        self._tools = tools

    def missing(self) -> Sequence[str]:
        return ()

    def prepare(self, ports: Sequence[int], participants: Sequence[Participant]) -> None:
        """Installs Anvil if it is not there, and writes the plan and a deployer's key."""
        install(ToolSet.NODE, self._tools)
        self._folder.prepare(ports, participants)

    def processes(self) -> Sequence[ProcessSpec]:
        anvil = install(ToolSet.NODE, self._tools).anvil
        argv = (
            *(sys.executable, "-m", "adapters.ethereum.anvil_process"),
            *(str(self._folder.path / "state"), str(anvil)),
            *("--host", "127.0.0.1", "--port", str(self._folder.port)),
            *("--chain-id", str(CHAIN_NUMBER), "--block-time", str(self._block_time)),
            *("--accounts", "1", "--quiet"),
        )
        return [ProcessSpec("anvil", argv, {})]

    @property
    def url(self) -> str:
        return self._folder.url

    async def ready(self) -> None:
        await make_ready(self._folder, "anvil", _give)

    def settings(self, participant: str) -> Mapping[str, Any]:
        """Final at a depth of two blocks: Anvil has no votes, and waiting should be short."""
        return self._folder.settings(
            participant,
            bounds=Bounds(3 * self._block_time, 4 * self._block_time, 2),
            stale_after=10 * self._block_time,
            final_by=2,
        )

    def issued_key(self, participant: str) -> str | None:
        return None

    def assets(self) -> Sequence[AssetId]:
        return self._folder.assets()


async def _give(rpc: Rpc, address: bytes) -> None:
    """Anvil gives whatever it is told to."""
    await rpc.call("anvil_setBalance", checksummed(address), to_hex(COIN_EACH))
