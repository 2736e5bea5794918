"""The conformance suite's ledger: the development network, with three participants."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from adapters.conformance.harness import Harness
from adapters.devnet import Participant, ProcessSpec
from adapters.fabric.devnet.development_network import Devnet
from adapters.fabric.pem_signer import PemSigner
from adapters.fabric.plugin import plugin
from adapters.fabric.settings import FabricSettings
from adapters.model import AssetId
from adapters.spi import Adapter, Credential, Unavailable
from tests.ports import free_block

PARTICIPANTS = ("ann", "ben", "cat")


class DevnetHarness(Harness):
    """``start`` and ``stop`` run the network's processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._devnet = Devnet(folder)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        participants = [Participant(name, b"") for name in PARTICIPANTS]
        self._devnet.prepare(free_block(self._devnet.ports_needed), participants)
        for spec in self._devnet.processes():
            self._start(spec)
        asyncio.run(self._ready())

    def stop(self) -> None:
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            process.wait(timeout=15)

    async def restart(self) -> None:
        """The network, killed; its chaincodes stay."""
        await self.kill_network()
        await self.start_network()

    async def kill_network(self) -> None:
        process = self._processes[self._network().name]
        process.kill()
        await asyncio.to_thread(process.wait)

    async def start_network(self) -> None:
        self._start(self._network())
        await self._ready()

    async def _ready(self) -> None:
        """As long as its processes live: how fast they start is the machine's matter."""
        while True:
            try:
                return await self._devnet.ready()
            except Unavailable:
                if any(process.poll() is not None for process in self._processes.values()):
                    raise

    def _network(self) -> ProcessSpec:
        (spec,) = (spec for spec in self._devnet.processes() if "network" in spec.name)
        return spec

    def _start(self, spec: ProcessSpec) -> None:
        with (self._folder / f"{spec.name}.log").open("ab") as log:
            self._processes[spec.name] = subprocess.Popen(
                spec.argv, env=os.environ | dict(spec.env), stdout=log, stderr=log
            )

    def _settings(self, participant: str) -> FabricSettings:
        return FabricSettings.model_validate(
            {**self._devnet.settings(participant), "poll_interval": 0.25}
        )

    def open(self) -> AbstractAsyncContextManager[Adapter]:
        return plugin.open("fabric", self._settings(PARTICIPANTS[0]))

    @property
    def credentials(self) -> Sequence[Credential]:
        return [
            plugin.credential(settings, PemSigner.load(settings.reader_key))
            for settings in map(self._settings, PARTICIPANTS)
        ]

    @property
    def assets(self) -> Sequence[AssetId]:
        return self._devnet.assets()

    @property
    def absent_asset(self) -> AssetId:
        return AssetId(self.assets[0].chain, "asset", "unobtainium")
